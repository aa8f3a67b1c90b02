"""Dispatch: which job starts next. It happens in the transaction that made room for it.

There is no dispatch loop to wake: every transaction ends with `fill`, which gives each free slot
the best job that may run. So whatever made a job ready or freed a slot (a submit, an end, more
workers) starts the next one in its own commit. After that commit a worker's thread takes over.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from jobd.contract.errors import StoreGone
from jobd.core.ledger import Holding, Ledger
from jobd.daemon.execution.breaker import Breakers
from jobd.daemon.execution.drain import Drain
from jobd.daemon.execution.engines import Engines
from jobd.daemon.execution.runs import Run, Runs
from jobd.daemon.execution.worker import Workers
from jobd.daemon.jobs.delays import Delays
from jobd.daemon.jobs.moves import Moves
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.jobs.propagation import Propagation
from jobd.store.event_log import EventLog
from jobd.store.records import Location
from jobd.store.reserve import Reserve
from jobd.store.writer import Writer
from jobd.system.timer import Timer

_TOKEN: Final = 16
"""Bytes of a token."""
_TOKENS: Final = 64
_RETRY_S: Final = 1.0
"""Seconds until another transaction is made: after one that failed, and while the disk is full."""


class Dispatcher:
    """Called by the writer's thread, at the end of each of its transactions."""

    def __init__(
        self,
        *,
        event_log: EventLog,
        ledger: Ledger,
        moves: Moves,
        propagation: Propagation,
        runs: Runs,
        breaker: Breakers,
        engines: Engines,
        reserve: Reserve,
        commits: Commits,
    ) -> None:
        self._event_log = event_log
        self._ledger = ledger
        self._moves = moves
        self._propagation = propagation
        self._runs = runs
        self._breaker = breaker
        self._reserve = reserve
        self._commits = commits
        self._tokens = _Tokens()
        self._engines = engines
        self._placement = engines.placement
        self._locations = {name: Location(name, engines[name].host) for name in engines}

    def fill(self) -> Callable[[], object]:
        """Tell dependants, then give every free slot the best job that may run.

        What is returned starts them, after the commit.
        """
        more = self._propagation.tell()
        runs: list[Run] = []
        already: dict[str, int] = {}
        while (taken := self._take(already)) is not None:
            run = self._claim(taken)
            if run is not None:
                runs.append(run)
                already[run.engine] = already.get(run.engine, 0) + 1
        last_event = self._event_log.take_last()
        return lambda: self._commits.follow(runs, last_event, more=more)

    def _take(self, already: dict[str, int]) -> Holding | None:
        """Nothing on a full disk: what is left there is for the ends of those that run."""
        if self._ledger.free_workers < 1:
            return None
        shut = None if self._reserve.in_use else self._breaker.shut(already)
        if shut is None:
            return None
        shut = {*shut, *(name for name in self._engines if self._is_full(name))}
        engine_of = self._placement.engine_of
        return self._ledger.take((lambda group: engine_of(group) in shut) if shut else None)

    def _is_full(self, engine: str) -> bool:
        capacity = self._engines[engine].capacity
        return capacity is not None and self._runs.count_on(engine) >= capacity

    def _claim(self, holding: Holding) -> Run | None:
        """On disk it runs from here on, on the engine of its group."""
        location = self._locations[self._placement.engine_of(holding.entry.group)]
        started = self._moves.started(holding, self._tokens.draw(), location)
        if started is None:
            return None
        run = Run(started, holding.slot, holding.gpus)
        self._runs.enter(run)
        return run


class _Tokens:
    """Names for attempts, at random, so many at a time: a call into the kernel for each would let
    other threads run in the midst of a transaction.
    """

    def __init__(self) -> None:
        self._left: list[str] = []

    def draw(self) -> str:
        if not self._left:
            content = os.urandom(_TOKEN * _TOKENS)
            pieces = range(0, len(content), _TOKEN)
            self._left = [content[begin : begin + _TOKEN].hex() for begin in pieces]
        return self._left.pop()


class Again:
    """One more transaction, for what is still to be done. Called by the writer's thread."""

    def __init__(self, writer: Writer, timer: Timer) -> None:
        self._writer = writer
        self._timer = timer
        self._due = False

    def at_once(self) -> None:
        """As soon as those that wait have had theirs."""
        self._writer.nudge()

    def soon(self) -> None:
        """In a while; it may help then, and does not now."""
        if not self._due:
            self._due = True
            self._timer.after(_RETRY_S, self._nudge)

    def _nudge(self) -> None:
        self._due = False
        self._writer.nudge()


class Commits:
    """What follows a commit. Called by the writer's thread, between two of its transactions."""

    def __init__(
        self,
        workers: Workers,
        notifier: Notifier,
        again: Again,
        reserve: Reserve,
        delays: Delays,
        drain: Drain,
    ) -> None:
        self._workers = workers
        self._notifier = notifier
        self._again = again
        self._reserve = reserve
        self._delays = delays
        self._drain = drain

    def follow(self, runs: list[Run], last_event: int | None, *, more: bool) -> None:
        """Start what was claimed, wake whoever waits for what has happened. `more`: there are
        dependants who have to be told.
        """
        for run in runs:
            self._workers.hand_over(run)
        if more:
            self._again.at_once()
        if self._reserve.in_use:
            self._again.soon()
        self._delays.arm()
        if last_event is not None:
            self._notifier.published(last_event)
        if not more:
            self._drain.look()


class Trouble:
    """What follows a transaction that failed. Called by the writer's thread."""

    def __init__(
        self,
        event_log: EventLog,
        again: Again,
        drain: Drain,
        store_gone: Callable[[], object],
    ) -> None:
        """`store_gone`: called when nothing can be saved since the database is not there."""
        self._event_log = event_log
        self._again = again
        self._drain = drain
        self._store_gone = store_gone

    def hear(self, error: Exception) -> None:
        """What should have been started or recorded is tried again."""
        self._event_log.recall_last()
        if isinstance(error, StoreGone):
            self._store_gone()
            # No commit will ever tell it.
            self._drain.look()
        self._again.soon()
