"""How long the queue may take, from how long its jobs took lately."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Final

from jobd.contract.models import Job
from jobd.contract.states import State

_FEWEST: Final = 3
"""Jobs that must have completed before others are measured by them."""


def until_idle(
    running: Sequence[Job], finished: Sequence[Job], pending: int, workers: int
) -> float | None:
    """Seconds until nothing is left to run, if what waits takes as long as what completed lately.

    None: too little has completed, nothing can run, or nothing is left.
    """
    took = [job.run_s for job in finished if job.state is State.COMPLETED and job.run_s is not None]
    if not workers or not (running or pending):
        return None
    usual = fmean(took) if len(took) >= _FEWEST else None
    left = [_left(job, usual) for job in running]
    known = [seconds for seconds in left if seconds is not None]
    if len(known) < len(left) or (pending and usual is None):
        return None
    waiting = pending * (usual or 0.0)
    # They run side by side, and it is over when the last one is.
    return max([(sum(known) + waiting) / workers, *known])


def _left(job: Job, usual: float | None) -> float | None:
    if job.eta_s is not None:
        return job.eta_s
    return None if usual is None else max(0.0, usual - (job.run_s or 0.0))
