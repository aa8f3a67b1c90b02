"""What a starting daemon does with what an earlier one left: nothing is guessed.

Every attempt marked `running` is asked for at the engine that has started it: it runs or has ended
and is seen through, it never started and pends again, or it is lost. An engine that cannot be
reached is asked again until it can; its attempts run on in the meantime, and nothing new starts.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from jobd.contract.errors import JobdError
from jobd.core.ledger import Ledger
from jobd.core.progress.recognition import TOO_SLOW, Reading
from jobd.core.transitions import Outcome
from jobd.daemon.execution.breaker import Breakers
from jobd.daemon.execution.endings import Endings
from jobd.daemon.execution.engines import Engines
from jobd.daemon.execution.run import Run
from jobd.daemon.execution.runs import Runs
from jobd.daemon.execution.worker import Workers
from jobd.daemon.jobs.unsettled import Unsettled
from jobd.engines.base import Attempt, Away, Engine, Fate, Process
from jobd.store.batches import Batches
from jobd.store.reader import Reader
from jobd.store.records import JobRow, Started
from jobd.store.writer import Writer
from jobd.system.clock import now_us, offset_us
from jobd.system.failpoints import failpoint

log = logging.getLogger(__name__)
_SLICE: Final = 1000
"""Jobs of an unfinished batch that are deleted in one transaction."""
Fates = Mapping[str, Process | Fate]
"""By token."""


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
        unsettled: Unsettled,
        runs: Runs,
        engines: Engines,
        breaker: Breakers,
        settling: Settling,
        unsaved: Mapping[str, int],
    ) -> None:
        """`unsaved`: as `Setup.unsaved`."""
        self._unsaved = unsaved
        self._reader = reader
        self._writer = writer
        self._batches = batches
        self._ledger = ledger
        self._unsettled = unsettled
        self._runs = runs
        self._engines = engines
        self._breaker = breaker
        self._settling = settling

    def recover(self, load_groups: Callable[[], object] = lambda: None) -> None:
        """Unfinished batches → the queue → running attempts. Raises: JobdError.

        `load_groups`: called in a transaction, before anybody can come back into one of them.
        """
        self._drop_unfinished()
        default = self._engines.placement.default
        runs = [_run(row, default) for row in self._reader.running()]
        for run in runs:
            if (at := self._unsaved.get(run.started.token)) is not None:
                run.ended(at + offset_us())
        found = {name: self._asked(name, runs) for name in self._engines}
        failpoint("recovering")
        known = [
            _with_fate(run, fates)
            for run in runs
            if not isinstance(fates := found[run.engine], Away)
        ]
        unstarted = [run for run, fate in known if fate is Fate.NEVER_STARTED]
        never = set(unstarted)
        begun = [run for run in runs if run not in never]
        self._writer.call(lambda: self._enter(begun, unstarted, load_groups))
        self._settling.put_back(unstarted)
        self._settling.see_to([run for run, fate in known if fate is not Fate.NEVER_STARTED])
        if runs:
            _tell(known, len(runs) - len(known))
        self._ask_later({name: why for name, why in found.items() if isinstance(why, Away)}, runs)

    def _asked(self, name: str, runs: Sequence[Run]) -> Fates | Away:
        """Raises: JobdError, OSError."""
        try:
            return _asked_of(self._engines[name], name, _of(name, runs))
        except Away as error:
            return error

    def _ask_later(self, away: Mapping[str, Away], runs: Sequence[Run]) -> None:
        """Not before those that run there are entered: the answer may come at once."""
        for name, why in away.items():
            mine = _of(name, runs)
            missed = Missed(name, mine, self._engines, self._breaker, self._settling)
            self._breaker[name].away(str(why), missed.ask)

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


class Settling:
    """What becomes of attempts that an engine was asked for. Any thread but the writer's calls."""

    def __init__(self, writer: Writer, workers: Workers, endings: Endings) -> None:
        self._writer = writer
        self._workers = workers
        self._endings = endings

    def put_back(self, unstarted: Sequence[Run]) -> None:
        """They never started: they wait again, or are stopped where that was asked for.

        Raises: JobdError.
        """
        for run in unstarted:
            self._endings.unmake(run)
        self._writer.call(lambda: self._unstart(unstarted))

    def see_to(self, runs: Sequence[Run]) -> None:
        """The rest: each with its process, or lost."""
        for run in runs:
            if run.process is None:
                log.warning("job %d: the outcome of attempt %d is lost", run.id, run.attempt)
                self._endings.finish(run, Outcome(lost=True))
            else:
                self._workers.hand_over(run)

    def _unstart(self, unstarted: Sequence[Run]) -> None:
        for run in unstarted:
            self._endings.unstart(run)


class Missed:
    """The attempts of an engine that was away when the daemon began."""

    def __init__(
        self,
        engine: str,
        runs: Sequence[Run],
        engines: Engines,
        breaker: Breakers,
        settling: Settling,
    ) -> None:
        self._name = engine
        self._runs = runs
        self._engine = engines[engine]
        self._breaker = breaker[engine]
        self._settling = settling
        self._asking = threading.Lock()
        self._answered = False

    def ask(self) -> None:
        """In a thread of its own, since it may take long; once at a time. From any thread."""
        thread = threading.Thread(target=self._ask, name=f"recover {self._name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._breaker.away(f"no thread to ask it: {error}")

    def _ask(self) -> None:
        with self._asking:
            if self._answered:
                return
            try:
                fates = _asked_of(self._engine, self._name, self._runs)
                known = [_with_fate(run, fates) for run in self._runs]
                self._settling.put_back([r for r, fate in known if fate is Fate.NEVER_STARTED])
            except (Away, JobdError, OSError) as error:
                self._breaker.away(str(error))
                return
            self._answered = True
            self._settling.see_to([r for r, fate in known if fate is not Fate.NEVER_STARTED])
            _tell(known, 0)
            self._breaker.started()


def _tell(known: Sequence[tuple[Run, Process | Fate]], missed: int) -> None:
    fates = [fate for _, fate in known]
    unstarted, lost = fates.count(Fate.NEVER_STARTED), fates.count(Fate.LOST)
    log.info(
        "recovered: %d running, %d never started, %d lost%s",
        len(fates) - unstarted - lost, unstarted, lost,
        f", {missed} on engines that are away" if missed else "",
    )  # fmt: skip


def _asked_of(engine: Engine, name: str, runs: Sequence[Run]) -> Fates:
    """An engine that breaks down has said nothing, and stops nobody else.

    Raises: Away, JobdError, OSError.
    """
    try:
        return engine.recover(_attempts(runs))
    except (Away, JobdError, OSError):
        raise
    except Exception as error:
        log.exception("engine %s: what runs there cannot be found", name)
        raise Away("internal error, see jobd log") from error


def _attempts(runs: Sequence[Run]) -> list[Attempt]:
    """Those that can be found at all: a damaged record may have lost its token."""
    return [
        Attempt(run.started.token, run.id, run.attempt, run.slot)
        for run in runs
        if run.started.token and run.slot
    ]


def _of(engine: str, runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.engine == engine]


def _with_fate(run: Run, fates: Fates) -> tuple[Run, Process | Fate]:
    fate = fates.get(run.started.token, Fate.LOST)
    if not isinstance(fate, Fate):
        run.begun(fate)
    return run, fate


def _run(row: JobRow, engine: str) -> Run:
    """As it was written down, without its process. `engine`: where the record does not say it."""
    started = Started(
        row.entry, row.attempt, row.token or "", row.spec, row.environment, row.started_at or 0,
        row.policy, row.failures, row.array_index, row.engine or engine, row.queued_at,
    )  # fmt: skip
    gpus = tuple(int(index) for index in (row.given_gpus or "").split(",") if index)
    run = Run(started, row.slot or 0, gpus)
    run.ordered(row.stop)
    if row.progress_message == TOO_SLOW:
        run.reading = Reading(row.progress, TOO_SLOW)
    if row.paused:
        # The order may have come to the disk and not to the process.
        run.halt(now_us() / 1e6, paused=True)
    return run
