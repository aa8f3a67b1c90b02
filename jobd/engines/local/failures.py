"""What keeps a job from beginning, in words: a fault of its command, or no room just now."""

from __future__ import annotations

import errno
from typing import Final

from jobd.contract.directories import Foreign
from jobd.contract.states import could_not_start
from jobd.core.transitions import without_paths
from jobd.engines.base import CannotStart, Launch, NoResources

_NO_ROOM: Final = frozenset(
    {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT}
)
"""Errors that say nothing about the command; it is tried again."""
_IN_THE_WAY: Final = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ETXTBSY})
"""Something else than a file is where an output should be."""


def failure(about: str, error: OSError) -> CannotStart | NoResources:
    kind = NoResources if error.errno in _NO_ROOM else CannotStart
    return kind(f"{about}: {reason_of(error)}")


def reason_of(error: OSError) -> str:
    """What it names stays as it is: paths and logins may have capitals."""
    said = error.strerror or str(error)
    return said if isinstance(error, Foreign) else said.lower()


def not_spawned(
    launch: Launch, error: OSError | ValueError | CannotStart
) -> CannotStart | NoResources:
    if isinstance(error, OSError):
        return failure(launch.argv[0].decode("utf-8", "replace"), error)
    return CannotStart(str(error))


def told_there(launch: Launch, why: str) -> str:
    """Viewers read the output, too, and are not to know what is a job's script or input."""
    reason = could_not_start(why)
    return without_paths(reason) if launch.stdin or launch.script else reason


def output_failure(path: str, error: OSError) -> CannotStart | NoResources:
    """Errors of the directory concern all jobs; only what stands in the file's place does not."""
    kind = CannotStart if error.errno in _IN_THE_WAY else NoResources
    return kind(f"output: {path}: {reason_of(error)}")
