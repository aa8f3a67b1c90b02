"""The errors that a user can foresee, and the exit code each one has.

    JobdError                  1   could not be done as asked
    ├── BadRequest             2   no queue could accept it; names the field and the next step
    │   └── WrongUsage         2   what was written makes no request: nothing was sent
    ├── NotFound               1   no such job, parent or group
    ├── Refused                1   the job's state, or the queue as it is, does not allow it
    ├── StoreFailed            1   disk full, I/O error, unreadable database
    │   └── StoreGone          1   the database was deleted while the daemon runs
    ├── NotRunning            69   no daemon answers (EX_UNAVAILABLE of sysexits.h)
    ├── Busy                   1   all places of the daemon are taken by other clients
    ├── ShuttingDown          75   takes no new jobs (EX_TEMPFAIL)
    ├── NotPermitted          77   another user (EX_NOPERM)
    ├── VersionMismatch        1   client and daemon speak another protocol
    └── InternalError          1   a defect; the daemon's log has the traceback

Between the processes they travel as data (`WireError`), never as exceptions.
"""

from __future__ import annotations

from typing import ClassVar, Final


class JobdError(Exception):
    """A foreseeable error: its text is for the user, its exit code for the script."""

    exit_code: ClassVar[int] = 1

    @property
    def message(self) -> str:
        return str(self.args[0]) if self.args else type(self).__name__


class BadRequest(JobdError):
    """A field of the request is wrong; the text names it, and what to do. Nothing was changed."""

    exit_code = 2


class WrongUsage(BadRequest):
    """Of a client alone, so it has no name on the wire: it sees before it asks."""


class NotFound(JobdError):
    """There is no such job, attempt, group or output (any more)."""


class Refused(JobdError):
    """The state that the job, group or queue is in does not allow it. Nothing was changed."""


class StoreFailed(JobdError):
    """What was asked could not be read or be brought to disk; what is on disk is as before."""


class StoreGone(StoreFailed):
    """The database was deleted or moved while the daemon runs: nothing can be saved."""


class NotRunning(JobdError):
    """No daemon answers at the socket."""

    exit_code = 69


class Busy(JobdError):
    """All places of the daemon are taken by other clients; a little later there may be one."""


class ShuttingDown(JobdError):
    """The daemon takes no new jobs, since it is about to end."""

    exit_code = 75


class NotPermitted(JobdError):
    """The caller may not ask that, or what is there is not the caller's own."""

    exit_code = 77


class VersionMismatch(JobdError):
    """Client and daemon speak different protocols: one of them was upgraded alone."""


class InternalError(JobdError):
    """A defect of ours; the daemon's log has the traceback."""


LEAVING: Final = "jobd leaves, and what was waited for has not ended"
"""What a daemon that nobody follows tells whoever waits on."""
NO_MEMORY: Final = (
    "there is not enough memory for this (see: ulimit -v, or what else runs on the machine); ask "
    "for less at a time, or raise the limit"
)
NO_THREAD: Final = (
    "the machine gives no further thread (see: ulimit -u and ulimit -v); raise the limit, or end "
    "something else"
)


def shortage(error: BaseException) -> str | None:
    """What the machine refuses, in words, where it is that what an error tells of; else None."""
    if isinstance(error, MemoryError):
        return NO_MEMORY
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return NO_THREAD
    return None


BY_NAME: dict[str, type[JobdError]] = {
    kind.__name__: kind
    for kind in (
        JobdError,
        BadRequest,
        NotFound,
        Refused,
        StoreFailed,
        StoreGone,
        NotRunning,
        Busy,
        ShuttingDown,
        NotPermitted,
        VersionMismatch,
        InternalError,
    )
}
"""How an error that came as data becomes an exception again."""
