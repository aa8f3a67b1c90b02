"""Whose moves are still to be passed on to those that wait for them."""

from __future__ import annotations

from jobd.core.undo import Undo
from jobd.store.dependencies import Dependencies


class Unsettled:
    """Jobs whose move is still to be passed on to those that wait for them.

    Which they are is on disk; whether there are any is known here. Kept by the writer's thread.
    """

    def __init__(self, dependencies: Dependencies, undo: Undo) -> None:
        self._dependencies = dependencies
        self._undo = undo
        self.some = False
        """Whether there may be some; from `look_again` on never falsely False."""

    def note(self, job: int) -> None:
        """In a transaction: the job has finished, or pends again."""
        if self._dependencies.note_change(job):
            self.some = True

    def none_left(self) -> None:
        """In a transaction: all has been passed on."""
        self.some = False
        self._undo.add(self.look_again)

    def look_again(self) -> None:
        """There may be some on disk: at the start, or because a transaction was taken back."""
        self.some = True
