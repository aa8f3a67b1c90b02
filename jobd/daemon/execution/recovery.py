"""What a starting daemon does with what an earlier one left: nothing is guessed.

Every attempt marked `running` is a child (living or ended) of the supervisor, or never started
and pends again, or (both parents died) lives on and is watched, or is lost.
"""

from __future__ import annotations

import logging

from jobd.core.progress.recognition import TOO_SLOW, Reading
from jobd.core.transitions import Outcome
from jobd.daemon.execution.runs import Run
from jobd.daemon.execution.scheduler import Scheduler
from jobd.daemon.jobs.state import Books
from jobd.engines.base import Engine, Fate, Process
from jobd.store.reader import Reader
from jobd.store.records import JobRow
from jobd.store.store import Started
from jobd.store.writer import Writer
from jobd.system.clock import now_us
from jobd.system.failpoints import failpoint

log = logging.getLogger(__name__)
_SLICE = 1000


def recover(
    reader: Reader,
    writer: Writer,
    books: Books,
    scheduler: Scheduler,
    engine: Engine,
) -> None:
    """Unfinished batches → the queue → running attempts; dispatch is still halted."""
    store = books.store
    for first, _ in reader.staged():
        while not writer.call(lambda: store.drop_staged(first, _SLICE)):  # noqa: B023
            pass
    rows = reader.running()
    found = engine.recover({row.token: row.slot for row in rows if row.token and row.slot})
    failpoint("recovering")
    lost = [row for row in rows if found.get(row.token or "", Fate.LOST) is Fate.LOST]
    never = {token for token, fate in found.items() if fate is Fate.NEVER_STARTED}
    unstarted = [_run(row, found) for row in rows if row.token in never]
    runs = [_run(row, found) for row in rows if row.token not in never]
    writer.call(lambda: _enter(runs, unstarted, reader, books, scheduler))
    writer.call(lambda: _put_back(books, unstarted))
    paused = {row.id for row in rows if row.paused}
    for run in runs:
        if run.process is None:
            log.warning("job %d: the outcome of attempt %d is lost", run.id, run.attempt)
            scheduler.finish(run, Outcome(lost=True))
        else:
            if run.id in paused:
                # The order may have come to the disk and not to the process.
                run.halt(now_us() / 1e6, paused=True)
            scheduler.adopt(run)
    if rows:
        log.info(
            "recovered: %d running, %d never started, %d lost",
            len(rows) - len(lost) - len(unstarted), len(unstarted), len(lost),
        )  # fmt: skip


def _put_back(books: Books, unstarted: list[Run]) -> None:
    """Those that were to be stopped are now."""
    for run in unstarted:
        books.moves.unstarted(run.started, run.order)


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


def _enter(
    runs: list[Run], unstarted: list[Run], reader: Reader, books: Books, scheduler: Scheduler
) -> None:
    """Memory becomes what the disk says; from here on dependants may enter the ready queue."""
    ledger = books.ledger
    ledger.load(reader.ready(), reader.counts())
    books.unsettled.look_again()
    for run in (*runs, *unstarted):
        ledger.occupy(run.started.entry, run.slot, run.gpus)
    for run in runs:
        scheduler.runs.enter(run)
