"""The attempts that run now."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from jobd.contract.states import Reason, cannot_be_ended
from jobd.core.eta import Pace, begun, halted, reported, seconds_left
from jobd.core.progress.recognition import Reading
from jobd.core.ready_queue import Entry
from jobd.core.undo import Undo
from jobd.daemon.jobs.moves import Moves, Progress
from jobd.engines.base import Process, Refusal
from jobd.store.records import Policy, Ran, Spec, Started, StopOrder
from jobd.store.reserve import Reserve
from jobd.store.writer import Writer
from jobd.system.clock import now_us, offset_us

_NAMED: Final = 5
"""Processes that are named one by one."""


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


class Runs:
    """By the number of their job. Any thread may look.

    Entered and left by the writer's thread alone, inside its transaction.
    """

    def __init__(self, undo: Undo) -> None:
        self._undo = undo
        self._runs: dict[int, Run] = {}
        self._on: Counter[str] = Counter()
        """How many, by engine."""

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, job: object) -> bool:
        return job in self._runs

    def __getitem__(self, job: int) -> Run:
        return self._runs[job]

    def get(self, job: int) -> Run | None:
        return self._runs.get(job)

    def all(self) -> list[Run]:
        return list(self._runs.values())

    def ran_as(self, job: int) -> Ran:
        """Of nothing is known where it does not run, or its process has not been started yet."""
        run = self._runs.get(job)
        return Ran() if run is None else run.ran

    def attempt_of(self, job: int) -> tuple[str, int] | None:
        """The engine and the number of its attempt; None: it does not run."""
        run = self._runs.get(job)
        return None if run is None else (run.engine, run.attempt)

    def left_of(self, job: int) -> float | None:
        """Seconds until it will probably be done; None: that cannot be told."""
        run = self._runs.get(job)
        return None if run is None else seconds_left(run.pace, now_us() / 1e6)

    def why_stuck(self, job: int) -> str | None:
        """What keeps it from ending as it was told to; None: nothing, or nothing was said."""
        run = self._runs.get(job)
        return cannot_be_ended(whose(run.stuck)) if run is not None and run.stuck else None

    def unsaved(self) -> dict[str, int]:
        """When those ended, by token, whose end was seen and is not on disk, microseconds since
        boot.
        """
        ends = ((run.started.token, run.ran.ended_at) for run in self.all())
        return {token: at - offset_us() for token, at in ends if at is not None}

    def count_on(self, engine: str) -> int:
        """How many of them are on an engine."""
        return self._on[engine]

    def enter(self, run: Run) -> None:
        self._put(run)
        self._undo.add(lambda: self._take(run))

    def leave(self, run: Run) -> None:
        self._take(run)
        self._undo.add(lambda: self._put(run))

    def paced(self, run: Run, pace: Pace) -> None:
        """How fast it goes, as has just been reported."""
        before, run.pace = run.pace, pace
        self._undo.add(lambda: setattr(run, "pace", before))

    def forget(self, run: Run) -> None:
        """Outside of any transaction: its end cannot be recorded."""
        if run.id in self._runs:
            self._take(run)

    def _put(self, run: Run) -> None:
        self._runs[run.id] = run
        self._on[run.engine] += 1

    def _take(self, run: Run) -> None:
        del self._runs[run.id]
        self._on[run.engine] -= 1


def whose(refusals: Sequence[Refusal]) -> str:
    """The first of them in words, and that there are others."""
    more = f" and {len(refusals) - _NAMED} more" if len(refusals) > _NAMED else ""
    return ", ".join(refusals[:_NAMED]) + more


class Reports:
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
