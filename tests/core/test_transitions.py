"""The state table walked whole, and what follows every way in which an attempt can end."""

import itertools
import signal

import pytest

from jobd.contract.errors import Refused
from jobd.contract.states import State
from jobd.core import transitions
from jobd.core.transitions import MOVES, Move, Outcome, after, is_failing, is_met, verdict

P, R, C, F, S = State

LEGAL = {
    (P, "start"): R,
    (P, "stop"): S,
    (P, "fail"): F,
    (R, "complete"): C,
    (R, "fail"): F,
    (R, "stop"): S,
    (R, "retry"): P,
    (C, "restart"): P,
    (F, "restart"): P,
    (S, "restart"): P,
    (S, "release"): P,
}
"""Written out a second time, from the contract, on purpose."""


@pytest.mark.parametrize(("state", "move"), list(itertools.product(State, Move)))
def test_every_move_from_every_state(state, move):
    if (state, move) in LEGAL:
        assert after(state, move) is LEGAL[state, move]
    else:
        with pytest.raises(Refused, match=rf"^a {state} job cannot [a-z ]+$"):
            after(state, move)


def test_the_table_holds_nothing_else():
    assert MOVES == LEGAL


def test_a_refusal_is_written_for_people():
    with pytest.raises(Refused) as caught:
        after(R, Move.RESTART)
    assert caught.value.message == "a running job cannot be restarted"


def test_only_finished_jobs_restart():
    assert {s for s in State if (s, Move.RESTART) in MOVES} == {s for s in State if s.finished}


@pytest.mark.parametrize(
    ("state", "any_end", "met", "failing"),
    [
        (P, False, False, False),
        (R, False, False, False),
        (C, False, True, False),
        (F, False, False, True),
        (S, False, False, True),
        (P, True, False, False),
        (R, True, False, False),
        (C, True, True, False),
        (F, True, True, False),
        (S, True, True, False),
    ],
)
def test_what_a_dependant_waits_for(state, any_end, met, failing):
    assert is_met(state, any_end=any_end) is met
    assert is_failing(state, any_end=any_end) is failing


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (signal.SIGKILL, "KILL"),
        (15, "TERM"),
        (signal.SIGRTMIN, "RTMIN"),
        (signal.SIGRTMIN + 2, "RTMIN+2"),
        (signal.SIGRTMAX, "RTMAX"),
        (32, "32"),
        (0, "0"),
        (999, "999"),
    ],
)
def test_names_of_signals(number, name):
    assert transitions.signal_name(number) == name


EXIT_0 = Outcome(exit_code=0)
EXIT_7 = Outcome(exit_code=7)
KILLED = Outcome(signal="KILL")
ABSENT = Outcome(error="No such file: foo")
LOST = Outcome(lost=True)
NOTHING = Outcome()

VERDICTS = [
    (EXIT_0, None, (C, None)),
    (EXIT_7, None, (F, "exit code 7")),
    (KILLED, None, (F, "signal KILL")),
    (ABSENT, None, (F, "could not start: No such file: foo")),
    (LOST, None, (F, "lost")),
    (NOTHING, None, (F, "lost")),
    (Outcome(exit_code=0, lost=True), None, (F, "lost")),
    *[(end, "by user", (S, "by user")) for end in (EXIT_0, EXIT_7, KILLED, ABSENT, LOST)],
    *[(end, "shutdown", (S, "shutdown")) for end in (EXIT_0, EXIT_7, KILLED, ABSENT, LOST)],
    *[(end, "time limit", (F, "time limit")) for end in (EXIT_0, KILLED)],
]


@pytest.mark.parametrize(("outcome", "asked", "expected"), VERDICTS)
def test_the_end_of_an_attempt(outcome, asked, expected):
    found = verdict(outcome, asked, requeue=False)
    assert (found.state, found.reason) == expected
    assert after(R, found.move) is found.state


@pytest.mark.parametrize(("outcome", "asked", "expected"), VERDICTS)
def test_requeue_changes_interruptions_only(outcome, asked, expected):
    found = verdict(outcome, asked, requeue=True)
    if asked == "shutdown" or expected == (F, "lost"):
        assert (found.state, found.reason, found.move) == (P, "queued", Move.RETRY)
    else:
        assert (found.state, found.reason) == expected
