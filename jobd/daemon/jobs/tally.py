"""Moves in numbers: how many jobs are in which state, and what those hear who count by themselves.

The ledger counts at once, and takes back what is taken back. Counters hear of a change when it is
on disk, in the order in which it was made there; where there are none it costs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

from jobd.contract.states import Reason, State
from jobd.core.ledger import Ledger
from jobd.core.transitions import Verdict
from jobd.core.undo import Undo
from jobd.store.records import Ran, Started


class Change(NamedTuple):
    """So many jobs of a group have gone from one state to another."""

    group: str
    old: State | None
    """None: they were not there before."""
    new: State | None
    """None: they are there no more."""
    jobs: int = 1
    reason: str | None = None
    """Why they have ended."""
    moved: bool = False
    """They are not new and not gone, but have come from another group, or went there."""


class AttemptEnd(NamedTuple):
    """How an attempt was, and what became of its job."""

    group: str
    new: State
    """That of the job, which ran."""
    reason: str | None
    why: str | None
    """The reason of the attempt's own end; None: it completed."""
    ran_s: float
    output_bytes: int


class MoveCounter:
    """Counts moves by itself. The writer's thread calls it, between two of its transactions: it is
    to count and no more, and raises nothing.
    """

    def changed(self, change: Change) -> None:
        """It is on disk."""

    def began(self, group: str, new: State, waited_s: float) -> None:
        """The same: a pending job is `new` from now on, and has pended for so long."""

    def over(self, end: AttemptEnd) -> None:
        """The same."""


class Tally:
    """Called by the writer's thread alone, inside its transaction; but for `subscribe`."""

    def __init__(self, ledger: Ledger, undo: Undo) -> None:
        self._ledger = ledger
        self._undo = undo
        self._counters: tuple[MoveCounter, ...] = ()

    def subscribe(self, counter: MoveCounter) -> None:
        """Before the writer starts."""
        self._counters = (*self._counters, counter)

    def count(
        self,
        group: str,
        old: State | None,
        new: State | None,
        jobs: int = 1,
        reason: str | None = None,
    ) -> None:
        """So many jobs of a group went from one state to another (None: they did not exist, or no
        more). `reason`: why they have ended.
        """
        self._ledger.count(old, new, jobs)
        for counter in self._counters:
            self._later(partial(counter.changed, Change(group, old, new, jobs, reason)))

    def regrouped(self, old: str, new: str) -> None:
        """A pending job is of another group from now on."""
        for counter in self._counters:
            for change in (
                Change(old, State.PENDING, None, moved=True),
                Change(new, None, State.PENDING, moved=True),
            ):
                self._later(partial(counter.changed, change))

    def came(self, jobs: Mapping[tuple[State, str], int]) -> None:
        """New jobs, by state and group. Those that have ended have failed with a parent."""
        for (state, group), count in jobs.items():
            why = Reason.DEPENDENCY if state.finished else None
            self.count(group, None, state, count, why)

    def withdrawn(self, groups: Iterable[str], new: State) -> None:
        """Pending jobs of these groups, one a job, were ended by a user."""
        for group, count in Counter(groups).items():
            self.count(group, State.PENDING, new, count, Reason.BY_USER)

    def began(self, attempt: Started, new: State) -> None:
        """An attempt is on disk as running."""
        self._ledger.count(State.PENDING, new)
        for counter in self._counters:
            waited_s = max(0.0, (attempt.at - attempt.queued_at) / 1e6)
            self._later(partial(counter.began, attempt.entry.group, new, waited_s))

    def over(self, attempt: Started, ran: Ran, what: Verdict, ended_at: int) -> None:
        """An attempt has ended: its job, too, or that pends again. `ended_at`: microseconds since
        the epoch.
        """
        self._ledger.count(State.RUNNING, what.state)
        for counter in self._counters:
            ran_s = max(0.0, (ended_at - attempt.at) / 1e6)
            group, size = attempt.entry.group, ran.output_bytes
            end = AttemptEnd(group, what.state, what.reason, what.why, ran_s, size)
            self._later(partial(counter.over, end))

    def _later(self, tell: partial[None]) -> None:
        self._undo.add(_nothing, tell)


def _nothing() -> None:
    pass
