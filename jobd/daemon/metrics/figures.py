"""What is counted since the daemon's start: moves, attempts, transactions, requests.

Nothing is looked for when somebody asks: each figure is kept as it changes.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from jobd.contract.states import Reason, State, kind_of
from jobd.core.histogram import Histogram
from jobd.core.undo import Undo
from jobd.daemon.jobs.tally import AttemptEnd, Change, MoveCounter

_LONG_S: Final = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400)
"""Of jobs, in seconds: from a moment to a day."""
_SHORT_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
"""Of the daemon's own work."""
_MOST_GROUPS: Final = 100
OTHERS: Final = "(others)"
"""Stands for all groups beyond so many. No group can have this name."""

Counts = Mapping[tuple[State, str], int]
"""Jobs by state and group."""


class JobFigures(MoveCounter):
    """The writer's thread counts, between two transactions; any thread may read.

    Groups are few: what is counted of those beyond the first hundred is counted together.
    """

    def __init__(self, undo: Undo) -> None:
        self._undo = undo
        self._labels: dict[str, str] = {}
        self.jobs: Counter[tuple[str, State]] = Counter()
        """By group and state, as they are now; true from `load` on."""
        self.submitted: Counter[str] = Counter()
        """By group; so where nothing else is said."""
        self.ended: Counter[tuple[str, State, str]] = Counter()
        """By group, state and kind of reason."""
        self.attempts: Counter[str] = Counter()
        self.retried: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.waited: dict[str, Histogram] = defaultdict(partial(Histogram, _LONG_S))
        self.ran: dict[str, Histogram] = defaultdict(partial(Histogram, _LONG_S))
        self.output_bytes = 0

    def load(self, read: Callable[[], Counts]) -> None:
        """In a transaction: what there is now. `read`: looks for it there.

        What was counted before is replaced, what comes later in this transaction is added.
        """
        counts = read()
        self._undo.add(lambda: None, lambda: self._set(counts))

    def _set(self, counts: Counts) -> None:
        self.jobs.clear()
        for (state, group), count in counts.items():
            self.jobs[self.label(group), state] += count

    def label(self, group: str) -> str:
        """By what name its figures go."""
        known = self._labels.get(group)
        if known is not None:
            return known
        if len(self._labels) >= _MOST_GROUPS:
            return OTHERS
        self._labels[group] = group
        return group

    # --- as a counter -------------------------------------------------------------------------

    def changed(self, change: Change) -> None:
        group, old, new = self.label(change.group), change.old, change.new
        if old is not None:
            self.jobs[group, old] -= change.jobs
        if new is None:
            return
        self.jobs[group, new] += change.jobs
        if old is None and not change.moved:
            self.submitted[group] += change.jobs
        if new.finished:
            self.ended[group, new, kind_of(change.reason)] += change.jobs

    def began(self, group: str, new: State, waited_s: float) -> None:
        group, jobs = self.label(group), self.jobs
        jobs[group, State.PENDING] -= 1
        jobs[group, new] += 1
        self.attempts[group] += 1
        self.waited[group].observe(waited_s)

    def over(self, end: AttemptEnd) -> None:
        group, new, jobs = self.label(end.group), end.new, self.jobs
        jobs[group, State.RUNNING] -= 1
        jobs[group, new] += 1
        self.ran[group].observe(end.ran_s)
        self.output_bytes += end.output_bytes
        if new is State.PENDING:
            self.retried[group] += 1
        else:
            self.ended[group, new, kind_of(end.reason)] += 1
        if end.why == Reason.LOST:
            self.lost[group] += 1


class WorkFigures:
    """How long the daemon's own work takes: transactions, and requests by their name."""

    def __init__(self) -> None:
        self.commits = Histogram(_SHORT_S)
        self.committed_at: float | None = None
        """When the last transaction was saved, seconds since the epoch."""
        self._requests: dict[str, Histogram] = {}
        self._failed: Counter[str] = Counter()
        self._asking = threading.Lock()

    def committed(self, seconds: float) -> None:
        """By the writer's thread: a transaction that took so long is saved."""
        self.commits.observe(seconds)
        self.committed_at = time.time()

    def answered(self, name: str, seconds: float, *, well: bool) -> None:
        """By clients' threads. `name`: of a request that the daemon knows."""
        with self._asking:
            taken = self._requests.get(name)
            if taken is None:
                taken = self._requests[name] = Histogram(_SHORT_S)
            taken.observe(seconds)
            self._failed[name] += not well

    def requests(self) -> list[tuple[str, Histogram, int]]:
        """Name, how long they took, and how many were refused or failed."""
        with self._asking:
            return [(name, each, self._failed[name]) for name, each in self._requests.items()]
