"""Watches what running jobs say of their progress; sleeps for good while none runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from jobd.contract.paths import Paths, output_name
from jobd.core.progress import Reading, from_file, from_output
from jobd.outputs import read_tail
from jobd.runs import Run, Runs

_EVERY: Final = 0.5
"""Seconds between two looks at running jobs."""

log = logging.getLogger(__name__)


class Observer:
    def __init__(
        self,
        paths: Paths,
        runs: Runs,
        report: Callable[[Run, Reading], object],
    ) -> None:
        # As text: these are put together for every job.
        self._output = str(paths.output)
        self._progress = str(paths.progress)
        self._runs = runs
        self._report = report
        self._something_runs = threading.Event()
        self._closed = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="observer", daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._something_runs.set()

    def wake(self) -> None:
        if not self._something_runs.is_set():
            self._something_runs.set()

    def file_of(self, run: Run) -> str:
        """The `JOBD_PROGRESS` of an attempt."""
        return f"{self._progress}/{run.job}.{run.attempt}"

    def last_look(self, run: Run) -> Reading | None:
        """What the job said since the last look, when it has ended."""
        return self._look(run)

    def _run(self) -> None:
        while self._something_runs.wait() and not self._closed.wait(_EVERY):
            if not self._runs:
                self._something_runs.clear()
                # A job that came between the look and the clearing.
                if self._runs:
                    self._something_runs.set()
                continue
            self._look_at_all()

    def _look_at_all(self) -> None:
        for run in self._runs.all():
            try:
                reading = self._look(run)
            except Exception:
                log.exception("job %d: its progress cannot be read", run.job)
                continue
            if reading is not None:
                self._report(run, reading)

    def _look(self, run: Run) -> Reading | None:
        """What is new; whole percents are enough, so that an attempt has few such events."""
        said = read_tail(self.file_of(run))
        reading = from_file(said) if said else self._from_output(run)
        before = run.reading
        if reading is None or (
            before is not None
            and int(before.percent) == int(reading.percent)
            and (before.message == reading.message or not said)
        ):
            return None
        run.reading = reading
        return reading

    def _from_output(self, run: Run) -> Reading | None:
        tail = read_tail(f"{self._output}/{output_name(run.job, run.attempt)}")
        return from_output(tail) if tail else None
