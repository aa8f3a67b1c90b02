"""A job's state and outcome in words, the same ones everywhere."""

from __future__ import annotations

from jobctl.render import text
from jobd.contract.models import Job, State


def outcome(job: Job) -> str:
    """`failed (exit code 2)`, `completed`."""
    return f"{job.state.value} ({text.visible(job.reason)})" if job.reason else job.state.value


def detail(job: Job) -> str:
    """What the DETAIL column says: progress and time left, or the reason."""
    if job.state is State.RUNNING:
        return running(job)
    if job.reason == "dependency" and (job.after or job.after_any):
        return f"waits for {text.selector([*job.after, *job.after_any])}"
    return text.visible(job.reason or "")


def running(job: Job) -> str:
    parts = ["paused"] if job.paused else []
    if job.progress is not None:
        parts.append(text.percent(job.progress))
    if job.eta_s is not None:
        parts.append(text.left(job.eta_s))
    return ", ".join(parts)


def counts(jobs: dict[State, int]) -> str:
    """`1 running, 2 pending, 1 failed`."""
    return ", ".join(counted(jobs))


def counted(jobs: dict[State, int]) -> list[str]:
    order = (State.RUNNING, State.PENDING, State.COMPLETED, State.FAILED, State.STOPPED)
    return [f"{jobs[state]:,} {state.value}" for state in order if jobs.get(state)]
