"""Which events are occasions, which jobs a rule is about, and what becomes of a flood."""

from datetime import UTC, datetime

import pytest

from jobd.contract.config import Duration, NotifyConfig
from jobd.contract.models import Job
from jobd.contract.states import EventName, Occasion, State
from jobd.core.notification import text
from jobd.core.notification.message import NAMED, Message
from jobd.core.notification.rules import occasions, rules_of, state_after

THEN = datetime(2026, 11, 26, 12, tzinfo=UTC)


def job_of(**fields):
    known = {
        "id": 7, "name": "", "command": "make all", "argv": [], "shell": False, "cwd": "/w",
        "state": State.FAILED, "submitted_at": THEN,
    }  # fmt: skip
    return Job(**{**known, **fields})


@pytest.mark.parametrize(
    ("event", "reason", "found"),
    [
        ("completed", None, {"completed"}),
        ("failed", "exit code 1", {"failed"}),
        ("failed", "lost", {"failed", "lost"}),
        ("retrying", "lost", {"lost"}),
        ("retrying", "exit code 1", set()),
        ("stopped", "by user", {"stopped"}),
    ],
)
def test_what_is_an_occasion(event, reason, found):
    assert occasions(event, reason) == set(map(Occasion, found))


def test_every_other_event_is_none():
    ends = {"completed", "failed", "stopped"}
    assert not any(occasions(event, None) for event in EventName if event not in ends)
    assert {state_after(event) for event in ends} == set(map(State, ends))
    assert state_after("retrying") is State.PENDING


def test_a_rule_without_a_name_is_called_by_its_number():
    rules = rules_of([NotifyConfig(command="x"), NotifyConfig(command="y", name="ops")])
    assert [rule.name for rule in rules] == ["notify 1", "ops"]


@pytest.mark.parametrize(
    ("filters", "wanted", "unknown"),
    [
        ({}, True, True),
        ({"states": [State.FAILED]}, True, True),
        ({"states": [State.STOPPED]}, False, False),
        ({"groups": ["a", "b"]}, True, False),
        ({"groups": ["c"]}, False, False),
        ({"tags": ["x", "z"]}, True, False),
        ({"tags": ["z"]}, False, False),
        ({"min_runtime": Duration(60)}, True, False),
        ({"min_runtime": Duration(61)}, False, False),
    ],
)
def test_all_filters_have_to_hold(filters, wanted, unknown):
    (rule,) = rules_of([NotifyConfig(command="true", **filters)])
    job = job_of(group="b", tags=["x", "y"], run_s=60.0)
    assert rule.wants(job, State.FAILED) is wanted
    assert rule.wants(None, State.FAILED) is unknown


def message(number, **fields):
    said = text.told(None, number, "failed", "exit code 1")
    again = f"jobctl restart {number}"
    known = {"occasion": "failed", "at": 0, "said": said, "job": job_of(id=number), "again": again}
    return Message(**{**known, **fields})


def test_one_alone_stays_as_it_is():
    assert message(1).and_more([]) == message(1)


def test_several_become_one_that_names_the_first():
    whole = message(1).and_more(message(n) for n in range(2, 15))
    assert (whole.count, len(whole.first), whole.jobs) == (14, NAMED, [*range(1, 11)])
    whole = whole.and_more([message(99), message(100, said="", job=None, count=500)])
    assert (whole.count, len(whole.first)) == (515, NAMED)
    assert text.title(whole) == "job 1 failed: exit code 1, and 514 more"
    assert "… and 505 more" in text.body(whole, "id")


def test_a_message_says_all_that_is_asked_for():
    job = job_of(
        name="train", exit_code=3, attempt=2, tags=["a"], started_at=THEN, finished_at=THEN,
        run_s=3700.0,
    )  # fmt: skip
    said = text.told(job, 7, "failed", "exit code 3")
    body = text.body(message(7, said=said, job=job, last_lines=["oh", "no"]), "0a1b")
    assert body.splitlines() == [
        "job 7 (train) failed: exit code 3, 1970-01-01T00:00:00Z",
        "",
        "command    make all",
        "directory  /w",
        "group      default",
        "tags       a",
        "exit code  3",
        "attempt    2",
        "submitted  2026-11-26T12:00:00Z",
        "started    2026-11-26T12:00:00Z",
        "ended      2026-11-26T12:00:00Z, ran 1h 1m",
        "",
        "last lines of its output:",
        "  oh",
        "  no",
        "",
        "again: jobctl restart 7",
        "all of its output: jobctl logs 7",
        "",
        "notification 0a1b",
    ]


def test_nothing_that_others_wrote_drives_a_terminal():
    job = job_of(name="\x1b[2J", command="a\nb", cwd="/\x07")
    body = text.body(message(7, said=text.told(job, 7, "failed", "\x1b"), job=job), "id")
    assert all(line.isprintable() for line in body.splitlines())
