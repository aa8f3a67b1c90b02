"""Telling somebody what has happened: one thread that reads the history and sends what is due.

    events were written, a message is due, a courier is back
    → [the events behind the cursor → messages] → messages and cursor (one commit)
    → what is due is taken (one commit) → couriers deliver it → delivered, or tried again (one each)
    → a pause, so that one round serves many → sleep until it is woken again

Nothing of it happens where jobs move. Where there is no rule, and no job whose submitter wants to
be told, nothing wakes it.
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import Final

from jobd.contract.errors import JobdError
from jobd.daemon.jobs.notifier import Listener, Notifier
from jobd.daemon.notifications.outbox import Outbox
from jobd.daemon.notifications.reading import Reading
from jobd.store.deliveries import Deliveries, DeliveryReader
from jobd.store.writer import Writer
from jobd.system.clock import now_us
from jobd.system.failpoints import failpoint
from jobd.system.timer import Deadline, Timer

log = logging.getLogger(__name__)
_PAUSE_S: Final = 0.25
"""Between two rounds."""
_PAGE: Final = 500
"""Events that are read at a time."""
_RETRY_S: Final = 10.0
"""Until what could not be read or saved is tried again."""
_CLOSE_S: Final = 10.0
"""How long the end of the daemon waits for a round that is under way."""


class Notifications(Listener):
    """A thread of its own; woken by the notifier, the timer and couriers."""

    def __init__(
        self,
        *,
        reading: Reading,
        outbox: Outbox,
        deliveries: Deliveries,
        found: DeliveryReader,
        writer: Writer,
        timer: Timer,
        woken: threading.Event,
    ) -> None:
        """`woken`: set by whoever has something for it to do."""
        self._reading = reading
        self._outbox = outbox
        self._deliveries = deliveries
        self._found = found
        self._writer = writer
        self._timer = timer
        self._woken = woken
        self._listens = False
        """Whether events concern us: there is a rule, or a job whose submitter wants to be told."""
        self._cursor: int | None = None
        """The last event that was read; None: the store says."""
        self._alarm: Deadline | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notifications", daemon=True)

    def begin(self) -> None:
        """Before anything happens: what is to be told from now on is behind the cursor."""
        wanted = bool(self._reading.rules)
        if wanted or self._found.is_used():
            self._writer.call(partial(self._deliveries.begin, now_us(), wanted=wanted))

    def start(self, notifier: Notifier) -> None:
        """Jobs are at work, and there may be something to tell by now."""
        notifier.subscribe(self)
        self._listens = self._found.cursor() is not None
        if self._listens or self._found.is_used():
            self._woken.set()
        self._thread.start()

    def close(self) -> None:
        """While the writer still writes: what has happened by now is read, and sent if that takes
        no time.
        """
        self._closed.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)

    @property
    def needs(self) -> int | None:
        """The first event of the history that is still to be read; None: none is."""
        return (self._cursor or 0) + 1 if self._listens else None

    # --- what wakes it ------------------------------------------------------------------------

    def published(self, last_event: int) -> None:  # noqa: ARG002 - whichever it is
        if self._listens and not self._woken.is_set():
            self._woken.set()

    def wished(self) -> None:
        self._listens = True
        self._woken.set()

    # --- rounds -------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._woken.wait() and not self._closed.is_set():
            self._woken.clear()
            self._try_round()
            self._closed.wait(_PAUSE_S)
        # The last job may have ended just now.
        self._try_round()
        self._outbox.close()

    def _try_round(self) -> None:
        try:
            self._round()
        except JobdError as error:
            log.warning("nobody is told of anything for now: %s", error)
            self._timer.after(_RETRY_S, self._woken.set)
        except Exception:
            log.exception("the notifications broke down; they go on when something happens")

    def _round(self) -> None:
        """Raises: StoreFailed; it is tried again, from where the store says."""
        while self._listens and self._read():
            pass
        self._rest()
        self._outbox.send_due()
        self._set_alarm(self._outbox.next_due())

    def _read(self) -> bool:
        """A page of the history; whether there may be more."""
        cursor = self._cursor if self._cursor is not None else self._begin()
        if cursor is None:
            return False
        events, planned = self._reading.read(cursor, _PAGE)
        if events:
            failpoint("message-read")
            last = events[-1].seq
            self._writer.call(partial(self._deliveries.note, last, planned, now_us()))
            failpoint("message-noted")
            self._cursor = last
        return len(events) == _PAGE

    def _begin(self) -> int | None:
        """Where to read on. None: nobody wants to be told of anything."""
        # In this order: whoever wishes something meanwhile has written it down, and tells it then.
        self._listens = False
        cursor = self._found.cursor()
        self._listens = self._listens or cursor is not None
        return cursor

    def _rest(self) -> None:
        """Events concern nobody any more where the last job whose submitter was to be told of it
        was removed.
        """
        if self._listens and not self._reading.rules and not self._found.is_wished():
            self._listens, self._cursor = False, None
            if not self._writer.call(self._deliveries.rest):
                self._listens = True

    def _set_alarm(self, due: int | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None
        if due is not None:
            self._alarm = self._timer.after((due - now_us()) / 1e6, self._woken.set)
