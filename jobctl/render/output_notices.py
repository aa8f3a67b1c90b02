"""What `logs` says beside an output: why there is none, or not all of it."""

from __future__ import annotations

from jobctl.render import streams, text
from jobd.contract.models import Piece, State


def not_started(piece: Piece, *, follow: bool) -> bool:
    """Why there is no output; it is said once."""
    job, why = piece.id, f": {text.localized(piece.why)}" if piece.why else ""
    if piece.state is not State.PENDING:
        streams.notice(f"job {job} never started; why: jobctl show {job}")
    elif follow:
        streams.notice(f"job {job} has not started yet{why}; its output follows")
    elif piece.attempt > 1:
        earlier = piece.attempt - 1
        streams.notice(
            f"attempt {piece.attempt} of job {job} has not started yet{why}; "
            f"the one before: jobctl logs --attempt {earlier} {job}"
        )
    else:
        streams.notice(f"job {job} has not started yet{why}; follow: jobctl logs -f {job}")
    return True


def nothing_printed(piece: Piece, *, follow: bool) -> bool:
    """That an attempt has no output; it is said once, and at once."""
    job = piece.id
    if piece.state is not State.RUNNING or piece.ended:
        streams.notice(f"job {job} left no output")
    elif follow:
        streams.notice(f"job {job} has printed nothing yet; its output follows")
    else:
        streams.notice(f"job {job} has printed nothing yet; follow: jobctl logs -f {job}")
    return True


def clipped(piece: Piece) -> None:
    """Of the first of the last lines only the end is there."""
    streams.notice(f"the end of a line of more than a megabyte; all: jobctl logs {piece.id}")


def lost(piece: Piece) -> None:
    """Output that is not there any more."""
    streams.notice(f"job {piece.id}: {text.localized(piece.lost or '')}")
