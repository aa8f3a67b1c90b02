"""An engine for tests, ours and those of people who write engines: jobs are nothing but memory.

A test holds the `World`, in which attempts live on when an engine is closed, as they do on a
cluster; and engines that are made for it, one after the other, find there what the one before has
started. Nothing happens by itself: the test says what each attempt prints, and how it ends, and
whether the engine is away, has no room or has forgotten. Where nothing is said, an attempt runs.

    world = World()
    engine = FakeEngine(context, world)          # or, for a daemon: world.engine as its factory
    process = engine.start(launch)
    world.attempt(launch.token).prints(b"half way\n")
    world.attempt(launch.token).ends(exit_code=0)
    assert process.wait() == Outcome(exit_code=0)
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from jobd.contract.paths import Paths
from jobd.core.transitions import Outcome, signal_name
from jobd.core.usage import Usage
from jobd.engines.base import (
    Attempt,
    Away,
    CannotStart,
    Context,
    Fate,
    Heritage,
    Launch,
    NeverBegan,
    NoResources,
    NoSuchKey,
    Process,
    Refusal,
    Sight,
)
from jobd.outputs.in_memory import MemoryWorkspace

_STANDING: Final = {signal.SIGSTOP: True, signal.SIGCONT: False}


class World:
    """What lives outside of the engine, and what a test says of it. Any thread may call."""

    def __init__(self, *, host: str = "nowhere") -> None:
        self.host = host
        self.workspace = MemoryWorkspace()
        self.now = 0.0
        """The time in seconds, which passes only when it is said."""
        self.cannot_start: str | None = None
        """Why no command can be started; None: each can."""
        self.no_room: str | None = None
        """Why there is no room just now; None: there is."""
        self.capacity: int | None = None
        """As `Engine.capacity`."""
        self.options: Collection[str] | None = None
        """Those that a job may ask for; None: any."""
        self._changed = threading.Condition()
        self._away: str | None = None
        self._attempts: dict[str, FakeAttempt] = {}
        self._forgotten: set[str] = set()
        self._engines: list[FakeEngine] = []

    def engine(self, context: Context) -> FakeEngine:
        """As the factory that an entry point leads to."""
        return FakeEngine(context, self)

    def check(self, settings: Mapping[str, Any]) -> None:
        """As `Factory.check`: there is nothing to set."""
        for key in settings:
            raise NoSuchKey(key, ())

    __call__ = engine

    # --- what a test says --------------------------------------------------------------------

    def goes_away(self, why: str) -> None:
        """Nobody reaches it from here on; attempts run on."""
        with self._changed:
            self._away = why

    def comes_back(self, *, unseen: bool = False) -> None:
        """It is there again; `unseen`: and its engine does not notice by itself."""
        with self._changed:
            self._away = None
            self._changed.notify_all()
            engines = list(self._engines)
        for engine in engines if not unseen else ():
            engine.back()

    def attempt(self, token: str) -> FakeAttempt:
        """Raises: KeyError (it was never started)."""
        return self._attempts[token]

    @property
    def started(self) -> list[FakeAttempt]:
        """All that were ever started, in that order."""
        return list(self._attempts.values())

    def of_job(self, job: int) -> FakeAttempt:
        """The latest attempt of a job. Raises: KeyError (none was started)."""
        found = [one for one in self._attempts.values() if one.launch.job == job]
        if not found:
            raise KeyError(job)
        return found[-1]

    def loses(self, token: str) -> None:
        """How it ends will never be known."""
        with self._changed:
            self._forgotten.add(token)

    # --- what an engine does -----------------------------------------------------------------

    def check_options(self, options: Sequence[str]) -> None:
        """Raises: CannotStart."""
        for option in options:
            if self.options is not None and option not in self.options:
                raise CannotStart(f"{option}: there is no such option")

    def reach(self) -> None:
        """Raises: Away."""
        if self._away is not None:
            raise Away(self._away)

    def enter(self, engine: FakeEngine) -> None:
        with self._changed:
            self._engines.append(engine)

    def leave(self, engine: FakeEngine) -> None:
        with self._changed:
            self._engines.remove(engine)
            self._changed.notify_all()

    def starts(self, launch: Launch) -> FakeAttempt:
        """Raises: as `Engine.start`."""
        with self._changed:
            self.reach()
            self.check_options(launch.options)
            if self.no_room is not None:
                raise NoResources(self.no_room)
            if self.cannot_start is not None:
                raise CannotStart(self.cannot_start)
            assert launch.token not in self._attempts, "an attempt is started twice"
            made = self._attempts[launch.token] = FakeAttempt(self, launch, self._changed)
        made.prints(b"")
        return made

    def fate(self, token: str) -> FakeAttempt | Fate:
        if token in self._forgotten:
            return Fate.LOST
        return self._attempts.get(token, Fate.NEVER_STARTED)

    def waits(self, attempt: FakeAttempt, closed: Callable[[], bool]) -> Outcome:
        """Until it has ended and that can be seen, or nobody is to be told any more.

        Raises: NeverBegan.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: closed() or (attempt.outcome is not None and self._away is None)
            )
            if isinstance(attempt.outcome, NeverBegan):
                raise attempt.outcome
            return attempt.outcome or Outcome(lost=True)


class FakeAttempt:
    """An attempt in the `World`. The test says what it does; any thread may call."""

    def __init__(self, world: World, launch: Launch, changed: threading.Condition) -> None:
        self.launch = launch
        self.outcome: Outcome | NeverBegan | None = None
        self.signals: list[int] = []
        """All that it has received."""
        self.stands_still = False
        self.ignores: Collection[int] = ()
        """Signals that do not end it."""
        self.refusals: Sequence[Refusal] = ()
        """While there are any, no signal reaches it."""
        self.used = Usage()
        self.host: str | None = None
        """Where it runs, if that is not where all do."""
        self.is_reaped = False
        self.began: float | None = world.now
        """The time in the world; None: it has not begun to run yet."""
        self._world = world
        self._changed = changed

    def prints(self, data: bytes) -> None:
        launch = self.launch
        self._world.workspace.output_of(launch.job, launch.attempt).write(data)

    def reports(self, data: bytes) -> None:
        """Into its `JOBD_PROGRESS`."""
        self._world.workspace.report(self.launch.job, self.launch.attempt).write(data)

    def ends(self, *, exit_code: int | None = None, by_signal: int | None = None) -> None:
        """Once; what is said later is of no meaning."""
        name = None if by_signal is None else signal_name(by_signal)
        with self._changed:
            if self.outcome is None:
                used = self.used
                self.outcome = Outcome(
                    exit_code=exit_code, signal=name, cpu_s=used.cpu_s, max_rss_kb=used.max_rss_kb
                )
            self._changed.notify_all()

    def never_begins(self, why: str) -> None:
        """In the place of an end."""
        with self._changed:
            self.outcome = NeverBegan(why)
            self._changed.notify_all()

    def age(self) -> float:
        return 0.0 if self.began is None else self._world.now - self.began

    def receives(self, number: int) -> None:
        """A signal: one that it does not ignore ends it, but for STOP and CONT. 0 is none."""
        if number == 0 or self.refusals:
            return
        self.signals.append(number)
        if number in _STANDING:
            self.stands_still = _STANDING[signal.Signals(number)]
        elif number == signal.SIGKILL or number not in self.ignores:
            self.ends(by_signal=number)


class FakeProcess:
    """As `jobd.engines.base.Process`."""

    pid = None

    def __init__(self, attempt: FakeAttempt, world: World, closed: Callable[[], bool]) -> None:
        self.attempt = attempt
        self._world = world
        self._closed = closed

    @property
    def host(self) -> str | None:
        return self.attempt.host

    @property
    def engine_id(self) -> str | None:
        return self.attempt.launch.token[:8]

    @property
    def refusals(self) -> Sequence[Refusal]:
        """Of one that has ended nothing is left."""
        return () if self.attempt.outcome is not None else self.attempt.refusals

    def age(self) -> float:
        return self.attempt.age()

    def wait(self) -> Outcome:
        return self._world.waits(self.attempt, self._closed)

    def reap(self) -> None:
        self.attempt.is_reaped = True

    def end(self, deadline: float) -> None:
        """Nothing is ever left of it."""
        del deadline


class FakeEngine:
    """As `jobd.engines.base.Engine`, in a world of the test's."""

    lets_go_at_once = False

    def __init__(self, context: Context, world: World | None = None) -> None:
        """`world` None: one of its own."""
        self.world = World() if world is None else world
        self.world.check(context.settings)
        self.workspace = self.world.workspace
        self.host = self.world.host
        self.context = context
        self.left = Heritage()
        """What it would leave to the next one."""
        self._is_closed = self._is_frozen = False
        self.world.enter(self)

    @staticmethod
    def check(settings: Mapping[str, Any]) -> None:
        World().check(settings)

    @staticmethod
    def look(settings: Mapping[str, Any], paths: Paths) -> Sequence[Sight]:
        """A world in memory is always there."""
        del settings, paths
        return [Sight("it is there")]

    @property
    def capacity(self) -> int | None:
        return self.world.capacity

    def back(self) -> None:
        """The world has come back, and the engine has noticed."""
        self.context.back()

    def check_options(self, options: Sequence[str]) -> None:
        self.world.check_options(options)

    def recover(self, attempts: Sequence[Attempt]) -> dict[str, Process | Fate]:
        self.world.reach()
        fates = {one.token: self.world.fate(one.token) for one in attempts}
        return {
            token: fate if isinstance(fate, Fate) else self._process(fate)
            for token, fate in fates.items()
        }

    def start(self, launch: Launch) -> Process:
        if self._is_closed or self._is_frozen:
            raise NoResources("nothing starts any more")
        return self._process(self.world.starts(launch))

    def signal(self, orders: Sequence[tuple[Process, int]]) -> None:
        self.world.reach()
        for process, number in orders:
            assert isinstance(process, FakeProcess)
            process.attempt.receives(number)

    def usage(self, processes: Sequence[Process]) -> Sequence[Usage]:
        self.world.reach()
        return [one.attempt.used for one in processes if isinstance(one, FakeProcess)]

    def freeze(self) -> None:
        self._is_frozen = True

    def heritage(self) -> Heritage:
        return self.left

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self.world.leave(self)

    def _process(self, attempt: FakeAttempt) -> FakeProcess:
        return FakeProcess(attempt, self.world, lambda: self._is_closed)
