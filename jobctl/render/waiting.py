"""What `submit --wait` shows: the job's output on stdout, all else on stderr."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from jobctl.render import notices, output_notices, streams, verdicts
from jobd.contract.models import Piece, Submitted, Waited


class Printed:
    """Told by `jobctl.actions.wait` what becomes of the jobs, and prints it."""

    def __init__(self, make_room: Callable[[], None] = lambda: None) -> None:
        """`make_room`: called before anything comes onto the terminal beside what is said."""
        self._make_room = make_room
        self._last = b"\n"
        """The last byte of output."""

    def waiting(self, submitted: Submitted) -> None:
        notices.waiting_for(submitted)

    def output(self, data: bytes) -> bool:
        if streams.on_terminal():
            self._make_room()
        try:
            streams.raw(data)
        except OSError as error:
            # The wait goes on: the exit code is the job's.
            streams.abandon_stdout()
            if not isinstance(error, BrokenPipeError):
                streams.error(f"its output cannot be written: {error.strerror}")
            return False
        self._last = data[-1:]
        return True

    def output_anew(self, piece: Piece) -> None:
        output_notices.anew(piece, self._last)
        self._last = b"\n"

    def output_over(self) -> None:
        if self._last != b"\n":
            streams.end_line()

    def stopping(self, submitted: Submitted) -> None:
        notices.stopping(submitted)

    def left(self, submitted: Submitted) -> None:
        notices.goes_on(submitted)

    def ending(self, jobs: Sequence[int]) -> AbstractContextManager[object]:
        return notices.ending(jobs)

    def ended(self, waited: Waited, submitted: Submitted) -> None:
        self._make_room()
        if waited.total == 1 and waited.jobs:
            verdicts.ended(waited.jobs[0])
        else:
            verdicts.verdict(waited)
        if not waited.total:
            notices.missing([submitted.first])
