import io

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.parsing.param_types import parse_ids, parse_percent, parse_priority, parse_states
from jobctl.parsing.selector_options import choose
from jobctl.render.text import selector
from jobd.client.follow import ranges
from jobd.contract.models import MAX_ID
from jobd.contract.states import State
from tests.jobctl.fakes import jobctl


@pytest.mark.parametrize(
    ("text", "number"),
    [("high", 100), ("Regular", 0), ("normal", 0), ("low", -100), ("7", 7), ("-7", -7), ("+3", 3)],
)
def test_priority(text, number):
    assert parse_priority(text) == number


@pytest.mark.parametrize("text", ["", "urgent", "1.5", "9999999999", "1e3"])
def test_no_priority(text):
    with pytest.raises(ValueError):
        parse_priority(text)


@pytest.mark.parametrize(("text", "number"), [("40", 40), ("12.5", 12.5), ("100%", 100)])
def test_percent(text, number):
    assert parse_percent(text) == number


@pytest.mark.parametrize("text", ["101", "-1", "x", "", "nan", "inf"])
def test_no_percent(text):
    with pytest.raises(ValueError):
        parse_percent(text)


def test_states():
    assert parse_states("failed,Stopped") == [State.FAILED, State.STOPPED]
    with pytest.raises(ValueError, match="pending, running"):
        parse_states("dead")


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (["7"], [(7, 7)]),
        (["3-9"], [(3, 9)]),
        (["1,4,8-10"], [(1, 1), (4, 4), (8, 10)]),
        (["7", "3-9", "7"], [(7, 7), (3, 9)]),
        ([str(MAX_ID)], [(MAX_ID, MAX_ID)]),
    ],
)
def test_ids(words, ids):
    assert parse_ids(words) == ids


@pytest.mark.parametrize(
    "word", ["", "0", "9-3", "x", "1,", "1--2", "-3", "1-", "٣", str(MAX_ID + 1), "1 2", "all"]
)
def test_no_ids(word):
    with pytest.raises(ValueError):
        parse_ids([word])


def test_stdin_gives_words(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("1\n2\n\n4,8-9 \n"))
    assert choose(["-", "20"], {}).ids == [(1, 1), (2, 2), (4, 4), (8, 9), (20, 20)]


def test_empty_stdin_selects_nothing_instead_of_everything(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert choose(["-"], {}) is None


def test_an_empty_word_is_wrong_usage():
    with pytest.raises(click.UsageError):
        choose([""], {})


def test_all_and_ids_exclude_each_other():
    with pytest.raises(click.UsageError):
        choose(["7"], {}, everything=True)


@given(st.sets(st.integers(1, 60)))
def test_a_printed_selector_reads_back_as_the_same_jobs(ids):
    if not ids:
        assert selector(ids) == ""
        return
    found = parse_ids([selector(ids)])
    assert {job for first, last in found for job in range(first, last + 1)} == ids
    assert {job for first, last in ranges(ids) for job in range(first, last + 1)} == ids


@pytest.mark.parametrize(
    "words", [["ls", "-n"], ["logs", "-n"], ["logs", "--attempt"], ["events", "--from"]]
)
def test_a_number_that_nothing_can_have_is_no_defect(words):
    huge = str(10**20)
    result = jobctl(*words, huge)
    assert (result.code, f"'{huge}' is too large" in result.stderr) == (2, True)


def test_help_names_no_bound_that_nobody_reaches():
    for command, bounds in (("ls", "x>=0"), ("history", "x>=1"), ("logs", "x>=0")):
        said = jobctl(command, "--help").out
        assert f"[{bounds}]" in said
        assert "x<=4" not in said


def test_a_number_below_the_least_is_not_too_large():
    result = jobctl("logs", "--attempt", "0", "1")
    assert (result.code, "'0' is no number from 1 on" in result.stderr) == (2, True)
