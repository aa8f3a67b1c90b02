"""An attempt that runs now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from jobd.contract.states import Reason
from jobd.core.eta import Pace, halted
from jobd.core.progress.recognition import Reading
from jobd.core.ready_queue import Entry
from jobd.engines.base import Process, Refusal
from jobd.store.records import Policy, Ran, Spec, Started, StopOrder
from jobd.system.clock import now_us


class Run:
    """A running attempt, from its claim to the commit of its end.

    A worker's thread carries it out, the writer's thread records what becomes of it, and orders
    come from any thread; where one of them alone may set something, that is said.
    """

    def __init__(
        self,
        started: Started,
        slot: int,
        gpus: tuple[int, ...] = (),
        process: Process | None = None,
    ) -> None:
        self.started = started
        """As it was written down."""
        self.slot = slot
        self.gpus = gpus
        self.process = process
        self.order: StopOrder | None = None
        """Set by the writer's thread, in its transaction; nobody else goes by it."""
        self.reading: Reading | None = None
        """The progress seen last."""
        self.pace: Pace | None = None
        """How fast it goes; set by the writer's thread."""
        self.output_bytes = 0
        """What its output takes, known at its end."""
        self.cutting = threading.Lock()
        """Held while its output is cut: what is noted as cut is so when it is released."""
        self._halt = _Halt()
        self._stop = _Stop()
        self._ended_at: int | None = None

    @property
    def id(self) -> int:
        """The number of its job."""
        return self.started.id

    @property
    def attempt(self) -> int:
        return self.started.attempt

    @property
    def entry(self) -> Entry:
        return self.started.entry

    @property
    def spec(self) -> Spec:
        return self.started.spec

    @property
    def policy(self) -> Policy:
        return self.started.policy

    @property
    def engine(self) -> str:
        """The name of the one that it runs on."""
        return self.started.engine

    @property
    def ran(self) -> Ran:
        """What is known of its process by now."""
        process, ended_at = self.process, self._ended_at
        if process is None:
            return Ran(ended_at=ended_at)
        return Ran(process.pid, process.host, ended_at, self.output_bytes, process.engine_id)

    # --- to end ---------------------------------------------------------------------------------

    def begun(self, process: Process) -> None:
        with self._stop.lock:
            self.process = process

    def ordered(self, order: StopOrder | None) -> None:
        """It holds: it is on disk, or (a shutdown) nothing can be saved any more."""
        self.order = order
        self.saved(order)

    def saved(self, order: StopOrder | None) -> None:
        with self._stop.lock:
            self._stop.saved = order

    def take_order(self) -> StopOrder | None:
        """An order that is still to be carried out on the living process; once for each order."""
        stop = self._stop
        with stop.lock:
            if stop.over or self.process is None or stop.taken is stop.saved:
                return None
            stop.taken = stop.saved
            return stop.saved

    @property
    def refusals(self) -> Sequence[Refusal]:
        """What of it may not be signalled."""
        return () if self.process is None else self.process.refusals

    @property
    def stuck(self) -> Sequence[Refusal]:
        """What keeps it from ending, as it was told to."""
        return () if self.order is None else self.refusals

    def leave_behind(self) -> None:
        """What may not be signalled lives on without this daemon."""
        self._stop.left = True

    @property
    def left_behind(self) -> bool:
        return self._stop.left

    def lives(self) -> bool:
        """Whether its leader has not ended yet."""
        with self._stop.lock:
            return not self._stop.over

    @property
    def stopped_by_user(self) -> bool:
        """Whether a user has been told that it will end."""
        return self.order is not None and self.order.reason == Reason.BY_USER

    def cancelled(self) -> bool:
        """Whether it was told to stop before it began; then it must not begin."""
        with self._stop.lock:
            self._stop.taken = self._stop.saved
            return self._stop.saved is not None

    def ended(self, at: int | None) -> None:
        """Its end was heard of: that is the time of it, however long it takes to save it.

        `at`: when it ended, if somebody knows better, microseconds since the epoch.
        """
        if self._ended_at is None:
            # Clocks are set, and a job cannot end before it began.
            self._ended_at = max(self.started.at, now_us() if at is None else min(at, now_us()))

    def over(self) -> StopOrder | None:
        """Its leader has ended; the order that made it end, if one did."""
        with self._stop.lock:
            self._stop.over = True
            return self._stop.taken

    # --- to stand still -------------------------------------------------------------------------

    @property
    def halted(self) -> bool:
        """Whether it is to stand still."""
        return self._halt.since is not None

    def halt(self, at: float, *, paused: bool) -> Callable[[], None]:
        """From `at` on, seconds since the epoch; gives its undoing."""
        before = (self._halt.since, self.pace)

        def undo() -> None:
            self._halt.since, self.pace = before

        if paused:
            self._halt.since = at
        elif self._halt.since is not None:
            if self.pace is not None:
                # The time in between does not count for the time left.
                self.pace = halted(self.pace, max(0.0, at - self._halt.since))
            self._halt.since = None
        return undo

    def take_halt(self) -> bool:
        """Whether it is to stand still, to be told to its process now."""
        self._halt.told = halted = self.halted
        return halted

    @property
    def knows_halt(self) -> bool:
        """Whether its process has been told what holds; one that begins goes on untold."""
        return self._halt.told == self.halted


class _Halt:
    """Whether it is to stand still, and what came of that."""

    def __init__(self) -> None:
        self.since: float | None = None
        """Seconds since the epoch; None: it is to go on."""
        self.told = False
        """What its process was told last."""


class _Stop:
    """What became of orders to end; under its lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.saved: StopOrder | None = None
        """The order that is on disk and may be carried out."""
        self.taken: StopOrder | None = None
        """The order that has been carried out: the one that the job ends by."""
        self.over = False
        self.left = False
