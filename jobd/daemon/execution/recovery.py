"""What a starting daemon does with what an earlier one left: nothing is guessed.

Every attempt marked `running` is a child (living or ended) of the supervisor, or never started
and pends again, or (both parents died) lives on and is watched, or is lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from jobd.core.ledger import Ledger
from jobd.core.progress.recognition import TOO_SLOW, Reading
from jobd.core.transitions import Outcome
from jobd.daemon.execution.endings import Endings
from jobd.daemon.execution.runs import Run, Runs
from jobd.daemon.execution.worker import Workers
from jobd.daemon.jobs.moves import Moves
from jobd.daemon.jobs.unsettled import Unsettled
from jobd.engines.base import Engine, Fate, Process
from jobd.store.batches import Batches
from jobd.store.reader import Reader
from jobd.store.records import JobRow, Started
from jobd.store.writer import Writer
from jobd.system.clock import now_us
from jobd.system.failpoints import failpoint

log = logging.getLogger(__name__)
_SLICE: Final = 1000
"""Jobs of an unfinished batch that are deleted in one transaction."""


class Recovery:
    """Called once, by the thread that starts the daemon, while the writer writes.

    Dispatch is still halted then, and no client is answered.
    """

    def __init__(
        self,
        *,
        reader: Reader,
        writer: Writer,
        batches: Batches,
        ledger: Ledger,
        moves: Moves,
        unsettled: Unsettled,
        runs: Runs,
        engine: Engine,
        workers: Workers,
        endings: Endings,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._batches = batches
        self._ledger = ledger
        self._moves = moves
        self._unsettled = unsettled
        self._runs = runs
        self._engine = engine
        self._workers = workers
        self._endings = endings

    def recover(self, load_groups: Callable[[], object] = lambda: None) -> None:
        """Unfinished batches → the queue → running attempts. Raises: JobdError.

        `load_groups`: called in a transaction, before anybody can come back into one of them.
        """
        self._drop_unfinished()
        rows = self._reader.running()
        found = self._engine.recover(
            {row.token: row.slot for row in rows if row.token and row.slot}
        )
        failpoint("recovering")
        never = {token for token, fate in found.items() if fate is Fate.NEVER_STARTED}
        unstarted = [_run(row, found) for row in rows if row.token in never]
        runs = [_run(row, found) for row in rows if row.token not in never]
        self._writer.call(lambda: self._enter(runs, unstarted, load_groups))
        self._writer.call(lambda: self._put_back(unstarted))
        paused = {row.id for row in rows if row.paused}
        for run in runs:
            self._see_to(run, paused=run.id in paused)
        if rows:
            lost = sum(run.process is None for run in runs)
            log.info(
                "recovered: %d running, %d never started, %d lost",
                len(runs) - lost, len(unstarted), lost,
            )  # fmt: skip

    def _drop_unfinished(self) -> None:
        for first, _ in self._reader.staged():
            while not self._writer.call(partial(self._batches.drop_staged, first, _SLICE)):
                pass

    def _enter(
        self, runs: list[Run], unstarted: list[Run], load_groups: Callable[[], object]
    ) -> None:
        """Memory becomes what the disk says; from here on dependants may enter the ready queue."""
        load_groups()
        self._ledger.load(self._reader.ready(), self._reader.counts())
        self._unsettled.look_again()
        for run in (*runs, *unstarted):
            self._ledger.occupy(run.entry, run.slot, run.gpus)
        for run in runs:
            self._runs.enter(run)

    def _put_back(self, unstarted: list[Run]) -> None:
        """Those that were to be stopped are now."""
        for run in unstarted:
            self._moves.unstarted(run.started, run.order)

    def _see_to(self, run: Run, *, paused: bool) -> None:
        if run.process is None:
            log.warning("job %d: the outcome of attempt %d is lost", run.id, run.attempt)
            self._endings.finish(run, Outcome(lost=True))
            return
        if paused:
            # The order may have come to the disk and not to the process.
            run.halt(now_us() / 1e6, paused=True)
        self._workers.hand_over(run)


def _run(row: JobRow, found: dict[str, Process | Fate]) -> Run:
    started = Started(
        row.entry, row.attempt, row.token or "", row.spec, row.environment, row.started_at or 0,
        row.policy, row.failures, row.array_index,
    )  # fmt: skip
    process = found.get(started.token, Fate.LOST)
    gpus = tuple(int(index) for index in (row.given_gpus or "").split(",") if index)
    run = Run(started, row.slot or 0, gpus, None if isinstance(process, Fate) else process)
    run.ordered(row.stop)
    if row.progress_message == TOO_SLOW:
        run.reading = Reading(row.progress, TOO_SLOW)
    return run
