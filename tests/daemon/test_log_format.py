"""Records of the daemon: what they are about, as text and as JSON."""

import json
import logging
import re
from pathlib import Path

import pytest

import jobd
from jobd.contract.watching import LogForm
from jobd.daemon.log_format import JsonFormat, LogFormat, about, handler_of


def record(text, *args, exc_info=None):
    return logging.LogRecord("jobd.x", logging.WARNING, "x.py", 1, text, args, exc_info)


@pytest.mark.parametrize(
    ("text", "args", "found"),
    [
        ("job %d: the outcome of attempt %d is lost", (7, 2), {"job": 7, "attempt": 2}),
        ("a request of %s was refused: %s", ("anna", "no"), {"user": "anna"}),
        ("job %d ended, and it cannot be recorded (%s): %s", (7, "x", "y"), {"job": 7}),
        ("100%% of job %d", (7,), {"job": 7}),
        ("the clock was set by %.1f s: job %d", (1.5, 7), {"job": 7}),
        ("jobd %s started: pid %d", ("1.0", 3), {}),
        ("a request of %s failed", ("ev\x1bl",), {"user": "ev\\x1bl"}),
        ("nothing", (), {}),
    ],
)
def test_a_record_says_what_it_is_about(text, args, found):
    assert about(record(text, *args)) == found


def test_all_records_of_jobs_and_attempts_are_read_so():
    """A new one that names its job in another way would have no field."""
    sources = "".join(file.read_text() for file in Path(jobd.__file__).parent.rglob("*.py"))
    named = re.findall(r'log\.\w+\(\s*"([^"]*\b(?:job|attempt)\b [^"]*%d[^"]*)"', sources)
    assert len(named) > 10
    for text in named:
        if re.search(r"\b(job|attempt) %d", text):
            values = tuple(range(1, 1 + len(re.findall(r"%(?!%)", text))))
            assert about(record(text, *values)), text


def test_json_is_one_line_with_all_of_it():
    error = ValueError("two\nlines")
    info = (ValueError, error, None)
    made = JsonFormat().format(record("job %d: %s", 7, "\x1b[2J", exc_info=info))
    assert "\n" not in made
    found = json.loads(made)
    assert found["at"].endswith("Z")
    assert (found["level"], found["logger"]) == ("warning", "jobd.x")
    assert found["message"] == "job 7: \\x1b[2J"
    assert found["job"] == 7
    assert "ValueError: two" in found["traceback"]


@pytest.mark.parametrize(("form", "kind"), [(LogForm.TEXT, LogFormat), (LogForm.JSON, JsonFormat)])
def test_the_log_has_the_form_that_is_wanted(form, kind, monkeypatch):
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    handler = logging.NullHandler()
    assert handler_of(form, handler) is handler
    assert type(handler.formatter) is kind
