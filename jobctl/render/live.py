"""What `watch` prints: a line per change, as it happens."""

from __future__ import annotations

from collections.abc import Iterable

from jobctl.render import streams, text, words
from jobd.contract.models import Event, Job


def event(value: Event) -> None:
    """At once, whoever reads it."""
    streams.line(sentence(value))
    streams.flush()


def dated(values: Iterable[Event]) -> None:
    """`    12  2026-11-24 14:02:11  job 3 failed (exit code 2)`, all of them at once."""
    for value in values:
        streams.line(f"{value.seq:>6}  {text.moment(value.at)}  {sentence(value)}")
    streams.flush()


def sentence(value: Event) -> str:
    """`job 3 progress: 40%`."""
    whose = f"job {value.job} " if value.job is not None else ""
    return whose + change(value)


def standing(job: Job) -> None:
    """A job that was running before anybody watched: `job 3 running: 40%`."""
    detail = words.detail(job)
    streams.line(f"job {job.id} {job.state.value}{f': {detail}' if detail else ''}")
    streams.flush()


def change(value: Event) -> str:
    """What happened, without whose it is."""
    data = value.data
    if value.event == "progress":
        return f"progress: {_progress(value)}"
    if value.event in ("started", "restarted", "retrying"):
        number = data.get("attempt")
        return f"{value.event} (attempt {number})" if _repeated(number) else value.event
    if value.event == "workers":
        return f"workers: {data.get('workers', '?')}"
    reason = data.get("reason")
    return f"{value.event} ({text.visible(str(reason))})" if reason else value.event


def _progress(value: Event) -> str:
    percent, left, message = (value.data.get(key) for key in ("percent", "eta_s", "message"))
    parts = [text.percent(percent)] if isinstance(percent, int | float) else []
    if isinstance(left, int | float) and left > 0:
        parts.append(text.left(left))
    if message:
        parts.append(text.visible(str(message)))
    return ", ".join(parts)


def _repeated(number: object) -> bool:
    return isinstance(number, int) and number > 1
