"""The files of removed jobs go, too: by whomever removed them, or at the next start."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from jobd.core.ledger import Ledger
from jobd.outputs.workspace import Workspaces
from jobd.store.jobs import Jobs
from jobd.store.reader import Reader
from jobd.store.records import Removed
from jobd.store.writer import Writer

_SLICE: Final = 500
"""Jobs whose files are deleted before that is noted."""


class Deletion:
    """Any thread but the writer's may call; several may at once, and each finds the work done."""

    def __init__(
        self, workspaces: Workspaces, ledger: Ledger, jobs: Jobs, reader: Reader, writer: Writer
    ) -> None:
        self._workspaces = workspaces
        self._ledger = ledger
        self._jobs = jobs
        self._reader = reader
        self._writer = writer

    def delete_outputs(self) -> None:
        """Of all removed jobs. Which they are is on disk: what a crash leaves is found again.

        It is noted once it is on disk: a power cut would bring back what nobody then knows of.
        Where that fails it stays on record, and holds up nothing else.

        Raises: JobdError (what is left cannot be read, or what is done not be noted).
        """
        behind, way = 0, _Way(self._workspaces)
        while gone := self._reader.deletions(behind, _SLICE):
            behind = gone[-1].job
            if jobs := way.delete(gone):
                self._writer.call(partial(self._jobs.deleted, jobs))
        if not self._ledger.busy:
            self._workspaces.release()


class _Way:
    """Once through all removed jobs. An engine that can do nothing is not asked again meanwhile."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces
        self._failing: set[str] = set()

    def delete(self, gone: Sequence[Removed]) -> list[int]:
        """Those jobs of which nothing is left anywhere, nor will be after a power cut."""
        by_engine: dict[str, dict[int, int]] = {}
        for job, attempts, engines in gone:
            for engine in self._workspaces.of(engines):
                by_engine.setdefault(engine, {})[job] = attempts
        kept: set[int] = set()
        for engine, outputs in by_engine.items():
            asked = engine not in self._failing
            done = self._workspaces.delete(engine, outputs) if asked else set()
            if not done:
                self._failing.add(engine)
            kept |= outputs.keys() - done
        return [job for job, _, _ in gone if job not in kept]
