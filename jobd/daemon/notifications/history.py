"""How far the history was read for those who want to be told, and for whom it is read at all."""

from __future__ import annotations

import threading
from functools import partial
from typing import Final

from jobd.contract.errors import JobdError
from jobd.daemon.jobs.in_force import InForce
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.notifications.gatherings import Gatherings
from jobd.daemon.notifications.reading import Reading, may_have_left
from jobd.daemon.notifications.stuck import StuckWatch
from jobd.store.deliveries import Deliveries
from jobd.store.delivery_reader import DeliveryReader
from jobd.store.writer import Writer
from jobd.system.clock import now_us
from jobd.system.failpoints import failpoint
from jobd.system.turn import stepping_aside

_PATIENCE_S: Final = 2.0
"""How long the deletion of jobs waits for messages about them to be on disk."""
_PAGE: Final = 500
"""Events that are read at a time."""


class History:
    """Called by the thread of the notifications, but for `concerns`, `needs` and the start."""

    def __init__(
        self,
        *,
        in_force: InForce,
        reading: Reading,
        gatherings: Gatherings,
        stuck: StuckWatch,
        deliveries: Deliveries,
        found: DeliveryReader,
        writer: Writer,
        notifier: Notifier,
    ) -> None:
        self._in_force = in_force
        self._reading = reading
        self._gatherings = gatherings
        self._stuck = stuck
        self._deliveries = deliveries
        self._found = found
        self._writer = writer
        self._notifier = notifier
        self.concerns = False
        """Whether it concerns anybody: there is a rule, or a job whose submitter is to be told."""
        self._cursor: int | None = None
        """The last event that was read; None: the store says."""
        self._moved = threading.Condition()

    def begin(self) -> None:
        """Before anything happens: what is to be told from now on is behind the cursor."""
        wanted = bool(self._in_force.rules)
        if wanted or self._found.is_used():
            self._writer.call(partial(self._deliveries.begin, now_us(), wanted=wanted))

    def resume(self) -> bool:
        """Whether there may be something to read from the start on."""
        self.concerns = self._found.cursor() is not None
        self._stuck.heard()
        return self.concerns

    @property
    def needs(self) -> int | None:
        """The first event that is still to be read; None: none is."""
        return (self._cursor or 0) + 1 if self.concerns else None

    def catch_up(self) -> None:
        """Wait until all that has happened by now was read: whoever deletes jobs does so before.

        Any thread may call. It gives up where nothing can be saved just now: deleting makes room.
        """
        if not self.concerns:
            return
        last = self._found.last_event()
        with stepping_aside(), self._moved:
            self._moved.wait_for(
                lambda: not self.concerns or (self._cursor or 0) >= last, _PATIENCE_S
            )

    def read(self) -> bool:
        """To its end: what is to be told of it is on its way then. True: it is to be read again.

        Raises: StoreFailed; it is read again from where the store says.
        """
        while self.concerns and self._page():
            pass
        if self.concerns:
            for number, planned in self._gatherings.ended():
                self._writer.call(partial(self._deliveries.all_ended, number, planned, now_us()))
        self._note_stuck()
        return self._rest()

    @property
    def left(self) -> float | None:
        """Seconds until there is something to do without an event; None: nothing is."""
        return self._stuck.left

    def _note_stuck(self) -> None:
        if (found := self._stuck.planned()) is None:
            return
        try:
            self._writer.call(partial(self._deliveries.stuck, *found, now_us()))
        except JobdError:
            self._stuck.forget()
            raise

    def _page(self) -> bool:
        """Whether there may be more."""
        cursor = self._cursor if self._cursor is not None else self._begin()
        if cursor is None:
            return False
        events, planned = self._reading.read(cursor, _PAGE)
        if events:
            failpoint("message-read")
            last = events[-1].seq
            self._writer.call(partial(self._deliveries.note, last, planned, now_us()))
            failpoint("message-noted")
            with self._moved:
                self._cursor = last
                self._moved.notify_all()
            # What was not deleted for the sake of messages may be by now.
            self._notifier.released()
            self._gatherings.forget(may_have_left(events))
            self._stuck.heard()
        return len(events) == _PAGE

    def _begin(self) -> int | None:
        """Where to read on. None: nobody wants to be told of anything."""
        # In this order: whoever wishes something meanwhile has written it down, and tells it then.
        self.concerns = False
        cursor = self._found.cursor()
        if cursor is not None:
            self.concerns = True
        return cursor

    def _rest(self) -> bool:
        """It concerns nobody any more where the last job whose submitter was to be told of it was
        removed. True: there is another by now, and what has happened to it may have woken nobody.
        """
        if not self.concerns or self._in_force.rules or self._found.is_wished():
            return False
        self.concerns, self._cursor = False, None
        if not self._writer.call(lambda: not self._in_force.rules and self._deliveries.rest()):
            self.concerns = True
        return self.concerns
