"""Jobs that come to a finished state: clients and jobs that wait for one are told of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jobd.core.undo import Undo
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.jobs.unsettled import Unsettled


class Finished:
    """Kept by the writer's thread alone.

    Promises that clients hear of an end once it is on disk, and of none that was taken back.
    """

    def __init__(self, unsettled: Unsettled, undo: Undo, notifier: Notifier) -> None:
        self._unsettled = unsettled
        self._undo = undo
        self._notifier = notifier
        self._jobs: list[int] = []

    def note(self, job: int) -> None:
        """In a transaction: it has come to a finished state."""
        self.note_together([job], [job])

    def note_together(self, jobs: Sequence[int], awaited: Iterable[int]) -> None:
        """The same of several. `awaited`: those of them that other jobs may wait for."""
        before = len(self._jobs)
        self._jobs += jobs
        self._undo.add(lambda: self._jobs.__delitem__(slice(before, None)))
        for job in awaited:
            self._unsettled.note(job)

    def tell(self) -> None:
        """After the commit."""
        if self._jobs:
            jobs = self._jobs.copy()
            self._jobs.clear()
            for job in jobs:
                self._notifier.finished(job)
