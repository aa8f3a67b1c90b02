"""`notify`: a message on purpose, to see whether it arrives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from jobd.contract import destinations
from jobd.contract.call import Call
from jobd.contract.errors import BadRequest, NotFound
from jobd.contract.models import Notified, Notify
from jobd.core.notification.message import TEST, Message, Target
from jobd.daemon.commands.idempotency import Idempotency
from jobd.daemon.jobs.in_force import InForce
from jobd.store.deliveries import Deliveries, Planned
from jobd.system.clock import now_us


class SendTest:
    """Clients' threads call; the message is on disk before the answer."""

    def __init__(
        self,
        in_force: InForce,
        deliveries: Deliveries,
        idempotency: Idempotency,
        wake: Callable[[], object],
    ) -> None:
        """`wake`: called when there is something to send."""
        self._in_force = in_force
        self._deliveries = deliveries
        self._idempotency = idempotency
        self._wake = wake

    def notify(self, request: Notify, call: Call) -> Notified:
        """Raises: NotFound (no such rule, or none at all), BadRequest (no such URL), JobdError
        (nothing here can send to it).
        """
        targets = self._targets(request.to)
        if any(target.to.url for target in targets):
            destinations.require_apprise("--test")
        notified = self._idempotency.once(call.id, Notified, partial(self._send, targets, call))
        self._wake()
        return notified

    def _targets(self, to: str) -> list[Target]:
        rules = [rule for rule in self._in_force.rules if to in ("", rule.name)]
        if rules:
            found = [target for rule in rules for target in rule.targets]
            return [
                Target(rule=one.rule, to=one.to, timeout=one.timeout, retries=0) for one in found
            ]
        if not destinations.is_url(to):
            names = ", ".join(rule.name for rule in self._in_force.rules)
            there_are = f"there are {names}" if names else "config.toml has no [[notify]]"
            raise NotFound(f"--test: no such rule, and no URL; {there_are}")
        try:
            return [Target(rule=TEST, to=destinations.address(to), retries=0)]
        except ValueError as error:
            raise BadRequest(f"--test: {error}") from None

    def _send(self, targets: Sequence[Target], call: Call) -> Notified:
        """In a transaction."""
        now = now_us()
        message = Message(
            occasion=TEST, at=now, said=f"jobd: a test, asked for by {call.user}",
            details=["It arrives: so would what becomes of your jobs."],
        )  # fmt: skip
        planned = [Planned(target, message) for target in targets]
        return Notified(ids=[self._deliveries.add(one, now) for one in planned])
