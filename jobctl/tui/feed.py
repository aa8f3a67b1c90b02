"""Looks at the queue when something has happened, or when something else is to be seen.

Two threads, each with a client of its own: one is held back by the daemon until something happens,
the other one looks. Between two looks lie at least `_BREATH` seconds, however much happens, and
while nothing does nobody looks, but for what running jobs use.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from jobctl.tui.look import look
from jobctl.tui.sight import Scope, Sight
from jobd.client.client import Client
from jobd.client.stalls import check_events
from jobd.contract.errors import JobdError
from jobd.contract.models import Events
from jobd.contract.wire import MAX_WAIT

_BREATH: Final = 0.5
"""Seconds between two looks at least: what is redrawn goes over a slow link, too."""
_SHARE: Final = 5
"""So many times as long as a look took nobody looks: arrays of many jobs are counted for it."""
_USE: Final = 3.0
"""Seconds until what running jobs use is looked at again, if nothing else happens."""
_AWAY: Final = 2.0
"""Seconds until a daemon that is away is asked for again."""

Told = Sight | JobdError
"""What was seen, or why nothing can be."""


def _changes_by_itself(sight: Sight) -> bool:
    """Whether it shows what jobs use of the machine, which nobody tells of."""
    return bool(sight.running or (sight.status.busy and sight.status.gpu_load))


class Feed:
    """Any thread may call; `tell` is called by one of its own."""

    def __init__(
        self,
        connect: Callable[[], Client],
        tell: Callable[[Told], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect = connect
        self._tell = tell
        self._clock = clock
        self._scope = Scope()
        self._changed = threading.Condition()
        self._is_due = True
        self._closing = threading.Event()
        self._asked_at: float | None = None

    def start(self) -> None:
        """Its threads end with the process, if they are held back just then."""
        for run in (self._listen, self._look):
            threading.Thread(target=run, name=f"top{run.__name__}", daemon=True).start()

    def close(self) -> None:
        """Nothing is told any more."""
        self._closing.set()
        self.show(Scope())

    def show(self, scope: Scope) -> None:
        """From now on this is what is to be seen."""
        with self._changed:
            self._scope = scope
        self.again()

    def again(self) -> None:
        """Something may be different."""
        with self._changed:
            self._is_due = True
            self._changed.notify_all()

    def silent_s(self) -> float:
        """Seconds for which the daemon has not answered a look; 0: nobody waits for it."""
        asked_at = self._asked_at
        return 0.0 if asked_at is None else self._clock() - asked_at

    # --- its threads ----------------------------------------------------------------------------

    def _listen(self) -> None:
        with self._connect() as client:
            after: int | None = None
            while not self._closing.is_set():
                try:
                    after = self._hear(client, after)
                except JobdError:
                    # Whoever looks says so.
                    self.again()
                    self._closing.wait(_AWAY)

    def _hear(self, client: Client, after: int | None) -> int:
        page = client.events(Events(after=after, wait=MAX_WAIT if after is not None else 0.0))
        if after is not None:
            check_events(after, page)
        if page.events or after is None:
            self.again()
        return page.next

    def _look(self) -> None:
        with self._connect() as client:
            patience: float | None = None
            while (scope := self._next(patience)) is not None:
                began = self._clock()
                told = self._seen(client, scope)
                breath = max(_BREATH, _SHARE * (self._clock() - began))
                if self._closing.is_set():
                    return
                self._tell(told)
                patience = _USE if isinstance(told, Sight) and _changes_by_itself(told) else None
                if isinstance(told, JobdError):
                    patience = _AWAY
                with self._changed:
                    # Who wants to see something else need not wait.
                    self._changed.wait_for(lambda: self._scope is not scope, breath)

    def _next(self, patience: float | None) -> Scope | None:
        """What to look for, once there is a reason to; None: nothing any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_due, patience)
            self._is_due = False
            return None if self._closing.is_set() else self._scope

    def _seen(self, client: Client, scope: Scope) -> Told:
        self._asked_at = self._clock()
        try:
            return look(client, scope)
        except JobdError as error:
            return error
        finally:
            self._asked_at = None
