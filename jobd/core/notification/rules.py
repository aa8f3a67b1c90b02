"""Who is told of what: `[[notify]]` as it is asked about each thing that happens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from msgspec import Struct

from jobd.contract.config import NotifyConfig
from jobd.contract.models import Job
from jobd.contract.states import EventName, Occasion, Reason, State
from jobd.core.notification.message import Target

_ENDS: Final = {
    EventName.COMPLETED.value: Occasion.COMPLETED,
    EventName.FAILED.value: Occasion.FAILED,
    EventName.STOPPED.value: Occasion.STOPPED,
}


def occasions(event: str, reason: object) -> frozenset[Occasion]:
    """What an event of the history is an occasion for: mostly none. `reason`: that in its data."""
    found = {_ENDS[event]} if event in _ENDS else set[Occasion]()
    if reason == Reason.LOST and (found or event == EventName.RETRYING):
        found.add(Occasion.LOST)
    return frozenset(found)


def state_after(event: str) -> State:
    """What such an event has made of its job."""
    return State(event) if event in _ENDS else State.PENDING


class Rule(Struct, frozen=True, kw_only=True):
    """One `[[notify]]`."""

    name: str
    on: frozenset[Occasion]
    config: NotifyConfig
    targets: tuple[Target, ...]

    def listens(self, occasions: Collection[Occasion]) -> bool:
        return not self.on.isdisjoint(occasions)

    @property
    def is_choosy(self) -> bool:
        """Whether it is about some jobs alone."""
        config = self.config
        return bool(config.groups or config.tags or config.min_runtime)

    def wants(self, job: Job | None, state: State) -> bool:
        """Whether the job, which has come to this state, is one of those that it is about.

        None: it need not be known, or it was removed meanwhile and nobody knows any more.
        """
        config = self.config
        if config.states and state not in config.states:
            return False
        if job is None or not self.is_choosy:
            return not self.is_choosy
        return (
            (not config.groups or job.group in config.groups)
            and (not config.tags or not set(config.tags).isdisjoint(job.tags))
            and (job.run_s or 0.0) >= config.min_runtime
        )


def rules_of(configs: Sequence[NotifyConfig]) -> list[Rule]:
    """In the order of the file."""
    found = []
    for number, config in enumerate(configs, start=1):
        name = config.name or f"notify {number}"
        targets = tuple(
            Target(
                rule=name, to=to, timeout=float(config.timeout), retries=config.retries,
                retry_delay=float(config.retry_delay),
            )
            for to in config.destinations()
        )  # fmt: skip
        found.append(Rule(name=name, on=frozenset(config.on), config=config, targets=targets))
    return found
