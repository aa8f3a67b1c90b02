"""The end of the daemon's work: nothing starts any more, and what runs is waited for."""

from __future__ import annotations

from collections.abc import Callable

from jobd.core.ledger import Ledger
from jobd.daemon.execution.runs import Runs
from jobd.store.writer import Writer


class Drain:
    """Any thread may call. Promises to say once more, whenever asked, that nothing is left."""

    def __init__(
        self, ledger: Ledger, runs: Runs, writer: Writer, drained: Callable[[], object]
    ) -> None:
        """`drained`: called when the last job has ended, perhaps several times; brief."""
        self._ledger = ledger
        self._runs = runs
        self._writer = writer
        self._drained = drained

    @property
    def begun(self) -> bool:
        return self._ledger.draining

    @property
    def is_over(self) -> bool:
        """It has begun, and nothing runs any more but what is left to the next daemon."""
        return self._ledger.draining and all(
            # Of one whose leader has ended the outcome is recorded first.
            run.left_behind and run.lives()
            for run in self._runs.all()
        )

    def begin(self) -> list[int]:
        """Start nothing more and take nothing more; the jobs that still run."""
        self._ledger.draining = True
        self._writer.nudge()
        return sorted(run.id for run in self._runs.all())

    def look(self) -> None:
        """A job may have been the last: after each commit, and where none will ever come."""
        if self.is_over:
            self._drained()
