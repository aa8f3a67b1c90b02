"""What `watch` prints: a line per change, as it happens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache

import msgspec

from jobctl.render import streams, text, words
from jobd.contract.models import Event, Job
from jobd.contract.states import EventName


def event(value: Event) -> None:
    """At once, whoever reads it."""
    streams.line(sentence(value))
    streams.flush()


def dated(values: Iterable[Event], owner: str) -> None:
    """`    12  2026-11-24 14:02:11  job 3 stopped (by user) by anna`, all of them at once.

    `owner`: who need not be named.
    """
    moment = cache(text.moment)  # much happens within the same second
    for value in values:
        at = moment(value.at.replace(microsecond=0))
        streams.line(f"{value.seq:>6}  {at}  {sentence(value)}{by(value, owner)}")
    streams.flush()


def by(value: Event, owner: str) -> str:
    """` by anna`, where somebody else did it than one expects; nobody did what the daemon does."""
    return f" by {value.user}" if owner and value.user and value.user != owner else ""


def sentence(value: Event) -> str:
    """`job 3 progress: 40%`, `group gpu paused`."""
    return f"{_whose(value)}{change(value)}"


def _whose(value: Event) -> str:
    if value.job is not None:
        return f"job {value.job} "
    group = value.data.get("group")
    return f"group {group} " if group is not None else ""


def standing(job: Job) -> None:
    """A job that was running before anybody watched: `job 3 running: 40%`."""
    detail = words.detail(job)
    streams.line(f"job {job.id} {job.state.value}{f': {detail}' if detail else ''}")
    streams.flush()


def change(value: Event) -> str:
    """What happened, without whose it is."""
    data = value.data
    if value.event == EventName.PROGRESS:
        return f"progress: {_progress(value)}"
    if value.event in (EventName.STARTED, EventName.RESTARTED):
        number = data.get("attempt")
        return f"{value.event} (attempt {number})" if _repeated(number) else value.event
    if value.event == EventName.WORKERS:
        return _workers(value)
    if value.event == EventName.EDITED:
        edits = ", ".join(_edits(value))
        return f"edited ({edits})" if edits else "edited"
    if value.event == EventName.SUBMITTED and "last" in data:
        which = f"{data['jobs']} jobs" if "jobs" in data else "an array"
        return f"submitted ({which}, up to job {data['last']})"
    reason = data.get("reason")
    return f"{value.event} ({reason})" if reason else value.event


def _workers(value: Event) -> str:
    """`workers: 4`; of a group: `workers: 2`, `removed`."""
    if value.data.get("removed"):
        return "removed"
    workers = value.data.get("workers", "?")
    return f"workers: {'all' if workers is None else workers}"


def _edits(value: Event) -> Iterable[str]:
    """`priority 100`, `after 3,5-6`, `let go`."""
    for name, written in value.data.items():
        if name == "held":
            yield "let go"
        else:
            yield f"{name.replace('_', ' ')} {_edited(name, written)}"


def _edited(name: str, written: str | float | bool | None) -> str:  # noqa: FBT001 # as events have it
    if name in ("after", "after_any", "tags", "retry_on"):
        return _list(str(written))
    if name == "at" and isinstance(written, int | float):
        return _clock(written)
    if name in ("delay", "time_limit", "retry_delay") and isinstance(written, int | float):
        return text.duration(written) if written else "none"
    return str(written) if written != "" else "none"


def _clock(seconds: float) -> str:
    try:
        return text.clock(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, ValueError, OSError):
        return str(seconds)  # no time that there is


def _list(written: str) -> str:
    """Lists stand in an event as JSON: `[[1,1],[4,6]]` are jobs, `1,4-6`."""
    try:
        found = msgspec.json.decode(written, type=list[tuple[int, int] | str | int])
    except msgspec.DecodeError:
        return written
    pieces = [text.piece(*item) if isinstance(item, tuple) else str(item) for item in found]
    return ",".join(pieces) or "none"


def _progress(value: Event) -> str:
    percent, left, message = (value.data.get(key) for key in ("percent", "eta_s", "message"))
    parts = [text.percent(percent)] if isinstance(percent, int | float) else []
    if isinstance(left, int | float) and left > 0:
        parts.append(text.left(left))
    if message:
        parts.append(str(message))
    return ", ".join(parts)


def _repeated(number: object) -> bool:
    return isinstance(number, int) and number > 1
