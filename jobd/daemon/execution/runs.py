"""The attempts that run now, and how an order to stop reaches them."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from functools import partial

from jobd.contract.states import Reason
from jobd.core.eta import Pace, begun, halted, reported, seconds_left
from jobd.core.progress.recognition import Reading
from jobd.core.undo import Undo
from jobd.daemon.execution.signaller import Signaller
from jobd.daemon.jobs.moves import Moves, Progress
from jobd.engines.base import Process
from jobd.store.records import StopOrder
from jobd.store.store import Started
from jobd.system.clock import boot_us
from jobd.system.timer import Timer


class Run:
    """A running attempt, from its claim to the commit of its end."""

    def __init__(
        self,
        started: Started,
        slot: int,
        gpus: tuple[int, ...] = (),
        process: Process | None = None,
    ) -> None:
        self.id = started.id
        self.attempt = started.attempt
        self.started = started
        self.slot = slot
        self.gpus = gpus
        self.process = process
        self.order: StopOrder | None = None
        """Set by the writer's thread, in its transaction; nobody else goes by it."""
        self.reading: Reading | None = None
        """The progress seen last."""
        self.pace: Pace | None = None
        """How fast it goes; set by the writer's thread."""
        self._paused_at: float | None = None
        self.output_bytes = 0
        """What its output takes, known at its end."""
        self.cutting = threading.Lock()
        """Held while its output is cut: what is noted as cut is so when it is released."""
        self._lock = threading.Lock()
        self._saved: StopOrder | None = None
        """The order that is on disk and may be carried out."""
        self._taken: StopOrder | None = None
        """The order that has been carried out: the one that the job ends by."""
        self._over = False

    @property
    def pid(self) -> int | None:
        return None if self.process is None else self.process.pid

    def begun(self, process: Process) -> None:
        with self._lock:
            self.process = process

    def ordered(self, order: StopOrder | None) -> None:
        """It holds: it is on disk, or (a shutdown) nothing can be saved any more."""
        with self._lock:
            self.order = self._saved = order

    def saved(self, order: StopOrder) -> None:
        with self._lock:
            self._saved = order

    def take_order(self) -> StopOrder | None:
        """An order that is still to be carried out on the living process; once for each order."""
        with self._lock:
            if self._over or self.process is None or self._taken is self._saved:
                return None
            self._taken = self._saved
            return self._saved

    def lives(self) -> bool:
        """Whether its leader has not ended yet."""
        with self._lock:
            return not self._over

    @property
    def stopped_by_user(self) -> bool:
        """Whether a user has been told that it will end."""
        return self.order is not None and self.order.reason == Reason.BY_USER

    @property
    def halted(self) -> bool:
        """Whether it is to stand still."""
        return self._paused_at is not None

    def halt(self, at: float, *, paused: bool) -> Callable[[], None]:
        """From `at` on, seconds since the epoch; gives its undoing."""
        before = (self._paused_at, self.pace)

        def undo() -> None:
            self._paused_at, self.pace = before

        if paused:
            self._paused_at = at
        elif self._paused_at is not None:
            if self.pace is not None:
                # The time in between does not count for the time left.
                self.pace = halted(self.pace, max(0.0, at - self._paused_at))
            self._paused_at = None
        return undo

    def cancelled(self) -> bool:
        """Whether it was told to stop before it began; then it must not begin."""
        with self._lock:
            self._taken = self._saved
            return self._saved is not None

    def over(self) -> StopOrder | None:
        """Its leader has ended; the order that made it end, if one did."""
        with self._lock:
            self._over = True
            return self._taken


class Runs:
    """By job. Entered and left by the writer's thread alone, inside its transaction."""

    def __init__(self, undo: Undo, timer: Timer, signaller: Signaller) -> None:
        self._undo = undo
        self._timer = timer
        self._signaller = signaller
        self._runs: dict[int, Run] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, job: int) -> bool:
        return job in self._runs

    def __getitem__(self, job: int) -> Run:
        return self._runs[job]

    def get(self, job: int) -> Run | None:
        return self._runs.get(job)

    def all(self) -> list[Run]:
        return list(self._runs.values())

    def enter(self, run: Run) -> None:
        self._runs[run.id] = run
        self._undo.add(lambda: self._runs.pop(run.id))

    def leave(self, run: Run) -> None:
        del self._runs[run.id]
        self._undo.add(lambda: self._runs.__setitem__(run.id, run))

    def forget(self, run: Run) -> None:
        """Outside of any transaction: its end cannot be recorded."""
        self._runs.pop(run.id, None)

    def order_stop(self, run: Run, order: StopOrder) -> None:
        """In the writer's transaction: it is to end. Carried out by `carry_out_stop`."""
        before, run.order = run.order, order
        self._undo.add(lambda: setattr(run, "order", before), lambda: run.saved(order))

    def halt(self, run: Run, at: float, *, paused: bool) -> None:
        """In the writer's transaction: it is to stand still, or to go on."""
        undo = run.halt(at, paused=paused)

        def take_back() -> None:
            undo()
            # A process that began just now may have been told already.
            self.carry_out_pause(run)

        self._undo.add(take_back)

    def carry_out_stop(self, run: Run) -> None:
        """The order is on disk: signal now, KILL when the grace is over."""
        order, process = run.take_order(), run.process
        if order is not None and process is not None:
            self._signaller.post(process, order.signal)
            # Once the leader has ended, whoever waited for it sees to the rest.
            kill = partial(self._signaller.post, process, signal.SIGKILL, run.lives)
            self._timer.at(deadline(order), kill)

    def carry_out_pause(self, run: Run) -> None:
        """Let all of its processes stand still, or go on, whichever was said last.

        Called when that was said, and when a process has begun that knows nothing of it.
        """
        if run.process is not None:
            number = signal.SIGSTOP if run.halted else signal.SIGCONT
            still_so = partial(_is_still, run, halted=run.halted)
            self._signaller.post(run.process, number, still_so)


def _is_still(run: Run, *, halted: bool) -> bool:
    return run.lives() and run.halted == halted


def note_progress(moves: Moves, run: Run, reading: Reading, user: str, now: int) -> None:
    """In the writer's transaction: the job shows it, and whoever watches hears it."""
    if reading.percent is not None and run.pace is None:
        run.pace = begun(reading.percent, now / 1e6, run.started.at / 1e6)
    elif reading.percent is not None and run.pace is not None:
        run.pace = reported(run.pace, reading.percent, now / 1e6)
    left = seconds_left(run.pace, now / 1e6)
    moves.progressed(run.id, Progress(reading.percent, reading.message, left), user, now)


def deadline(order: StopOrder) -> float:
    """When KILL is due, on the monotonic clock; an order of an earlier daemon keeps its time."""
    now = boot_us()
    # One from the future is of another boot, or of a version that had another clock.
    return time.monotonic() + max(0.0, (order.due - max(now, order.at)) / 1e6)
