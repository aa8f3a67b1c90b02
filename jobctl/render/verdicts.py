"""Verdicts: how what was waited for ended, or that its time ran out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from jobctl.render import notices, streams, text, words
from jobd.contract.models import Job, Wait, Waited
from jobd.contract.states import State, could_not_start
from jobd.contract.wording import printable

_COMMAND_COLUMN: Final = 60
_NOT_STARTED: Final = could_not_start("")


def verdict(waited: Waited, asked: Wait | None = None) -> None:
    """How what was waited for ended, on stderr. `asked`: what for, None: for the end of all."""
    if waited.total == 1 and waited.jobs:
        _verdict_of_one(waited.jobs[0], waited.last_lines)
    elif asked is not None and asked.any and waited.jobs:
        for job in waited.jobs[: text.NAMED]:
            streams.notice(sentence(job) + _last(job, waited.last_lines))
        if waited.ended > text.NAMED:
            streams.notice(f"and {waited.ended - text.NAMED:,} more")
    elif waited.total:
        _verdict_of_many(waited, running=asked is not None and asked.running)
    elif not waited.missing:
        notices.nothing_selected()


def _verdict_of_one(job: Job, last_lines: dict[int, str]) -> None:
    streams.notice(sentence(job) + _last(job, last_lines))
    if job.state is State.FAILED:
        streams.plain_hint(what_next(job))


def what_next(job: Job) -> str:
    """To a person whose job has failed."""
    return f"output: jobctl logs {job.id}; retry: jobctl restart {job.id}"


def sentence(job: Job) -> str:
    """`job 4 failed (exit code 2) after 41s`."""
    after = f" after {text.duration(job.run_s)}" if job.run_s is not None else ""
    return f"job {job.id} {words.outcome(job)}{after}"


def ended(job: Job) -> None:
    """The end of `submit --wait`: its output has been seen already."""
    retry = "" if job.state is State.COMPLETED else f"; retry: jobctl restart {job.id}"
    streams.notice(sentence(job) + retry)


def _last(job: Job, last_lines: dict[int, str]) -> str:
    line = last_lines.get(job.id, "").strip()
    # What could not start: the reason stands there already.
    if line.startswith(f"jobd: {_NOT_STARTED}") and (job.reason or "").startswith(_NOT_STARTED):
        return ""
    return f": {line}" if line else ""


def _verdict_of_many(waited: Waited, *, running: bool) -> None:
    """`running`: it was waited until they run."""
    counts, left = waited.counts, waited.total - waited.ended
    well = State.RUNNING if running else State.COMPLETED
    parts = [f"{_whose(waited)}{counts.get(well, 0):,} of {waited.total:,} {well.value}"]
    if running and counts.get(State.COMPLETED):
        parts.append(f"{counts[State.COMPLETED]:,} {State.COMPLETED.value}")
    parts += [
        f"{counts[state]:,} {state.value}{_listed(waited, state)}"
        for state in (State.FAILED, State.STOPPED)
        if counts.get(state)
    ]
    if left and not running:
        parts.append(f"{left:,} not finished")
    streams.notice(", ".join(parts))
    failed = [job for job in waited.jobs if job.state is State.FAILED]
    for job in failed[: text.NAMED]:
        streams.notice(_verdict_line(job, waited.last_lines))
    if len(failed) > text.NAMED:
        more = counts.get(State.FAILED, len(failed)) - text.NAMED
        streams.notice(f"     and {more:,} more")


def _whose(waited: Waited) -> str:
    """`array 1-100: `; a batch has no name beside its ids, which whoever waits has typed."""
    array = waited.array
    return f"{words.array_name(array)}: " if array and array.first_index is not None else ""


def waiting(waited: Waited) -> None:
    """That the wait begins, to a person: `waiting for array 1-100: 42 of 100 have finished`."""
    whose = f" for {_whose(waited)}" if _whose(waited) else ": "
    said = f"{whose}{waited.ended:,} of {waited.total:,} have finished"
    if waited.total == 1:
        said = f" for job {waited.ids[0][0]}" if waited.ids else ""
    streams.plain_hint(f"waiting{said}; Ctrl-C only ends the waiting")


def _listed(waited: Waited, state: State) -> str:
    found = [job.id for job in waited.jobs if job.state is state]
    return f": {text.some(found, waited.counts[state])}" if found else ""


def _verdict_line(job: Job, last_lines: dict[int, str]) -> str:
    index = "" if job.array_index is None else f" [{job.array_index}]"
    said = printable(f"{job.id:>4}{index} {words.outcome(job)}{_last(job, last_lines)}")
    if sys.stderr.isatty():
        said = text.cut(said, _COMMAND_COLUMN - 2)
    padding = " " * max(2, _COMMAND_COLUMN - text.columns(said))
    return f"{said}{padding}jobctl logs {job.id}"


def timed_out(waited: Waited, asked: Wait, left: Sequence[int], seconds: float) -> None:
    """`left`: some of those that it has not come to."""
    count = waited.counts.get(State.PENDING, 0) if asked.running else waited.total - waited.ended
    streams.notice(
        f"{_whose(waited)}after {text.duration(seconds)} {count:,} of {waited.total:,} "
        f"{'has' if count == 1 else 'have'} not "
        f"{'started' if asked.running else 'finished'}"
        f"{f': {text.some(left, count)}' if left else ''}"
    )


def idle() -> int:
    """It was waited until nothing is left to run, and nothing was."""
    streams.notice("nothing is left to run")
    return 0
