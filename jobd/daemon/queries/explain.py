"""Why a pending job does not run yet: facts go in, words with numbers come out.

Times in them are of no zone: whoever reads them is in one, and the daemon in perhaps another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from jobd.contract import durations
from jobd.contract.models import Lack
from jobd.contract.states import Reason, Resource, State
from jobd.contract.wording import instant
from jobd.core import fit

COUNTED: Final = 1000
"""Jobs before it that are counted; more are "more than"."""
NAMED: Final = 5
"""Parents that are described one by one."""


class Awaited(Struct, frozen=True, kw_only=True):
    """A job that another one waits for."""

    id: int
    state: State
    reason: str | None = None
    progress: float | None = None
    paused: bool = False


class Facts(Struct, frozen=True, kw_only=True):
    """What is known of a job and of what it waits for; times in seconds since the epoch."""

    job: int
    reason: str
    """One of the reasons of a pending job, as it is at this moment."""
    now: float
    workers: int
    """How many there are."""
    busy: int
    slots: int = 1
    gpus: int = 0
    devices: int = 0
    """GPUs that there are, and those that would take another job."""
    free_devices: int = 0
    group: str
    share: int
    """Workers that its group may have."""
    busy_in_group: int = 0
    awaited: Sequence[Awaited] = ()
    """The first of those that it waits for."""
    more_awaited: int = 0
    engine: str = ""
    """Where its jobs run, by name; and why that cannot be reached, if it cannot."""
    away: str | None = None
    due: float | None = None
    failures: int = 0
    retries: int = 0
    ahead: int | None = None
    """Jobs that come before it, at most one more than are counted; None: nobody has counted."""
    ahead_more: bool = False
    """There may be others: so many jobs had to be looked at that counting was given up."""

    @property
    def lacks(self) -> dict[Resource, Lack]:
        """What keeps the job from ever starting as things are."""
        found = fit.lacks(
            self.slots, self.gpus, workers=self.workers, share=self.share, devices=self.devices
        )
        return {lack.what: lack for lack in found}


def why(facts: Facts) -> str:
    """In words, for `show` and `status`."""
    return _WORDS.get(facts.reason, _turn)(facts)


def _held(facts: Facts) -> str:
    return f"held; let it go: jobctl start {facts.job}"


def _awaits(facts: Facts) -> str:
    return f"waits for {_parents(facts)}"


def _delayed(facts: Facts) -> str:
    return f"not before {instant(facts.due or 0.0)}, in {_left(facts)}"


def _retry(facts: Facts) -> str:
    # With fewer retries since, the one that is due comes all the same, and is the last.
    retries = max(facts.retries, facts.failures)
    return f"retry {facts.failures} of {retries} in {_left(facts)}"


def _draining(facts: Facts) -> str:
    del facts
    return "the daemon is shutting down and starts nothing"


def _group_paused(facts: Facts) -> str:
    return f"group {facts.group} is paused; resume it with: jobctl resume --group {facts.group}"


def _engine_away(facts: Facts) -> str:
    return f"engine {facts.engine} is away: {facts.away}; it is tried again by itself"


def _turn(facts: Facts) -> str:
    return "; ".join([_room(facts), *_before(facts)])


def _parents(facts: Facts) -> str:
    described = [_parent(parent) for parent in facts.awaited]
    if facts.more_awaited:
        described.append(f"{facts.more_awaited:,} more")
    if len(described) < 2:
        return "".join(described)
    return f"{', '.join(described[:-1])} and {described[-1]}"


def _parent(parent: Awaited) -> str:
    """`7 (running, 40%)`, `8 (pending, held)`."""
    words = [parent.state.value]
    if parent.paused:
        words.append("paused")
    if parent.state is State.RUNNING and parent.progress is not None:
        words.append(f"{round(parent.progress, 1):g}%")
    elif parent.reason and parent.reason != Reason.QUEUED:
        words.append(parent.reason)
    return f"{parent.id} ({', '.join(words)})"


def _resources(facts: Facts) -> str:
    lacks = facts.lacks
    if Resource.WORKERS in lacks:
        have = f"there {'is' if facts.workers == 1 else 'are'} {facts.workers}"
        return f"needs {facts.slots} workers and {have}; more: jobctl workers N"
    if Resource.GPUS in lacks:
        have = f"there {'is' if facts.devices == 1 else 'are'} {facts.devices}"
        return f"needs {facts.gpus} GPUs and {have}; name them in the configuration"
    free = f"{facts.free_devices} of {facts.devices} free"
    return "; ".join([f"waits for {facts.gpus} GPU{_s(facts.gpus)} ({free})", *_before(facts)])


def _room(facts: Facts) -> str:
    """What is full, and what it needs of it."""
    if not facts.workers:
        return "there are 0 workers; raise them: jobctl workers N"
    needs = f"needs {facts.slots} workers, " if facts.slots > 1 else ""
    group = facts.group
    if Resource.GROUP in facts.lacks:
        have = f"group {group} has {facts.share} worker{_s(facts.share)}"
        return f"{needs}{have}; raise it: jobctl workers N --group {group}"
    if facts.reason == Reason.GROUP_FULL:
        return f"{needs}{facts.busy_in_group} of {facts.share} workers of group {group} busy"
    return f"{needs}{facts.busy} of {facts.workers} workers busy"


def _before(facts: Facts) -> list[str]:
    if facts.ahead is None:
        return []
    if facts.ahead > COUNTED:
        return [f"more than {COUNTED:,} jobs before it"]
    if facts.ahead_more:
        return [f"at least {facts.ahead:,} job{_s(facts.ahead)} before it"]
    return [f"{facts.ahead:,} job{_s(facts.ahead)} before it" if facts.ahead else "next in line"]


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _left(facts: Facts) -> str:
    left = max(0.0, (facts.due or 0.0) - facts.now)
    return durations.text(left) if left >= 1 else "a moment"


_WORDS: Final[dict[str, Callable[[Facts], str]]] = {
    Reason.HELD: _held,
    Reason.DEPENDENCY: _awaits,
    Reason.DELAYED: _delayed,
    Reason.RETRY_BACKOFF: _retry,
    Reason.DRAINING: _draining,
    Reason.GROUP_PAUSED: _group_paused,
    Reason.ENGINE_AWAY: _engine_away,
    Reason.RESOURCES: _resources,
}
"""For all other reasons it is a matter of its turn."""
