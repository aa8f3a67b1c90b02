"""What a power cut took of the output of jobs that had ended: found at the start behind it, told
until the next one, and then forgotten.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Final

from jobd.outputs.on_disk import DiskWorkspace
from jobd.store.losses import Losses, LossRecord, OnRecord
from jobd.store.writer import Writer
from jobd.system.clock import offset_us

log = logging.getLogger(__name__)
_RECENT_US: Final = 600_000_000
"""Before the last end on record: what was written earlier the kernel has long brought to the disk,
and whatever is missing of it somebody has taken.
"""
_MOST: Final = 10_000
_HERE: Final = "local"
"""The engine whose jobs leave their output in files of ours."""


class LostOutput:
    """`look` is called once, by the thread that starts the daemon; any thread asks."""

    def __init__(
        self, record: LossRecord, workspace: DiskWorkspace, writer: Writer, *, same_boot: bool
    ) -> None:
        """`same_boot`: the machine has run on since a daemon last used this instance."""
        self._record = record
        self._workspace = workspace
        self._writer = writer
        self._same_boot = same_boot
        self._losses = Losses()

    def of(self, job: int) -> str | None:
        """In words; None: nothing is missing of it."""
        lost = self._losses.jobs.get(job)
        return None if lost is None else self._losses.words(lost, "its output")

    def look(self, *, fresh: bool) -> None:
        """`fresh`: a person has started the daemon: what the one before has told is forgotten.

        Raises: JobdError.
        """
        self._losses = told = self._writer.call(self._record.told)
        if not fresh:
            return
        forgotten = {one.job: size for one, size in self._shorts([*told.jobs])}
        lost = [] if self._same_boot else self._lost(told)
        if not told.jobs and not lost:
            return
        missing = {one.job: one.noted - size for one, size in lost}
        self._losses = losses = Losses(offset_us() / 1e6, missing)
        self._writer.call(lambda: self._record.note(losses, forgotten))
        for one, _ in lost:
            self._make_anew(one)
            log.warning("job %d: %s", one.job, self.of(one.job))

    def _lost(self, told: Losses) -> list[tuple[OnRecord, int]]:
        jobs = self._writer.call(lambda: self._record.ended_lately(_RECENT_US, _MOST))
        return self._shorts([job for job in jobs if job not in told.jobs])

    def _shorts(self, jobs: Sequence[int]) -> list[tuple[OnRecord, int]]:
        """Those of which something is missing, and the bytes that are there."""
        found = []
        for one in self._writer.call(lambda: self._record.outputs(jobs)) if jobs else ():
            outputs = [self._workspace.output_of(one.job, number) for number in one.attempts]
            size = sum(output.size() for output in outputs)
            if size < one.noted and set(one.engines) == {_HERE}:
                found.append((one, size))
        return found

    def _make_anew(self, one: OnRecord) -> None:
        """Where even the name of a file is gone, an empty one says what there is: nothing."""
        for attempt in one.attempts:
            try:
                os.close(self._workspace.output_file(one.job, attempt).make(os.O_WRONLY))
            except OSError as error:
                log.warning("job %d: its output cannot be made anew: %s", one.job, error)
