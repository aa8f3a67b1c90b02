"""How far running jobs are, as they or others say it: noted, and heard by whoever watches."""

from __future__ import annotations

from jobd.core.eta import begun, reported, seconds_left
from jobd.core.progress.recognition import Reading
from jobd.daemon.execution.run import Run
from jobd.daemon.execution.runs import Runs
from jobd.daemon.jobs.moves import Moves, Progress
from jobd.store.reserve import Reserve
from jobd.store.writer import Writer
from jobd.system.clock import now_us


class ProgressReports:
    """What running jobs say of their progress, or somebody says for them."""

    def __init__(self, moves: Moves, runs: Runs, writer: Writer, reserve: Reserve) -> None:
        self._moves = moves
        self._runs = runs
        self._writer = writer
        self._reserve = reserve

    def post(self, run: Run, reading: Reading) -> None:
        """From any thread: it is noted soon, if the job still runs then.

        Not out of the reserve of a full disk: the next report, or that of its end, says it again;
        so it is where this one cannot be saved.
        """
        if self._reserve.in_use:
            _untold(run, reading)
            return
        self._writer.post(
            lambda: self._note_if_running(run, reading), failed=lambda _: _untold(run, reading)
        )

    def _note_if_running(self, run: Run, reading: Reading) -> None:
        if self._runs.get(run.id) is run:
            self.note(run, reading, "", now_us())

    def note(self, run: Run, reading: Reading, user: str, now: int) -> None:
        """In a transaction: the job shows it, and whoever watches hears it.

        `now`: microseconds since the epoch.
        """
        if reading.percent is not None:
            self._runs.paced(
                run,
                begun(reading.percent, now / 1e6, run.started.at / 1e6)
                if run.pace is None
                else reported(run.pace, reading.percent, now / 1e6),
            )
        left = seconds_left(run.pace, now / 1e6)
        progress = Progress(reading.percent, reading.message, left)
        self._moves.progressed(run.id, progress, user, now)


def _untold(run: Run, reading: Reading) -> None:
    """Whoever looks next is not to take it for what everybody knows."""
    if run.reading is reading:
        run.reading = None
