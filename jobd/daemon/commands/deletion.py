"""The files of removed jobs go, too: by whomever removed them, or at the next start."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import Final

from jobd.contract.directories import File
from jobd.core.ledger import Ledger
from jobd.outputs.limit import note_of
from jobd.outputs.workspace import Workspace
from jobd.store.jobs import Jobs
from jobd.store.reader import Reader
from jobd.store.writer import Writer

log = logging.getLogger(__name__)
_SLICE: Final = 500
"""Jobs whose files are deleted before that is noted."""


class Deletion:
    """Any thread but the writer's may call; several may at once, and each finds the work done."""

    def __init__(
        self, workspace: Workspace, ledger: Ledger, jobs: Jobs, reader: Reader, writer: Writer
    ) -> None:
        self._workspace = workspace
        self._ledger = ledger
        self._jobs = jobs
        self._reader = reader
        self._writer = writer

    def delete_outputs(self) -> None:
        """Of all removed jobs. Which they are is on disk: what a crash leaves is found again.

        Raises: JobdError (what is left cannot be read, or what is done not be noted).
        """
        while gone := self._reader.deletions(_SLICE):
            for job, attempts in gone:
                for attempt in range(1, attempts + 1):
                    self._delete_output(job, attempt)
            self._workspace.delete_empty_folders(job for job, _ in gone)
            self._writer.call(partial(self._jobs.deleted, [job for job, _ in gone]))
        if not self._ledger.busy:
            self._workspace.release()

    def _delete_output(self, job: int, attempt: int) -> None:
        output = self._workspace.output_of(job, attempt)
        _delete(output)
        _delete(note_of(output))


def _delete(file: File) -> None:
    """What cannot be deleted is left where it is: it must not keep others from being deleted."""
    try:
        with suppress(FileNotFoundError):
            file.unlink()
    except OSError as error:
        log.warning("%s stays: %s", file.path, error.strerror)
