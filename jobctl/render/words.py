"""A job's state and outcome in words, the same ones everywhere."""

from __future__ import annotations

from typing import Final

from jobctl.render import text
from jobd.contract.models import Array, Job
from jobd.contract.states import FINISHED, Reason, State
from jobd.contract.wording import counted, printable

_OF_ARRAY: Final = (
    State.COMPLETED, State.RUNNING, State.FAILED, State.STOPPED, State.PENDING
)  # fmt: skip
_FORGONE: Final = (
    State.COMPLETED, State.PENDING, State.STOPPED, State.RUNNING, State.FAILED
)  # fmt: skip
"""Where there is no room for all, the counts that go, the first one first."""
_NAME_BEGUN: Final = 6
"""Columns that the begin of an array's name gets, with the gap before it."""
_SOON: Final = 60.0
"""Seconds up to which a start is told by the time left instead of by the clock."""


def outcome(job: Job) -> str:
    """`failed (exit code 2)`, `completed`."""
    return f"{job.state.value} ({job.reason})" if job.reason else job.state.value


def detail(job: Job) -> str:
    """What the DETAIL column says: progress and time left, or the reason."""
    if job.state is State.RUNNING:
        return running(job)
    if job.state is State.PENDING:
        return waiting(job)
    return job.reason or ""


def waiting(job: Job) -> str:
    """`waits for 1,2`, `starts at 14:00`, `retry 2 of 5 in 38s`, or the bare reason."""
    parents = job.waits_for or [*job.after, *job.after_any]
    if job.reason == Reason.DEPENDENCY and parents:
        return f"waits for {text.selector(parents)}"
    if job.reason == Reason.DELAYED and job.not_before:
        left = text.seconds_until(job.not_before)
        if left < _SOON:
            return f"starts in {text.duration(left)}"
        return f"starts at {text.clock(job.not_before)}"
    if job.reason == Reason.RETRY_BACKOFF and job.not_before:
        left = text.seconds_until(job.not_before)
        return f"retry {job.failures} of {max(job.retries, job.failures)} in {text.duration(left)}"
    if job.reason == Reason.RESOURCES:
        wanted = counted(job.gpus, "GPU") if job.gpus else f"{job.slots} workers"
        return f"waits for {wanted}"
    return job.reason or ""


def running(job: Job) -> str:
    parts = ["paused"] if job.paused else []
    if job.progress is not None:
        parts.append(text.percent(job.progress))
    if job.eta_s:  # at 100% nothing is left
        parts.append(text.left(job.eta_s))
    return ", ".join(parts)


def array_row(job: Job, value: Array, screen: int, ids: int = 0) -> str:
    """`3-102  array 1-100  42 completed, 3 running  40%, 12m left  train`; `job` is one of it.

    `ids`: columns that these take; `screen`: those of the whole line, which may be longer still.
    """
    begin = f"{array_ids(value):>{ids}}  "
    told = array(value, screen - len(begin) - _NAME_BEGUN)
    return printable(f"{begin}{told}  {job.name or job.command}")


def array_ids(value: Array) -> str:
    """`3-102`."""
    return f"{value.first}-{value.last}"


def array(value: Array, width: int) -> str:
    """`array 1-100  42 completed, 3 running, 1 failed, 54 pending  40%, 12m left`.

    Where that has no room of so many columns, how far it is comes first, and as many of the counts
    as there is room for.
    """
    return counted_as(array_name(value), value.counts, array_progress(value), width)


def counted_as(name: str, counts: dict[State, int], progress: tuple[str, str], width: int) -> str:
    """The same of any jobs, under a name."""
    state, rest = _counts(counts), ", ".join(filter(None, progress))
    whole = "  ".join(filter(None, [name, state, rest]))
    if len(whole) <= width:
        return whole
    begin = "  ".join(filter(None, [name, rest]))
    return "  ".join(filter(None, [begin, _some_counts(counts, width - len(begin) - 2)]))


def array_name(value: Array) -> str:
    """`array 1-100`, `batch`."""
    return "batch" if value.first_index is None else f"array {value.first_index}-{value.last_index}"


def array_counts(value: Array) -> str:
    """`42 completed, 3 running, 1 failed, 54 pending`."""
    return _counts(value.counts)


def _counts(counts: dict[State, int]) -> str:
    return ", ".join(f"{counts[state]:,} {state.value}" for state in _OF_ARRAY if counts.get(state))


def _some_counts(counts: dict[State, int], room: int) -> str:
    """Those that matter most, each of them whole: `3 running, 8 failed, …`. A number that is cut
    would be another one.
    """
    kept = dict(counts)
    for least in _FORGONE:
        said = ", ".join(filter(None, [_counts(kept), "…" if kept != counts else ""]))
        if len(said) <= room:
            return said
        kept.pop(least, None)
    return ""


def array_progress(value: Array) -> tuple[str, str]:
    """`40%` and `12m left`, while it is on its way and as far as that is known."""
    return progress_of(value.counts, value.eta_s)


def progress_of(counts: dict[State, int], eta_s: float | None) -> tuple[str, str]:
    """The same of any jobs."""
    done = _percent(counts)
    if done is None:
        return "", ""
    return text.percent(done), text.left(eta_s) if eta_s else ""


def array_percent(value: Array) -> int | None:
    """How much of it has ended; None: it has not begun, or is over."""
    return _percent(value.counts)


def _percent(counts: dict[State, int]) -> int | None:
    total = sum(counts.values())
    over = sum(count for state, count in counts.items() if state in FINISHED)
    return 100 * over // total if 0 < over < total else None


def counts(jobs: dict[State, int]) -> str:
    """`1 running, 2 pending, 1 failed`."""
    return ", ".join(by_state(jobs))


def by_state(jobs: dict[State, int]) -> list[str]:
    order = (State.RUNNING, State.PENDING, State.COMPLETED, State.FAILED, State.STOPPED)
    return [f"{jobs[state]:,} {state.value}" for state in order if jobs.get(state)]
