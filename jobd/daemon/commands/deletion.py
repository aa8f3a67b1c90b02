"""The files of removed jobs go, too: by whomever removed them, or at the next start."""

from __future__ import annotations

from functools import partial
from typing import Final

from jobd.core.ledger import Ledger
from jobd.outputs.workspace import Workspaces
from jobd.store.jobs import Jobs
from jobd.store.reader import Reader
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

        Raises: JobdError (what is left cannot be read, or what is done not be noted).
        """
        while gone := self._reader.deletions(_SLICE):
            for job, attempts in gone:
                for attempt in range(1, attempts + 1):
                    self._workspaces.delete(job, attempt)
            jobs = [job for job, _ in gone]
            self._workspaces.delete_empty_folders(jobs)
            if not self._workspaces.sync_folders(jobs):
                return
            self._writer.call(partial(self._jobs.deleted, jobs))
        if not self._ledger.busy:
            self._workspaces.release()
