"""Which state follows which, and why: everything that decides a change of state.

Theory of operation
-------------------
A job is born pending. A free worker *starts* it; the attempt that begins there ends in exactly
one way: the job *completes* (exit code 0), it *fails* (any other code, a signal, it could not be
started, its outcome cannot be known), or it is *stopped* (somebody asked for it).

A pending job can leave the queue without running: *stopped* at once, or *failed*.

There are three ways back into the queue. *Retry* is the daemon's own: an attempt never really
started, or was interrupted and the job says `--requeue`. *Restart* is the user's, for any
finished job. *Release* is the user's too: `start` makes a stopped job pending again, and no other.

All of that stands in one table, `MOVES`. What is not in it is refused and changes nothing.
What follows the end of an attempt is one function, `verdict`: it takes facts (`Outcome`) and what
was asked for, and looks at nothing else. Whether something "is so already" (stopping a job that
has just finished) is for the caller to see before it asks for a move.
"""

from __future__ import annotations

import re
import signal
from enum import StrEnum
from typing import Final

from msgspec import Struct

from jobd.contract.errors import Refused
from jobd.contract.states import Reason, State, could_not_start, exit_code_reason, signal_reason


class Move(StrEnum):
    """What may happen to a job; `MOVES` says from which states, and to which one it leads."""

    START = "start"
    """A worker takes it: an attempt begins."""
    COMPLETE = "complete"
    FAIL = "fail"
    STOP = "stop"
    RETRY = "retry"
    """The daemon puts a running job back: never started, interrupted, or to be tried again."""
    RESTART = "restart"
    """The user runs a finished job again."""
    RELEASE = "release"
    """The user's `start` of a stopped job."""


MOVES: Final[dict[tuple[State, Move], State]] = {
    (State.PENDING, Move.START): State.RUNNING,
    (State.PENDING, Move.STOP): State.STOPPED,
    (State.PENDING, Move.FAIL): State.FAILED,
    (State.RUNNING, Move.COMPLETE): State.COMPLETED,
    (State.RUNNING, Move.FAIL): State.FAILED,
    (State.RUNNING, Move.STOP): State.STOPPED,
    (State.RUNNING, Move.RETRY): State.PENDING,
    (State.COMPLETED, Move.RESTART): State.PENDING,
    (State.FAILED, Move.RESTART): State.PENDING,
    (State.STOPPED, Move.RESTART): State.PENDING,
    (State.STOPPED, Move.RELEASE): State.PENDING,
}
"""The whole truth: what is not here does not happen."""

_CANNOT: Final = {
    Move.START: "be started",
    Move.COMPLETE: "complete",
    Move.FAIL: "fail",
    Move.STOP: "be stopped",
    Move.RETRY: "be put back into the queue",
    Move.RESTART: "be restarted",
    Move.RELEASE: "be started",
}


def after(state: State, move: Move) -> State:
    """The state that the move leads to.

    Raises: Refused (the table has no such move; the text says so to a user).
    """
    try:
        return MOVES[state, move]
    except KeyError:
        raise Refused(f"a {state} job cannot {_CANNOT[move]}") from None


# --- a job that waits for another ---------------------------------------------------------------


def is_met(parent: State, *, any_end: bool) -> bool:
    """Whether a job in this state is what its dependant waits for, so that it waits no longer.

    `any_end`: its end is enough, however it ends; else it has to complete.
    """
    return parent is State.COMPLETED or (any_end and parent.finished)


def is_failing(parent: State, *, any_end: bool) -> bool:
    """Whether it has ended otherwise than its dependant waits for, which fails because of it."""
    return parent.finished and not is_met(parent, any_end=any_end)


# --- reasons ------------------------------------------------------------------------------------


def waiting_reason(*, held: bool, unmet: int, due: int | None, failures: int) -> Reason:
    """Why a pending job is not ready, or `queued`: then it only waits for its turn.

    `unmet`: parents that it waits for; `due`: it is not to start before then; `failures`:
    attempts that failed, so that the time it waits for is that of a retry.
    """
    if held:
        return Reason.HELD
    if unmet:
        return Reason.DEPENDENCY
    if due is not None:
        return Reason.RETRY_BACKOFF if failures else Reason.DELAYED
    return Reason.QUEUED


def signal_name(number: int) -> str:
    """KILL for 9, RTMIN+2 for 36; the bare number where the system has no name (signal(7))."""
    if signal.SIGRTMIN < number < signal.SIGRTMAX:
        return f"RTMIN+{number - signal.SIGRTMIN}"
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)


# --- the end of an attempt ----------------------------------------------------------------------


class Outcome(Struct, frozen=True, kw_only=True):
    """What is known about the end of an attempt; nothing known at all is the same as lost."""

    exit_code: int | None = None
    signal: str | None = None
    """Name of the signal that killed it, without SIG."""
    cpu_s: float | None = None
    """User and system time, seconds."""
    max_rss_kb: int | None = None
    """Peak memory, KiB."""
    error: str | None = None
    """It could not be started: why."""
    lost: bool = False
    """It ran, and how it ended cannot be known."""
    reason: str | None = None
    """What has ended it, where its engine knows: told in the place of what follows from the rest.
    """
    at: int | None = None
    """When it ended, microseconds since the epoch; None: when that was heard."""


class Verdict(Struct, frozen=True):
    """What follows: the move, the state that the job comes to, and the reason to show beside it."""

    state: State
    reason: str | None
    move: Move
    ended: State
    """How the attempt itself ended: as the job, unless that is to run again."""
    why: str | None


def verdict(
    outcome: Outcome,
    stop_reason: str | None,
    *,
    requeue: bool,
    retry: bool = False,
) -> Verdict:
    """What follows the end of an attempt that was running.

    `stop_reason`: BY_USER, SHUTDOWN or TIME_LIMIT where the job was asked to end while it lived,
    else None. It outweighs how the job ended: a job that answers TERM with exit 0 was stopped.
    `requeue`: the job may run again after an interruption that nobody asked for by its id.
    `retry`: another attempt is left to it if this one has failed.
    """
    move, why = _end(outcome, stop_reason)
    ended = after(State.RUNNING, move)
    interrupted = stop_reason == Reason.SHUTDOWN or (stop_reason is None and _unknown(outcome))
    if interrupted and requeue:
        return Verdict(after(State.RUNNING, Move.RETRY), Reason.QUEUED, Move.RETRY, ended, why)
    if retry and move is Move.FAIL:
        return Verdict(
            after(State.RUNNING, Move.RETRY), Reason.RETRY_BACKOFF, Move.RETRY, ended, why
        )
    return Verdict(ended, why, move, ended, why)


def _end(outcome: Outcome, stop_reason: str | None) -> tuple[Move, str | None]:
    if stop_reason == Reason.TIME_LIMIT:
        return Move.FAIL, Reason.TIME_LIMIT
    if stop_reason is not None:
        return Move.STOP, stop_reason
    if outcome.exit_code == 0 and not outcome.lost:
        return Move.COMPLETE, None
    return Move.FAIL, _failure(outcome)


def _unknown(outcome: Outcome) -> bool:
    return outcome.lost or (outcome.error, outcome.signal, outcome.exit_code) == (None, None, None)


def _failure(outcome: Outcome) -> str:
    if outcome.error is not None:
        return could_not_start(outcome.error)
    if outcome.reason is not None:
        return outcome.reason
    if _unknown(outcome):
        return Reason.LOST
    if outcome.signal is not None:
        return signal_reason(outcome.signal)
    assert outcome.exit_code is not None
    return exit_code_reason(outcome.exit_code)


# --- a reason for those who may not know all of it ----------------------------------------------

_NOT_STARTED: Final = re.compile(rf"({could_not_start('')}(?:stdin: )?)(?:.*: )?([^:]+)", re.DOTALL)
"""What is wrong comes last, behind the program, the directory or the input that it is about."""


def without_paths(reason: str) -> str:
    """`could not start: stdin: is no file`, where that was `stdin: /home/me/in: is no file`."""
    found = _NOT_STARTED.fullmatch(reason)
    return found[1] + found[2] if found else reason
