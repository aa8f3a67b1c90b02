"""What commands say beside their data: what they did, hints, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from jobctl.render import streams, text, words
from jobd.contract.errors import JobdError
from jobd.contract.models import Acted, Job, Submitted, WorkersReply
from jobd.contract.ranges import ids_in
from jobd.contract.states import Reason, State
from jobd.contract.wording import counted

if TYPE_CHECKING:
    from jobd.contract.overviews import Unknown

WhyNone = Callable[[], "Unknown"]
"""What tells which names of a filter nothing has."""
_NOTICES: Final = 20
"""Jobs of which it is told one by one that nothing had to be done."""
_NAMES: Final = 20
"""Jobs of a manifest whose ids are told one by one."""


def ids(jobs: Iterable[int]) -> None:
    """One a line: what `-` reads."""
    for job in jobs:
        streams.line(str(job))
    streams.flush()


def runs(found: Iterable[tuple[int, int]]) -> None:
    """The same, a run of them at a time."""
    for run in found:
        streams.now("".join([f"{job}\n" for job in ids_in(run)]))


def acted(
    result: Acted, *, done: bool = True, of_jobs: bool = True, why_none: WhyNone | None = None
) -> int:
    """What a changing request did, to jobs or also to something else. Gives the exit code.

    `why_none`: asked where it was for no job at all.
    """
    if done:
        ids(result.done)
    for note in result.notices[:_NOTICES]:
        streams.notice(f"job {note.id} {note.text}")
    if len(result.notices) > _NOTICES:
        streams.notice(f"and {len(result.notices) - _NOTICES:,} other jobs where it was so already")
    for note in result.errors:
        streams.error(f"job {note.id} {note.text}")
    if of_jobs and not (result.done or result.notices or result.errors):
        # Not to a script: `rm --finished --older-than 7d` in a crontab is silent on most days.
        streams.hint("no jobs selected")
        unknown(why_none)
    return 1 if result.errors else 0


def unknown(why_none: WhyNone | None) -> None:
    """Names that are probably misspelt. A tag may be one that no job has just now, as each night
    before the first of its jobs: that is not for a script.
    """
    if why_none is None:
        return
    found = why_none()
    for said in found.groups:
        streams.notice(said)
    for said in found.tags:
        streams.plain_hint(said)


@contextmanager
def unsure_when_interrupted() -> Iterator[None]:
    """Whoever interrupts a submit is told that it may have been accepted all the same."""
    try:
        yield
    except KeyboardInterrupt:
        streams.notice("interrupted: the job may have been accepted all the same; see: jobctl ls")
        raise


@contextmanager
def ending(jobs: Sequence[int]) -> Iterator[None]:
    """Whoever does not wait until jobs have stopped is told that they are stopped all the same."""
    try:
        yield
    except KeyboardInterrupt:
        chosen = text.selector(jobs)
        streams.notice()  # behind the ^C
        streams.notice(f"{chosen} will end all the same; wait for it: jobctl wait {chosen}")
        raise


def group_halted(group: str, *, paused: bool, before: bool | None) -> None:
    """What `pause` and `resume` did to a group; `before`: whether it was paused already."""
    if paused == before:
        streams.notice(f"group {group} is {'already' if paused else 'not'} paused")
    elif paused:
        streams.hint(f"group {group} is paused; resume it with: jobctl resume --group {group}")
    else:
        streams.hint(f"{group} starts jobs again")


def missing(jobs: Iterable[int]) -> int:
    """Single ids that do not exist. Gives the exit code."""
    absent = sorted(set(jobs))
    for job in absent:
        streams.error(f"job {job} does not exist")
    return 1 if absent else 0


def history_begins(seq: int) -> None:
    """Older events were asked for."""
    streams.notice(f"the history begins at {seq}; older events are no longer kept")


def nothing_selected(why_none: WhyNone | None = None) -> int:
    streams.notice("no jobs selected")
    unknown(why_none)
    return 0


def nothing_listed(why_none: WhyNone) -> None:
    """The same behind a list: to a script an empty one says that by itself."""
    streams.plain_hint("no jobs selected")
    unknown(why_none)


def watched(*, unfinished: bool) -> None:
    """Why `watch` prints no line of a job."""
    streams.notice(
        "nothing runs yet; a line follows with each change"
        if unfinished
        else "nothing to watch: all of it has finished"
    )


def submitted(result: Submitted) -> None:
    """The id, or the ids as a selector. Raises: JobdError (it cannot be printed)."""
    with telling_anyhow(result):
        streams.line(_submitted_ids(result))
        streams.flush()


@contextmanager
def telling_anyhow(result: Submitted) -> Iterator[None]:
    """Around what prints what was submitted. Raises: JobdError (it cannot be printed; says what it
    is).
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        # Whoever takes this for a failure and tries again must know what there is already.
        were = "was" if result.first == result.last else "were"
        raise JobdError(
            f"{_submitted_ids(result)} {were} submitted, and cannot be printed: {error.strerror}"
        ) from error


def not_before(at: float) -> None:
    """What `--at` was understood as, in the reader's zone."""
    when = text.local(datetime.fromtimestamp(at, UTC))
    streams.notice(f"not before {when.strftime('%a %Y-%m-%d %H:%M:%S %Z')}")


def prospect(result: Submitted, job: Job | None) -> None:
    """What becomes of it, to a person; `job`: how it is now, where that was asked for."""
    busy = f"{result.busy} of {result.workers} workers busy"
    if result.existing and job is not None:
        streams.hint(f"is there already with this key: {words.outcome(job)}")
    elif job is not None and _waits(job):
        streams.hint(_waits(job))
    elif not result.workers:
        streams.hint("waits: there are no workers; jobctl workers 3 gives some")
    else:
        begun = "starts now" if result.starts_now else "queued"
        one = f"logs -f {result.first}"
        how = one if result.first == result.last else f"watch {_submitted_ids(result)}"
        streams.hint(f"{begun} ({busy}); follow: jobctl {how}")


def _waits(job: Job) -> str:
    """Where it waits for something else than its turn."""
    if job.state is not State.PENDING or job.reason in (None, Reason.QUEUED):
        return ""
    if job.reason == Reason.HELD:
        return _held(job.id)
    return words.waiting(job)


def held(result: Submitted) -> None:
    """To whoever waits for a job that does not start by itself."""
    streams.notice(_held(result.first))


def _held(job: int) -> str:
    return f"held; let it go: jobctl start {job}"


def _submitted_ids(result: Submitted) -> str:
    if result.first == result.last:
        return str(result.first)
    return f"{result.first}-{result.last}"


def waiting_for(result: Submitted) -> None:
    """Which job `submit --wait` waits for: stdout belongs to the job."""
    plural = "" if result.first == result.last else "s"
    streams.notice(f"job{plural} {_submitted_ids(result)}")


def goes_on(result: Submitted) -> None:
    """After Ctrl-C."""
    chosen = _submitted_ids(result)
    verb, it = ("goes on", "it") if result.first == result.last else ("go on", "them")
    streams.notice()
    streams.notice(
        f"job {chosen} {verb}; wait for {it}: jobctl wait {chosen}, end {it}: jobctl stop {chosen}"
    )


def stopping(result: Submitted) -> None:
    """After Ctrl-C with --stop-on-interrupt."""
    plural = "" if result.first == result.last else "s"
    streams.notice()
    streams.notice(f"stopping job{plural} {_submitted_ids(result)}; Ctrl-C again does not wait")


def no_file(path: str, why: str = "no such file") -> None:
    streams.error(f"warning: {path}: {why}")


def not_found(program: str) -> None:
    if "/" in program:
        no_file(program)
    else:
        streams.error(f"warning: {program}: not found in PATH")


def left_out(script: str, options: Sequence[str]) -> None:
    """What a script asks of another queue, and does not get here."""
    if options:
        streams.notice(f"{script}: left out of its #SBATCH lines: {', '.join(options)}")


def no_directory(path: str) -> None:
    streams.error(f"warning: {path}: no such directory")


def names(found: Sequence[str], result: Submitted) -> None:
    """Which job of a manifest has which id, to a person."""
    for number, name in enumerate(found[:_NAMES], start=result.first):
        streams.hint(f"{number:>4} {name}")
    if len(found) > _NAMES:
        streams.hint(f"     and {len(found) - _NAMES:,} more: jobctl ls {_submitted_ids(result)}")


def restarted(result: Acted, *, refreshed: bool, captured: datetime | None) -> None:
    """Which attempt comes, and with what environment; `captured`: when that was, if known."""
    attempts = {result.attempts.get(job) for job in result.done}
    if not result.done:
        return
    which = "this shell's environment" if refreshed else _captured(captured)
    number = f"attempt {attempts.pop()}, " if len(attempts) == 1 and None not in attempts else ""
    streams.hint(number + which)


def _captured(at: datetime | None) -> str:
    when = f"environment of {text.clock(at)}" if at else "environment as captured"
    return f"{when} (--refresh-env takes this shell's)"


def silent(seconds: float) -> None:
    """The daemon has not answered yet."""
    streams.notice(
        f"jobd has not answered for {seconds:.0f} s; still waiting. If it hangs: jobd restart"
    )


def workers(reply: WorkersReply) -> None:
    streams.line(f"{counted(reply.workers, 'worker')}, {reply.busy} busy")
