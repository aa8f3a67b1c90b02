"""Orders to running jobs: to end, or to stand still. What is signalled is on disk before.

order (in a transaction) → commit → carry out: a signal, and KILL when the grace is over
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec.structs import replace

from jobd.contract.errors import StoreFailed
from jobd.contract.states import Reason
from jobd.core.undo import Undo
from jobd.daemon.execution.run import Run
from jobd.daemon.execution.runs import Runs, whose
from jobd.daemon.execution.signaller import Signallers
from jobd.store.jobs import Jobs
from jobd.store.records import StopOrder
from jobd.store.writer import Writer
from jobd.system.clock import boot_us
from jobd.system.timer import Timer

log = logging.getLogger(__name__)
_LEFT_AFTER_S: Final = 2.5
"""Seconds after the end of its grace until a shutdown leaves what may not be signalled: `jobd stop`
looks every 2 s for what it has to tell.
"""
_RETRY_S: Final = 1.0
"""Seconds until an order that could not be saved is given again."""


class StopOrders:
    """Orders to end. Any thread may call, but where a method says that it is in a transaction."""

    def __init__(
        self,
        jobs: Jobs,
        runs: Runs,
        undo: Undo,
        writer: Writer,
        signallers: Signallers,
        *,
        timer: Timer,
        grace: Callable[[], float],
    ) -> None:
        """`grace`: seconds between the first signal and KILL, where nobody asks for others."""
        self._jobs = jobs
        self._runs = runs
        self._undo = undo
        self._writer = writer
        self._signallers = signallers
        self._timer = timer
        self._grace = grace

    def by_user(self, number: int, grace: float | None) -> StopOrder:
        """An order of this moment. `number`: the signal; `grace` None: as configured."""
        return StopOrder(
            Reason.BY_USER, number, self._grace() if grace is None else grace, boot_us()
        )

    def give(self, run: Run, order: StopOrder) -> None:
        """In a transaction: the job is to end. It hears of it by `carry_out`, after the commit."""
        self._jobs.stop_ordered(run.id, order)
        before, run.order = run.order, order
        self._undo.add(lambda: setattr(run, "order", before), lambda: run.saved(order))

    def carry_out(self, run: Run) -> None:
        """The order, if there is one, is on disk: signal now, KILL when the grace is over."""
        order = run.take_order()
        if order is not None:
            self._signallers.post(run, order.signal)
            # Once the leader has ended, whoever waited for it sees to the rest.
            kill = partial(self._signallers.post, run, signal.SIGKILL, run.lives)
            self._timer.at(deadline(order), kill)

    def time_is_up(self, run: Run) -> None:
        """The job has run for as long as it may."""
        order = StopOrder(Reason.TIME_LIMIT, signal.SIGTERM, self._grace(), boot_us())
        self._writer.post(
            lambda: self._give_first(run, order),
            lambda _: self.carry_out(run),
            lambda _: self._timer.after(_RETRY_S, partial(self.time_is_up, run)),
        )

    def _give_first(self, run: Run, order: StopOrder) -> None:
        if self._runs.get(run.id) is run and run.order is None:
            self.give(run, order)

    def end_all(self) -> None:
        """For `stop --now`: every running job is told to end. Waits for the commit."""
        order = StopOrder(Reason.SHUTDOWN, signal.SIGTERM, self._grace(), boot_us())
        try:
            self._writer.call(lambda: self._give_all(order))
        except StoreFailed as error:
            # A full disk must not keep a machine from being shut down.
            log.warning("the order to end all jobs %s", error)
            for run in self._runs.all():
                run.ordered(run.order or order)
        for run in self._runs.all():
            self.carry_out(run)

    def leave_behind(self) -> None:
        """What may not be signalled, and has had its time to end, is left to the next daemon."""
        for run in self._runs.all():
            order = run.order
            if order is None or not run.stuck or run.left_behind:
                continue
            if boot_us() > order.due + _LEFT_AFTER_S * 1e6:
                log.critical("job %d is left behind: %s", run.id, whose(run.stuck))
                run.leave_behind()

    def _give_all(self, order: StopOrder) -> None:
        for run in self._runs.all():
            before = run.order
            if before is None:
                self.give(run, order)
            elif order.due < before.due:
                # What a user has stopped stays stopped by the user.
                self.give(run, replace(order, reason=before.reason))


class Pauses:
    """Orders to stand still and to go on."""

    def __init__(self, undo: Undo, signallers: Signallers) -> None:
        self._undo = undo
        self._signallers = signallers

    def give(self, run: Run, at: float, *, paused: bool) -> None:
        """In a transaction: from `at` on (seconds since the epoch) the job stands, or goes on."""
        undo = run.halt(at, paused=paused)

        def take_back() -> None:
            undo()
            # A process that began just now may have gone by it already.
            if not run.knows_halt:
                self.carry_out(run)

        self._undo.add(take_back)

    def repeat(self, run: Run) -> None:
        """In a transaction: its process is told once more what it was told before."""
        self._undo.add(lambda: None, lambda: self.carry_out(run))

    def look(self, jobs: Runs) -> None:
        """Which of them may be signalled at all: `Run.refusals` says it then."""
        self._signallers.look(jobs.all())

    def carry_out(self, run: Run) -> None:
        """Let all of its processes stand still, or go on, whichever was said last.

        Called when that was said, and when a process has begun that knows nothing of it.
        """
        halted = run.take_halt()
        number = signal.SIGSTOP if halted else signal.SIGCONT
        still_so = partial(_is_still, run, halted=halted)
        self._signallers.post(run, number, still_so)


def _is_still(run: Run, *, halted: bool) -> bool:
    return run.lives() and run.halted == halted


def deadline(order: StopOrder) -> float:
    """When KILL is due, on the monotonic clock; an order of an earlier daemon keeps its time."""
    now = boot_us()
    # One from the future is of another boot, or of a version that had another clock.
    return time.monotonic() + max(0.0, (order.due - max(now, order.at)) / 1e6)
