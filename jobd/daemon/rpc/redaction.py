"""How a viewer is told of a fault: without its words, which are in the log of the owner."""

from __future__ import annotations

from typing import Final

from jobd.contract.errors import (
    BadRequest,
    Busy,
    JobdError,
    NotFound,
    NotPermitted,
    NotRunning,
    Refused,
    ShuttingDown,
    VersionMismatch,
)

_ABOUT_THE_REQUEST: Final = (
    BadRequest, Busy, NotFound, NotPermitted, NotRunning, Refused, ShuttingDown, VersionMismatch,
)  # fmt: skip
"""Errors that speak of what was asked for and of nothing else."""
_FAULT: Final = "jobd cannot answer that just now; its owner sees why: jobd log"


def error_for_viewers(error: JobdError) -> JobdError:
    """The error itself where it is about the request; else one of its kind that says no more than
    that something is wrong.
    """
    return error if isinstance(error, _ABOUT_THE_REQUEST) else type(error)(_FAULT)
