"""Whether jobs may be started: not while the daemon begins or ends, nor where each would fail.

What an engine refuses (a full disk, no process left, an output directory that cannot be written)
says nothing about a job, nor does an engine that cannot be reached. The job is put back, and after
a pause one job is tried; the pauses grow while that fails, and with the first success all go on.
Each engine has a breaker of its own: what one refuses keeps no job of another waiting.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Final

from jobd.contract.wording import printable
from jobd.core.placement import Placement
from jobd.system.timer import Timer

log = logging.getLogger(__name__)
_FIRST_S: Final = 1.0
_LONGEST_S: Final = 30.0
"""Seconds until the next job is tried."""


class Breaker:
    """Of one engine. Any thread may call; `allows` is the writer's."""

    def __init__(
        self,
        timer: Timer,
        released: Callable[[], object],
        away: Callable[[str | None], object] = lambda _: None,
    ) -> None:
        """Halted until `resume`. `released`: called when jobs may be started again.

        `away`: called with why the engine cannot be reached, and with None when it can again.
        """
        self._timer = timer
        self._released = released
        self._tell_away = away
        self._halted = True
        self._pausing = False
        self._pauses = 0
        """How many there have been: the end of an earlier one is of no meaning."""
        self._pause_s = _FIRST_S
        self._before: Callable[[], object] | None = None
        """What has to be done before a job may be tried."""
        self._row = threading.Lock()
        """Held while `_never_began` changes, and while nobody is called."""
        self._never_began = False
        """Nothing has run since the last one that was taken for started, and was not."""
        self.is_away = False
        self.trouble: str | None = None
        """Why the last job could not be started; None while all is well."""

    def allows(self, already: int) -> bool:
        """Whether one more may be started beside so many in this transaction."""
        shut = self._halted or self._pausing or self._before is not None
        return not (shut or (self.trouble and already))

    def halt(self) -> None:
        """Start nothing until `resume`."""
        self._halted = True

    def resume(self) -> None:
        self._halted = False
        self._released()

    def refused(self, why: str) -> None:
        """There was no room to start a job. `why` may name a path: it is made `printable`."""
        self._note_away(None)
        self._pause(printable(why))

    def never_began(self, why: str) -> None:
        """What was taken for started was not: it may be at once, elsewhere. Only the next one in a
        row counts as `refused`, or one and the same might come back without a pause for ever.
        """
        with self._row:
            again, self._never_began = self._never_began, True
        if again:
            self.refused(why)

    def ran(self) -> None:
        """A job has run to its end."""
        with self._row:
            self._never_began = False

    def away(self, why: str, before: Callable[[], object] | None = None) -> None:
        """The engine cannot be reached; `why` as for `refused`.

        `before`: called (briefly, and perhaps more than once) whenever it may be back; nothing
        starts until that has led to `started`.
        """
        self._before = before or self._before
        said = printable(why)
        self._note_away(said)
        self._pause(said)

    def back(self) -> None:
        """The engine says that it is there again: it is tried at once."""
        if self.is_away:
            self._pause_s = _FIRST_S
            self._try_again(self._pauses)

    def started(self) -> None:
        """A job was started, or it was its own fault that it was not."""
        if self.trouble is not None:
            self._before = self.trouble = None
            self._pause_s = _FIRST_S
            self._note_away(None)
            self._released()

    def _note_away(self, why: str | None) -> None:
        if why is not None or self.is_away:
            self.is_away = why is not None
            self._tell_away(why)

    def _pause(self, why: str) -> None:
        self.trouble = why
        if not self._pausing:
            self._pausing = True
            self._pauses += 1
            self._timer.after(self._pause_s, partial(self._try_again, self._pauses))
            self._pause_s = min(2 * self._pause_s, _LONGEST_S)

    def _try_again(self, pause: int) -> None:
        if pause != self._pauses:
            return
        self._pauses += 1
        self._pausing = False
        before = self._before
        if before is None:
            self._released()
        else:
            before()


class Breakers:
    """Those of all engines, by name. Any thread may call; `shut` is the writer's."""

    def __init__(
        self,
        engines: Iterable[str],
        placement: Placement,
        timer: Timer,
        released: Callable[[], object],
    ) -> None:
        """Halted until `resume`. `released`: as for `Breaker`."""
        self._by_engine = {
            name: Breaker(timer, released, _Away(name, placement)) for name in engines
        }

    def __getitem__(self, engine: str) -> Breaker:
        return self._by_engine[engine]

    def halt(self) -> None:
        """Start nothing anywhere until `resume`."""
        for breaker in self._by_engine.values():
            breaker.halt()

    def resume(self) -> None:
        for breaker in self._by_engine.values():
            breaker.resume()

    def shut(self, already: Mapping[str, int]) -> Collection[str] | None:
        """The engines on which no job may be started; None: that is on all of them.

        `already`: how many have been in this transaction, by engine.
        """
        shut = [
            name
            for name, breaker in self._by_engine.items()
            if not breaker.allows(already.get(name, 0))
        ]
        return None if len(shut) == len(self._by_engine) else shut

    @property
    def trouble(self) -> str | None:
        """What keeps jobs from being started, in words; None while all is well."""
        found = [self._of(name) for name, one in self._by_engine.items() if one.trouble]
        return "; ".join(found) or None

    def _of(self, name: str) -> str:
        breaker = self._by_engine[name]
        if breaker.is_away:
            return f"engine {name} is away: {breaker.trouble}"
        where = "" if len(self._by_engine) == 1 else f" by engine {name}"
        return f"no job can be started{where}: {breaker.trouble}"


class _Away:
    """Says once in the log that an engine has gone, or come back, and notes it."""

    def __init__(self, engine: str, placement: Placement) -> None:
        self._engine = engine
        self._placement = placement
        self._known: str | None = None

    def __call__(self, why: str | None) -> None:
        self._placement.note(self._engine, why)
        if why != self._known:
            self._known = why
            if why is None:
                log.warning("engine %s is there again", self._engine)
            else:
                log.warning("engine %s is away: %s", self._engine, why)
