"""What is on its way: due messages are taken and given to couriers, and how that went is saved."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from jobd.contract.errors import JobdError
from jobd.core.retry import delay
from jobd.daemon.notifications.couriers import MOST, Couriers
from jobd.daemon.notifications.orders import Orders
from jobd.store.deliveries import Deliveries, Taken
from jobd.store.delivery_reader import DeliveryReader
from jobd.store.reserve import Reserve
from jobd.store.writer import Writer
from jobd.system.clock import now_us
from jobd.system.failpoints import failpoint
from jobd.system.presence import Sleepers

log = logging.getLogger(__name__)
_SOON_US: Final = 20_000
_CLOSE_S: Final = 3.0
"""How long the end of the daemon waits for what can still be delivered."""


class Outbox:
    """The thread of the notifications calls `send_due` and `next_due`; couriers' threads save."""

    def __init__(
        self,
        *,
        deliveries: Deliveries,
        found: DeliveryReader,
        writer: Writer,
        reserve: Reserve,
        orders: Orders,
        wake: Callable[[], object],
    ) -> None:
        """`wake`: called when a courier is back, and something else may be sent."""
        self._deliveries = deliveries
        self._found = found
        self._writer = writer
        self._reserve = reserve
        self._orders = orders
        self.wake = wake
        self._couriers = Couriers(self._told)
        self._news = Sleepers()
        self._lock = threading.Lock()
        """Held where `_count` or `_unsaved` changes."""
        self._count = 0
        self._dismissed = False
        self._unsaved: list[Callable[[], object]] = []
        """How deliveries went, while that cannot be saved: nothing of it is sent a second time."""

    def has_any(self) -> bool:
        """Whether anything is on its way."""
        return self._found.is_used()

    def send_due(self) -> None:
        """Raises: StoreFailed (the disk is full, for example): nothing more is sent then."""
        self._reserve.refuse()
        self._save()
        busy = self._couriers.busy
        now = now_us()
        due = self._found.next_due(busy)
        if due is None or due > now or len(busy) >= MOST:
            return
        taken = self._writer.call(partial(self._deliveries.take, now, busy, limit=MOST - len(busy)))
        failpoint("message-taken")
        for one in taken:
            self._couriers.send(one, partial(self._orders.order, one))

    def next_due(self) -> int | None:
        """When there will be something to send by the clock alone, microseconds since the epoch."""
        busy = self._couriers.busy
        due = self._found.next_due(busy) if len(busy) < MOST else None
        return None if due is None else max(due, now_us() + _SOON_US)

    def close(self) -> None:
        """While the writer still writes. What is not delivered by now is so by the next daemon."""
        until = time.monotonic() + _CLOSE_S
        try:
            while (left := until - time.monotonic()) > 0:
                seen = self._count
                self.send_due()
                if not self._couriers.busy:
                    break
                self._news.sleep_until(partial(self._differs, seen), min(left, _SOON_US / 1e6))
        except JobdError as error:
            log.warning("messages wait for the next daemon: %s", error)
        self._couriers.close(max(0.0, until - time.monotonic()))

    # --- clients' threads -------------------------------------------------------------------------

    @property
    def news(self) -> int:
        """Another number whenever a message has arrived, or has not."""
        return self._count

    @property
    def dismissed(self) -> bool:
        """Nobody who waits will hear of anything any more."""
        return self._dismissed

    def wait(self, seen: int, seconds: float) -> None:
        """Until there are others than the news seen, or everybody is dismissed.

        Raises: as `Sleepers.sleep_until` does.
        """
        self._news.sleep_until(lambda: self._differs(seen) or self._dismissed, seconds)

    def _differs(self, seen: int) -> bool:
        return self._count != seen

    def dismiss(self) -> None:
        self._dismissed = True
        self._news.wake()

    # --- couriers' threads ------------------------------------------------------------------------

    def _told(self, taken: Taken, wrong: str) -> None:
        """How it went; `wrong`: why it was not delivered, "" if it was."""
        failpoint("message-sent")
        deliveries, now = self._deliveries, now_us()
        if wrong:
            due = None
            if taken.tries <= taken.target.retries:
                wait = delay(taken.target.retry_delay, taken.tries, random.random())  # noqa: S311
                due = now + round(wait * 1e6)
            save = partial(deliveries.failed, taken.id, wrong, due, now)
            log.warning("message %s to %s: %s", taken.token, taken.target.to.label, wrong)
        else:
            save = partial(deliveries.delivered, taken.id, now)
        with self._lock:
            self._unsaved.append(save)
        try:
            self._reserve.refuse()
            self._save()
        except JobdError as error:
            log.warning("that a message was sent is saved later: %s", error)
        failpoint("message-recorded")
        with self._lock:
            self._count += 1
        self._news.wake()
        self.wake()

    def _save(self) -> None:
        """Raises: StoreFailed: it is kept."""
        with self._lock:
            saves, self._unsaved = self._unsaved, []
        try:
            if saves:
                self._writer.call(lambda: [save() for save in saves])
        except JobdError:
            with self._lock:
                self._unsaved = [*saves, *self._unsaved]
            raise
