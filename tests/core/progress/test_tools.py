"""What real tools printed into a file, replayed: what each says is what is read, and no more."""

import pytest

from jobd.core.progress.recognition import from_output
from tests.tools import captures
from tests.tools.tools import TOOLS

BY_NAME = {tool.name: tool for tool in TOOLS}
CAPTURES = [captures.load(name) for name in captures.names()]
SAMPLES = [
    pytest.param(capture, sample, id=f"{capture.name}-{number}")
    for capture in CAPTURES
    for number, sample in enumerate(capture.samples)
]


def test_every_tool_was_captured_as_it_is_run_now():
    assert {capture.name: capture.command for capture in CAPTURES} == {
        tool.name: tool.command for tool in TOOLS
    }


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.name)
def test_a_capture_says_something_worth_a_test(capture):
    said = {sample.percent for sample in capture.samples}
    assert said, "an empty capture tests nothing"
    assert (said == {None}) != BY_NAME[capture.name].shows


@pytest.mark.parametrize(("capture", "sample"), SAMPLES)
def test_what_a_tool_says_is_what_is_read(capture, sample):
    tool = BY_NAME[capture.name]
    # The capture's own figure is the tool's, found by the pattern that stands beside the tool.
    assert sample.percent == (tool.said(sample.tail.decode()) if tool.shows else None)
    reading = from_output(sample.tail, capture.head)
    assert sample.percent == (None if reading is None else reading.percent)
