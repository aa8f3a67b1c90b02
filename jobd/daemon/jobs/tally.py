"""Moves in numbers: how many jobs are in which state, and what those hear who count by themselves.

The ledger counts at once, and takes back what is taken back. Listeners hear of a change when it is
on disk, in the order in which it was made there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial

from jobd.contract.states import Reason, State
from jobd.core.ledger import Ledger
from jobd.core.transitions import Verdict
from jobd.core.undo import Undo
from jobd.daemon.jobs.notifier import AttemptEnd, Change, Notifier
from jobd.store.records import Ran, Started


class Tally:
    """Called by the writer's thread alone, inside its transaction."""

    def __init__(self, ledger: Ledger, undo: Undo, notifier: Notifier) -> None:
        self._ledger = ledger
        self._undo = undo
        self._notifier = notifier

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
        self._later(partial(self._notifier.changed, Change(group, old, new, jobs, reason)))

    def regrouped(self, old: str, new: str) -> None:
        """A pending job is of another group from now on."""
        pending = State.PENDING
        self._later(partial(self._notifier.changed, Change(old, pending, None, moved=True)))
        self._later(partial(self._notifier.changed, Change(new, None, pending, moved=True)))

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
        group = attempt.entry.group
        self.count(group, State.PENDING, new)
        waited_s = max(0.0, (attempt.at - attempt.queued_at) / 1e6)
        self._later(partial(self._notifier.began, group, waited_s))

    def over(self, attempt: Started, ran: Ran, what: Verdict, ended_at: int) -> None:
        """An attempt has ended: its job, too, or that pends again. `ended_at`: microseconds since
        the epoch.
        """
        group = attempt.entry.group
        self.count(group, State.RUNNING, what.state, reason=what.reason)
        end = AttemptEnd(
            group=group,
            ran_s=max(0.0, (ended_at - attempt.at) / 1e6),
            retried=not what.state.finished,
            why=what.why,
            output_bytes=ran.output_bytes,
        )
        self._later(partial(self._notifier.over, end))

    def _later(self, tell: partial[None]) -> None:
        self._undo.add(_nothing, tell)


def _nothing() -> None:
    pass
