"""Why a job is pending, in words with numbers."""

from datetime import UTC, datetime

import pytest

from jobd.contract.states import State
from jobd.daemon.queries.explain import Awaited, Facts, why

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()


def said(reason="queued", **given):
    facts = {"job": 9, "now": NOON, "workers": 3, "busy": 3, "group": "default", "share": 3}
    return why(Facts(reason=reason, **{**facts, **given}))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ahead": 41}, "3 of 3 workers busy; 41 jobs before it"),
        ({"ahead": 1}, "3 of 3 workers busy; 1 job before it"),
        ({"ahead": 0}, "3 of 3 workers busy; next in line"),
        ({"ahead": 1000}, "3 of 3 workers busy; 1,000 jobs before it"),
        ({"ahead": 1001}, "3 of 3 workers busy; more than 1,000 jobs before it"),
        ({"ahead": 7, "ahead_more": True}, "3 of 3 workers busy; at least 7 jobs before it"),
        (
            {"ahead": 1001, "ahead_more": True},
            "3 of 3 workers busy; more than 1,000 jobs before it",
        ),
        ({"slots": 3, "busy": 2, "ahead": 0}, "needs 3 workers, 2 of 3 workers busy; next in line"),
        (
            {"workers": 0, "share": 0, "busy": 0},
            "there are 0 workers; raise them: jobctl workers N",
        ),
        ({}, "3 of 3 workers busy"),
    ],
)
def test_its_turn(given, words):
    assert said(**given) == words


@pytest.mark.parametrize(
    ("reason", "given", "words"),
    [
        ("held", {}, "held; let it go: jobctl start 9"),
        ("draining", {}, "the daemon is shutting down and starts nothing"),
        ("delayed", {"due": NOON + 7200}, "not before 2026-11-24T14:00:00Z, in 2h00m"),
        ("delayed", {"due": NOON + 86400}, "not before 2026-11-25T12:00:00Z, in 1d0h"),
        ("delayed", {"due": NOON - 1}, "not before 2026-11-24T11:59:59Z, in a moment"),
        (
            "retry backoff",
            {"due": NOON + 38, "failures": 2, "retries": 5},
            "retry 2 of 5 in 38s",
        ),
        (
            "engine away",
            {"engine": "slurm", "away": "no answer"},
            "engine slurm is away: no answer; it is tried again by itself",
        ),
        (
            "group paused",
            {"group": "a"},
            "group a is paused; resume it with: jobctl resume --group a",
        ),
        (
            "group full",
            {"group": "a", "share": 1, "busy_in_group": 1, "ahead": 2},
            "1 of 1 workers of group a busy; 2 jobs before it",
        ),
        (
            "group full",
            {"group": "a", "share": 0},
            "group a has 0 workers; raise it: jobctl workers N --group a",
        ),
        (
            "group full",
            {"group": "a", "share": 1, "slots": 2},
            "needs 2 workers, group a has 1 worker; raise it: jobctl workers N --group a",
        ),
        ("resources", {"slots": 4}, "needs 4 workers and there are 3; more: jobctl workers N"),
        (
            "resources",
            {"slots": 4, "workers": 1},
            "needs 4 workers and there is 1; more: jobctl workers N",
        ),
        # Edited to fewer retries while it waits for one: that one still comes.
        ("retry backoff", {"failures": 2, "retries": 0}, "retry 2 of 2 in a moment"),
        (
            "resources",
            {"gpus": 4, "devices": 2},
            "needs 4 GPUs and there are 2; name them in the configuration",
        ),
        (
            "resources",
            {"gpus": 2, "devices": 2, "free_devices": 1, "ahead": 0},
            "waits for 2 GPUs (1 of 2 free); next in line",
        ),
    ],
)
def test_other_reasons(reason, given, words):
    assert said(reason, **given) == words


def test_parents_with_their_state_and_progress():
    parents = [
        Awaited(id=7, state=State.RUNNING, progress=40.0),
        Awaited(id=8, state=State.PENDING, reason="held"),
        Awaited(id=9, state=State.PENDING, reason="queued"),
        Awaited(id=10, state=State.RUNNING, progress=12.34, paused=True),
    ]
    assert said("dependency", awaited=parents[:1]) == "waits for 7 (running, 40%)"
    assert said("dependency", awaited=parents[:2]) == (
        "waits for 7 (running, 40%) and 8 (pending, held)"
    )
    assert said("dependency", awaited=parents, more_awaited=1234) == (
        "waits for 7 (running, 40%), 8 (pending, held), 9 (pending), 10 (running, paused, 12.3%)"
        " and 1,234 more"
    )
