"""What `logs` says beside an output: why there is none, or not all of it."""

from __future__ import annotations

from collections.abc import Sequence

from jobctl.render import streams, text
from jobd.contract.models import Piece
from jobd.contract.states import State


def nothing(piece: Piece, *, follow: bool) -> bool:
    """Why there is no output, if there is none; whether that was said."""
    if not piece.attempt or piece.state is State.PENDING:
        _not_started(piece, follow=follow)
    elif not piece.behind:
        _nothing_printed(piece, follow=follow)
    else:
        return False
    return True


def none_of(jobs: Sequence[int]) -> None:
    """Of several that are shown as they stand, those of which nothing is."""
    if jobs:
        streams.notice(f"no output of {text.some(jobs, len(jobs))}")


def not_started(count: int) -> None:
    """Of several that are followed; a person need not wonder where they are."""
    if count:
        which = "1 job has" if count == 1 else f"{count:,} jobs have"
        streams.notice(f"{which} not started yet; the output follows")


def _not_started(piece: Piece, *, follow: bool) -> None:
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


def _nothing_printed(piece: Piece, *, follow: bool) -> None:
    job = piece.id
    if piece.state is not State.RUNNING or piece.ended:
        streams.notice(f"job {job} left no output")
    elif follow:
        streams.notice(f"job {job} has printed nothing yet; its output follows")
    else:
        streams.notice(f"job {job} has printed nothing yet; follow: jobctl logs -f {job}")


def anew(piece: Piece, last: bytes) -> None:
    """What was printed before, `last` at its end, is no longer in the output."""
    if last != b"\n":
        streams.end_line()
    streams.notice(
        f"job {piece.id} made its output shorter, or replaced it; what is there now follows"
    )


def clipped(piece: Piece) -> None:
    """Of the first of the last lines only the end is there."""
    streams.notice(f"the end of a line of more than a megabyte; all: jobctl logs {piece.id}")


def lost(piece: Piece) -> None:
    """Output that is not there any more."""
    streams.notice(f"job {piece.id}: {text.localized(piece.lost or '')}")
