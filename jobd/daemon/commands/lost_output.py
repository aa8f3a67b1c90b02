"""What a power cut took of the output of jobs that had ended: found at the start behind it, told
until the next one, or until somebody has it forgotten.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from jobd.core.undo import Undo
from jobd.outputs.workspace import Workspaces
from jobd.store.losses import Losses, LossRecord, OnRecord, Short
from jobd.store.writer import Writer
from jobd.system.clock import offset_us

log = logging.getLogger(__name__)
_RECENT_US: Final = 600_000_000
"""Before the last end on record: what was written earlier the kernel has long brought to the disk,
and whatever is missing of it somebody has taken.
"""
_MOST: Final = 10_000


class LostOutput:
    """`look` is called once, by the thread that starts the daemon; any thread asks."""

    def __init__(
        self,
        record: LossRecord,
        workspaces: Workspaces,
        writer: Writer,
        undo: Undo,
        *,
        same_boot: bool,
    ) -> None:
        """`same_boot`: the machine has run on since a daemon last used this instance."""
        self._record = record
        self._workspaces = workspaces
        self._writer = writer
        self._undo = undo
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
        forgotten = self.left()
        lost = [] if self._same_boot else self._lost(told)
        if not told.jobs and not lost:
            return
        missing = {one.job: one.noted - size for one, size in lost}
        self._losses = losses = Losses(offset_us() / 1e6, missing)
        self._writer.call(lambda: self._record.note(losses, forgotten))
        for one, _ in lost:
            self._make_anew(one)
            log.warning("job %d: %s", one.job, self.of(one.job))

    def left(self) -> list[Short]:
        """Of the outputs that are told of, what is there. Any thread but the writer's may ask, and
        it may take its time. Raises: JobdError.
        """
        return self._shorts([*self._losses.jobs])

    def forget(self, left: Sequence[Short]) -> str | None:
        """In a transaction: it is told no more. `left`: what is there just now.

        Gives what it was, in words; None: there was nothing.
        """
        before = self._losses
        if before.jobs:
            self._record.note(Losses(), left)
            self._keep(Losses())
            self._undo.add(lambda: self._keep(before))
        return before.in_all()

    def _keep(self, losses: Losses) -> None:
        self._losses = losses

    def _lost(self, told: Losses) -> list[Short]:
        jobs = self._writer.call(lambda: self._record.ended_lately(_RECENT_US, _MOST))
        return self._shorts([job for job in jobs if job not in told.jobs])

    def _shorts(self, jobs: Sequence[int]) -> list[Short]:
        """Those of which something is missing that a power cut can have taken."""
        found = []
        for one in self._writer.call(lambda: self._record.outputs(jobs)) if jobs else ():
            if self._workspaces.are_at_risk(engine for _, engine in one.attempts):
                outputs = [
                    self._workspaces.output_of(engine, one.job, number)
                    for number, engine in one.attempts
                ]
                size = sum(output.stored().kept for output in outputs)
                if size < one.noted:
                    found.append(Short(one, size))
        return found

    def _make_anew(self, one: OnRecord) -> None:
        """Where even the name of a file is gone, an empty one says what there is: nothing."""
        for attempt, engine in one.attempts:
            try:
                self._workspaces[engine].make_anew(one.job, attempt)
            except OSError as error:
                log.warning("job %d: its output cannot be made anew: %s", one.job, error)
