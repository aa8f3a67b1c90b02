"""A message as a person reads it: title and body, in plain text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from jobd.contract.models import Job
from jobd.contract.states import State
from jobd.contract.wording import instant, printable
from jobd.core.notification.message import Message

_COMMAND: Final = 500
"""Characters of a command in a message."""


def told(job: Job | None, number: int, what: str, reason: str | None) -> str:
    """`job 7 (train) failed: exit code 1`."""
    name = f" ({printable(job.name)})" if job is not None and job.name else ""
    why = f": {printable(reason)}" if reason else ""
    return f"job {number}{name} {what}{why}"


def title(message: Message) -> str:
    if message.count > 1:
        return f"{message.first[0]}, and {message.count - 1:,} more"
    return message.said


def body(message: Message, token: str) -> str:
    """`token`: by which the receiver knows it again, if it comes twice."""
    return "\n".join([*_lines(message), "", f"notification {token}"])


def _lines(message: Message) -> Iterator[str]:
    if message.count > 1:
        yield f"{message.count:,} came within a short time:"
        yield from (f"  {said}" for said in message.first)
        if (more := message.count - len(message.first)) > 0:
            yield f"  … and {more:,} more"
        yield ""
        yield "all of them: jobctl ls; what failed once more: jobctl restart --failed"
        return
    yield f"{message.said}, {instant(message.at / 1e6)}"
    if message.details:
        yield ""
        yield from message.details
    if message.job is not None:
        yield ""
        yield from _of_job(message.job)
    if message.last_lines:
        yield ""
        yield "last lines of its output:"
        yield from (f"  {line}" for line in message.last_lines)
    if message.job is not None and message.job.state is not State.RUNNING:
        yield ""
        yield f"again: {message.again}"
        yield f"all of its output: jobctl logs {message.job.id}"
    elif message.again:
        yield ""
        yield f"again: {message.again}"


def again(job: Job) -> str:
    """The command that runs it once more."""
    return f"jobctl restart {job.id}"


def _of_job(job: Job) -> Iterator[str]:
    yield _fact("command", job.command[:_COMMAND])
    yield _fact("directory", job.cwd)
    yield _fact("group", job.group)
    if job.tags:
        yield _fact("tags", ", ".join(job.tags))
    if job.exit_code is not None:
        yield _fact("exit code", str(job.exit_code))
    if job.attempt > 1:
        yield _fact("attempt", str(job.attempt))
    yield _fact("submitted", _time(job.submitted_at))
    if job.started_at is not None:
        yield _fact("started", _time(job.started_at))
    if job.finished_at is not None:
        ran = "" if job.run_s is None else f", ran {_span(job.run_s)}"
        yield _fact("ended", f"{_time(job.finished_at)}{ran}")


def _fact(name: str, fact: str) -> str:
    return f"{name:<10} {printable(fact)}"


def _time(moment: datetime) -> str:
    return instant(moment.timestamp())


def _span(seconds: float) -> str:
    """`12.3 s`, `5m 7s`, `2h 5m`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {rest}s"
