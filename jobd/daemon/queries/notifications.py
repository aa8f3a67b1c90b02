"""`notifications`: the latest messages, and how far each has come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from jobd.contract.call import Call
from jobd.contract.errors import LEAVING, NotRunning
from jobd.contract.models import Deliveries, Delivery, Notifications
from jobd.contract.wire import MAX_WAIT
from jobd.core.notification import text
from jobd.daemon.queries.views import moment
from jobd.store.delivery_reader import DeliveryReader, DeliveryRow

Redact = Callable[[Delivery], Delivery]


class Arrivals(Protocol):
    """News of messages that have arrived, or have not."""

    @property
    def news(self) -> int:
        """Another number whenever there are any."""

    @property
    def dismissed(self) -> bool:
        """There will be none any more."""

    def wait(self, seen: int, seconds: float) -> None:
        """Until there are others than those seen, or there will be none."""


class NotificationsQuery:
    """Clients' threads call, and wait in it."""

    def __init__(
        self, found: DeliveryReader, arrivals: Arrivals, redact: Redact = lambda one: one
    ) -> None:
        """`redact`: leaves out what those who ask may not see."""
        self._found = found
        self._arrivals = arrivals
        self._redact = redact

    def notifications(self, request: Notifications, _: Call) -> Deliveries:
        """Raises: NotRunning (the daemon leaves, and they are still on their way)."""
        until = time.monotonic() + min(request.wait, MAX_WAIT)
        while True:
            seen, last = self._arrivals.news, self._arrivals.dismissed
            rows = self._found.latest(request.limit, request.ids)
            is_over = not request.ids or all(row.due is None for row in rows)
            left = until - time.monotonic()
            if is_over or left <= 0:
                shown = [self._redact(_shown(row)) for row in rows]
                return Deliveries(notifications=shown, is_over=is_over)
            if last:
                raise NotRunning(LEAVING)
            self._arrivals.wait(seen, left)


def _shown(row: DeliveryRow) -> Delivery:
    message = row.message
    return Delivery(
        id=row.id,
        token=row.token,
        rule=row.target.rule,
        to=row.target.to.label,
        on=message.occasion,
        title=text.title(message),
        job=None if message.job is None else message.job.id,
        count=message.count,
        state=row.state,
        tries=row.tries,
        error=row.error,
        made_at=moment(row.made_at),
        next_try_at=None if row.due is None else moment(row.due),
        ended_at=None if row.ended_at is None else moment(row.ended_at),
    )
