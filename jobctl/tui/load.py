"""How busy running jobs keep the processors, from one look to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from jobd.contract.models import Job

_SHORTEST_S: Final = 0.5
"""Between two looks; what was counted in less says little."""


class _Sample(NamedTuple):
    attempt: int
    at: float
    cpu_s: float
    percent: float | None


class Load:
    """By job. For one thread."""

    def __init__(self) -> None:
        self._seen: dict[int, _Sample] = {}

    def see(self, jobs: Sequence[Job], at: float) -> None:
        """They are all that run; `at`: seconds on a clock that is never set."""
        known = [(job, job.cpu_s) for job in jobs if job.cpu_s is not None]
        self._seen = {job.id: self._next(job, cpu, at) for job, cpu in known}

    def percent(self, job: int) -> float | None:
        """Of one processor, as top(1) has it; None: that is not known yet."""
        seen = self._seen.get(job)
        return None if seen is None else seen.percent

    def _next(self, job: Job, cpu_s: float, at: float) -> _Sample:
        before = self._seen.get(job.id)
        if before is None or before.attempt != job.attempt:
            usual = 100 * cpu_s / job.run_s if job.run_s else None
            return _Sample(job.attempt, at, cpu_s, usual)
        if at - before.at < _SHORTEST_S:
            return before
        used = max(0.0, cpu_s - before.cpu_s)
        return _Sample(job.attempt, at, cpu_s, 100 * used / (at - before.at))
