"""All attempts that run now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from jobd.contract.states import cannot_be_ended
from jobd.core.eta import Pace, seconds_left
from jobd.core.undo import Undo
from jobd.daemon.execution.run import Run
from jobd.engines.base import Refusal
from jobd.store.records import Ran
from jobd.system.clock import now_us, offset_us

_NAMED: Final = 5
"""Processes that are named one by one."""


class Runs:
    """By the number of their job. Any thread may look.

    Entered and left by the writer's thread alone, inside its transaction.
    """

    def __init__(self, undo: Undo) -> None:
        self._undo = undo
        self._runs: dict[int, Run] = {}
        self._on: Counter[str] = Counter()
        """How many, by engine."""

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, job: object) -> bool:
        return job in self._runs

    def __getitem__(self, job: int) -> Run:
        return self._runs[job]

    def get(self, job: int) -> Run | None:
        return self._runs.get(job)

    def all(self) -> list[Run]:
        return list(self._runs.values())

    def ran_as(self, job: int) -> Ran:
        """Of nothing is known where it does not run, or its process has not been started yet."""
        run = self._runs.get(job)
        return Ran() if run is None else run.ran

    def attempt_of(self, job: int) -> tuple[str, int] | None:
        """The engine and the number of its attempt; None: it does not run."""
        run = self._runs.get(job)
        return None if run is None else (run.engine, run.attempt)

    def left_of(self, job: int) -> float | None:
        """Seconds until it will probably be done; None: that cannot be told."""
        run = self._runs.get(job)
        return None if run is None else seconds_left(run.pace, now_us() / 1e6)

    def why_stuck(self, job: int) -> str | None:
        """What keeps it from ending as it was told to; None: nothing, or nothing was said."""
        run = self._runs.get(job)
        return cannot_be_ended(whose(run.stuck)) if run is not None and run.stuck else None

    def unsaved(self) -> dict[str, int]:
        """When those ended, by token, whose end was seen and is not on disk, microseconds since
        boot.
        """
        ends = ((run.started.token, run.ran.ended_at) for run in self.all())
        return {token: at - offset_us() for token, at in ends if at is not None}

    def count_on(self, engine: str) -> int:
        """How many of them are on an engine."""
        return self._on[engine]

    def enter(self, run: Run) -> None:
        self._put(run)
        self._undo.add(lambda: self._take(run))

    def leave(self, run: Run) -> None:
        self._take(run)
        self._undo.add(lambda: self._put(run))

    def paced(self, run: Run, pace: Pace) -> None:
        """How fast it goes, as has just been reported."""
        before, run.pace = run.pace, pace
        self._undo.add(lambda: setattr(run, "pace", before))

    def forget(self, run: Run) -> None:
        """Outside of any transaction: its end cannot be recorded."""
        if run.id in self._runs:
            self._take(run)

    def _put(self, run: Run) -> None:
        self._runs[run.id] = run
        self._on[run.engine] += 1

    def _take(self, run: Run) -> None:
        del self._runs[run.id]
        self._on[run.engine] -= 1


def whose(refusals: Sequence[Refusal]) -> str:
    """The first of them in words, and that there are others."""
    more = f" and {len(refusals) - _NAMED} more" if len(refusals) > _NAMED else ""
    return ", ".join(refusals[:_NAMED]) + more
