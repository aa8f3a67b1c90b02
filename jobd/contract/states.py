"""The words that the daemon, the database and its clients share: states, reasons, event names.

Each stands here once and is public: it is in JSON, in the database and in what scripts compare.
None of them ever changes; new ones may come. What leads from one state to another is no word but a
rule, and stands in `jobd.core.transitions`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from jobd.contract.wording import printable


class State(StrEnum):
    """The five states of a job; the value is the one in JSON."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def finished(self) -> bool:
        """Whether a job in this state has ended."""
        return self in FINISHED


UNFINISHED: Final = (State.PENDING, State.RUNNING)
FINISHED: Final = (State.COMPLETED, State.FAILED, State.STOPPED)


class Reason(StrEnum):
    """The finer truth beside a state or an event; those that name a value are made below."""

    # Why a pending job does not run yet.
    QUEUED = "queued"
    """It waits for nothing but its turn."""
    HELD = "held"
    """It waits for `jobctl start`."""
    DEPENDENCY = "dependency"
    """It waits for other jobs."""
    DELAYED = "delayed"
    """It waits for its time."""
    RETRY_BACKOFF = "retry backoff"
    """It has failed, and waits for its next attempt."""
    GROUP_FULL = "group full"
    """All workers of its group have a job."""
    GROUP_PAUSED = "group paused"
    """Its group starts nothing."""
    RESOURCES = "resources"
    """It needs more workers or GPUs than are free."""
    ENGINE_AWAY = "engine away"
    """Where its jobs run cannot be reached just now."""
    DRAINING = "draining"
    """The daemon shuts down."""
    # Why a job ended so.
    BY_USER = "by user"
    """Somebody has stopped it."""
    SHUTDOWN = "shutdown"
    """The daemon was stopped with `--now`."""
    LOST = "lost"
    """How it ended cannot be known."""
    TIME_LIMIT = "time limit"
    """It took longer than it may."""
    # Why something happened to it; these are seen in events alone.
    NOT_STARTED = "it could not be started yet"
    """It is tried again."""
    RETENTION = "retention"
    """The configuration limits what is kept."""


_DEPENDENCY_FAILED: Final = "dependency failed"
_EXIT_CODE: Final = "exit code"
_SIGNAL: Final = "signal"


def dependency_failed(parent: int) -> str:
    """`parent`: the id of the job that has not ended as it was waited for."""
    return f"{_DEPENDENCY_FAILED}: {parent}"


def exit_code_reason(code: int) -> str:
    return f"{_EXIT_CODE} {code}"


def signal_reason(name: str) -> str:
    """`name` without SIG, as `signal_name` gives it."""
    return f"{_SIGNAL} {name}"


def lost_because(why: str) -> str:
    """`why`: what is known of it all the same."""
    return f"{Reason.LOST}: {why}"


_COULD_NOT_START: Final = "could not start"


def could_not_start(why: str) -> str:
    """`why` names a program or a directory: it is made `printable`."""
    return f"{_COULD_NOT_START}: {printable(why)}"


def is_failed_start(reason: str) -> bool:
    """Whether the job could not be started: the reason is one that `could_not_start` has made."""
    return reason.startswith(_COULD_NOT_START)


_CANNOT_BE_ENDED: Final = "cannot be ended"
_PLAIN: Final = frozenset(reason.value for reason in Reason)
_BEGINNINGS: Final = (
    _DEPENDENCY_FAILED, _EXIT_CODE, _SIGNAL, _COULD_NOT_START, _CANNOT_BE_ENDED,
)  # fmt: skip
"""Of those that name a value."""
_PID: Final = r"\bpid (\d+)\b"


def cannot_be_ended(whose: str) -> str:
    """Of a running job that was told to end. `whose`: `pid 12 (sleep) belongs to root`, perhaps
    several; no name in it holds a space.
    """
    return f"{_CANNOT_BE_ENDED}: {whose}"


def how_to_end(reason: str | None) -> str | None:
    """The command that ends what keeps a job from ending; None: that is not its reason."""
    pids = unending_of(reason)
    return f"sudo kill {' '.join(map(str, pids))}" if pids else None


def unending_of(reason: str | None) -> list[int]:
    """The processes that `cannot_be_ended` names."""
    if reason is None or not reason.startswith(_CANNOT_BE_ENDED):
        return []
    return [int(pid) for pid in re.findall(_PID, reason)]


def kind_of(reason: str | None) -> str:
    """A reason without what it names, so that there are few: `exit code`, `signal`, `lost`.

    Empty: there is none. `other`: none that this version knows.
    """
    if reason is None:
        return ""
    if reason == Reason.DEPENDENCY:
        return _DEPENDENCY_FAILED
    return reason if reason in _PLAIN else next(filter(reason.startswith, _BEGINNINGS), "other")


class Resource(StrEnum):
    """What a job may need more of than there is, so that it can never start."""

    WORKERS = "workers"
    GROUP = "group"
    """The workers that its group may have."""
    GPUS = "gpus"


class EventName(StrEnum):
    """What can happen, as the history tells it."""

    SUBMITTED = "submitted"
    """It came into the queue."""
    STARTED = "started"
    """An attempt began."""
    PROGRESS = "progress"
    """It has come further."""
    PAUSED = "paused"
    """A job was halted, or a group starts nothing."""
    RESUMED = "resumed"
    """It goes on."""
    COMPLETED = State.COMPLETED.value
    """It ended with exit code 0."""
    FAILED = State.FAILED.value
    """It ended otherwise, or could not start."""
    STOPPED = State.STOPPED.value
    """Somebody has ended it, or taken it out of the queue."""
    RETRYING = "retrying"
    """An attempt failed, and the next one follows."""
    RESTARTED = "restarted"
    """It is pending again, by somebody or because it was interrupted."""
    EDITED = "edited"
    """Its options were changed."""
    HELD = Reason.HELD.value
    """It does not start before somebody lets it go."""
    REMOVED = "removed"
    """It was deleted."""
    WORKERS = "workers"
    """The workers of the daemon or of a group have changed."""
    DAEMON_STARTED = "daemon started"
    """The daemon began."""
    DAEMON_STOPPED = "daemon stopped"
    """The daemon ended."""


class Occasion(StrEnum):
    """What somebody can ask to be told of, in `[[notify]] on` and `submit --notify`."""

    COMPLETED = State.COMPLETED.value
    FAILED = State.FAILED.value
    STOPPED = State.STOPPED.value
    LOST = Reason.LOST.value
    """How an attempt ended cannot be known, whether it is run again or not."""
    STUCK = "stuck"
    """Something has come to be what `jobctl status` calls so."""
    QUEUE_EMPTY = "queue empty"
    """The last job has ended: nothing is pending or running."""


ENDS: Final = (Occasion.COMPLETED, Occasion.FAILED, Occasion.STOPPED)
OF_A_JOB: Final = (*ENDS, Occasion.LOST)
"""All others are of the queue."""


class DeliveryState(StrEnum):
    """How far a message has come on its way to one destination."""

    WAITING = "waiting"
    """For its first try, or for the next one."""
    SENDING = "sending"
    DELIVERED = "delivered"
    GIVEN_UP = "given up"


class Source(StrEnum):
    """Whence the value of a key of the configuration is."""

    DEFAULT = "default"
    FILE = "file"
    OPTION = "option"
    """Of `jobd start`."""
    COMMAND = "command"
    """`jobctl workers` or `jobctl groups`."""
    ENVIRONMENT = "environment"


class FromWhen(StrEnum):
    """From when on a change of the configuration counts."""

    NOW = "now"
    RESTART = "restart"
    """From the next daemon on: `jobd restart`."""
    NEVER = "never"
    """What the file says no more of a group stays as it is until a command changes it."""
