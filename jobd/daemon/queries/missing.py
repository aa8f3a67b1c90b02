"""Whether all that a job has printed is still there, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from jobd.contract.errors import NotFound
from jobd.contract.wording import counted
from jobd.outputs.workspace import Output, Workspaces
from jobd.store.reader import Reader

_EMPTIED: Final = (
    "its output is empty, and was changed: what was in it is gone (> /dev/stderr does that)"
)


class Missing:
    """Any thread may ask of a job that does not run."""

    def __init__(
        self, workspaces: Workspaces, reader: Reader, lost: Callable[[int], str | None]
    ) -> None:
        """`lost`: what a power cut took of a job's output."""
        self._workspaces = workspaces
        self._reader = reader
        self._lost = lost

    def of(self, job: int, latest: Output) -> str | None:
        """None: nothing is missing, as far as can be told. `latest`: of its latest attempt."""
        if lost := self._lost(job):
            return lost
        recorded = self._reader.output_bytes(job)
        left = self._left(job)
        if left is not None and left < recorded:
            gone = recorded - left
            of_all = "" if gone == recorded else f" of {recorded}"
            return (
                f"{counted(gone, 'byte')}{of_all} of its output {'is' if gone == 1 else 'are'} "
                "gone: after its end that was emptied, shortened or replaced"
            )
        return _EMPTIED if latest.was_emptied() else None

    def _left(self, job: int) -> int | None:
        """Bytes that are there, of all attempts; None: nobody can say that of one."""
        try:
            return sum(
                self._workspaces.output_of(one.engine, job, one.attempt).stored().kept
                for one in self._reader.attempts(job)
            )
        except NotFound:
            return None
