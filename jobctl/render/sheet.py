"""One job for people: the sheet of `show`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from jobctl.render import streams, text, words
from jobd.contract import sizes
from jobd.contract.models import DEFAULT_GROUP, Attempt, Job, Options, Shown
from jobd.contract.states import FINISHED, EventName, State

_HISTORY: Final = 20


def shown(value: Shown) -> None:
    """Everything about one job, a fact a line."""
    for line in lines(value):
        streams.line(line)


def lines(value: Shown) -> Iterator[str]:
    """The same for whoever shows it elsewhere."""
    job = value.job
    yield f"job {job.id}{f'  {job.name}' if job.name else ''}"
    options = None if value.recipe is None else value.recipe.options
    latest = next((one for one in value.attempts if one.attempt == job.attempt), None)
    for label, fact in _facts(job, value.why, options, latest):
        if fact:
            yield f"  {label:<12}{fact}"
    if value.attempts:
        yield "attempts"
    for attempt in value.attempts:
        yield f"  {attempt.attempt:<4}{_attempt(attempt)}"
    yield from _history(value)


def _facts(
    job: Job, why: str | None, options: Options | None, latest: Attempt | None
) -> list[tuple[str, str]]:
    state = words.outcome(job)
    return [
        ("state", state[0].upper() + state[1:]),
        ("why", text.localized(why or "")),
        ("command", job.command + ("  (shell line)" if job.shell else "")),
        ("directory", job.cwd),
        ("priority", str(job.priority)),
        *_terms(job),
        *(_options(options) if options else []),
        ("user", job.user),
        ("progress", _progress(job)),
        ("submitted", text.moment(job.submitted_at)),
        ("started", text.moment(job.started_at) if job.started_at else ""),
        ("finished", text.moment(job.finished_at) if job.finished_at else ""),
        ("waited", text.duration(job.wait_s) if job.wait_s is not None else ""),
        ("ran", text.duration(job.run_s) if job.run_s is not None else ""),
        ("uses" if job.state is State.RUNNING else "used", _used(job)),
        ("engine", _engine(job)),
        ("pid", str(job.pid) if job.state is State.RUNNING and job.pid else ""),
        ("output", _output(job, latest)),
    ]


def _output(job: Job, latest: Attempt | None) -> str:
    """Where it lies, and how much it is."""
    if latest is None or not latest.output_path:
        return job.output_path or ""
    if not latest.output_bytes or latest.stored_bytes is None:
        return latest.output_path
    size = sizes.text(latest.output_bytes)
    is_less = latest.stored_bytes < latest.output_bytes
    stored = f", {sizes.text(latest.stored_bytes)} on the disk" if is_less else ""
    return f"{latest.output_path} ({size}{stored})"


def _terms(job: Job) -> list[tuple[str, str]]:
    """When, where and how often, as far as it was said."""
    waiting = job.state is State.PENDING and job.not_before
    return [
        ("group", job.group if job.group != DEFAULT_GROUP else ""),
        ("tags", ", ".join(job.tags)),
        ("slots", str(job.slots) if job.slots != 1 else ""),
        ("GPUs", str(job.gpus) if job.gpus else ""),
        ("after", text.selector(job.after)),
        ("after any", text.selector(job.after_any)),
        ("not before", text.moment(job.not_before) if waiting else ""),
        ("time limit", text.duration(job.time_limit_s) if job.time_limit_s else ""),
        ("retries", _retries(job)),
        ("key", job.key or ""),
        ("array", f"element {job.array_index}" if job.array_index is not None else ""),
    ]


def _options(options: Options) -> list[tuple[str, str]]:
    """What else was asked for, by the names of `submit`."""
    usual = Options()
    delay = text.duration(options.retry_delay) if options.retries else ""
    kept = "" if options.max_output is None else sizes.text(options.max_output)
    return [
        ("retry delay", delay if options.retry_delay != usual.retry_delay else ""),
        ("retry on", ",".join(map(str, options.retry_on))),
        ("requeue", "yes" if options.requeue else ""),
        ("nice", str(options.nice) if options.nice else ""),
        ("shell", os.fsdecode(options.shell)),
        ("stdin", os.fsdecode(options.stdin)),
        ("progress by", options.progress if options.progress != "auto" else ""),
        ("max output", kept),
        ("notify", ", ".join(wish.label for wish in options.notify)),
        ("for engine", " ".join(options.engine_options)),
    ]


def _retries(job: Job) -> str:
    failed = f", {job.failures} failed so far" if job.failures else ""
    return f"{job.retries}{failed}" if job.retries else ""


def _progress(job: Job) -> str:
    parts = [words.running(job)] if job.state is State.RUNNING else []
    if job.state is not State.RUNNING and job.progress is not None:
        parts.append(text.percent(job.progress))
    if job.progress_message:
        parts.append(job.progress_message)
    return "  ".join(part for part in parts if part)


def _engine(job: Job) -> str:
    """`slurm job 4711 on n3`; of this machine's own jobs there is nothing to tell."""
    if job.engine_id is None:
        return ""
    return f"{job.engine} job {job.engine_id}" + (f" on {job.host}" if job.host else "")


def _used(job: Job) -> str:
    """While it runs up to now, and of memory also what it has now."""
    parts = [f"{text.duration(job.cpu_s)} CPU"] if job.cpu_s is not None else []
    if job.rss_kb is not None:
        parts.append(f"{text.size(job.rss_kb)} memory")
    if job.gpu_memory_kb is not None:
        parts.append(f"{text.size(job.gpu_memory_kb)} GPU memory")
    if job.max_rss_kb is not None:
        peak = text.size(job.max_rss_kb)
        running = job.state is State.RUNNING
        parts.append(f"{peak} at most in one process" if running else f"{peak} memory at most")
    elif job.state in FINISHED and parts:
        # A small job's figure is the daemon's own, whose size it had before its exec.
        parts.append("peak of memory unknown")
    return ", ".join(parts)


def _usage(cpu: float | None, memory: int | None) -> str:
    parts = [f"{text.duration(cpu)} CPU"] if cpu is not None else []
    if memory is not None:
        parts.append(f"{text.size(memory)} memory at most")
    return ", ".join(parts)


def _attempt(attempt: Attempt) -> str:
    reason = f" ({attempt.reason})" if attempt.reason else ""
    ran = ""
    if attempt.finished_at:
        ran = f" after {text.duration((attempt.finished_at - attempt.started_at).total_seconds())}"
    usage = _usage(attempt.cpu_s, attempt.max_rss_kb)
    state = f"{attempt.state.value.capitalize()}{reason}{ran}"
    return f"{text.moment(attempt.started_at)}  {state}{f'; {usage}' if usage else ''}"


def _history(value: Shown) -> Iterator[str]:
    """Progress is left out: there may be thousands, and the last one stands above."""
    from jobctl.render.live import by, change

    events = [event for event in value.events if event.event != EventName.PROGRESS]
    if events:
        yield "history"
    if value.job.array_index is not None and events and events[0].event != EventName.SUBMITTED:
        # The event is that of the array's first one.
        yield f"  {text.moment(value.job.submitted_at)}  submitted (with its array)"
    if len(events) > _HISTORY:
        yield f"  {len(events) - _HISTORY} earlier ones: --json"
    for event in events[-_HISTORY:]:
        yield f"  {text.moment(event.at)}  {change(event)}{by(event, value.job.user)}"
