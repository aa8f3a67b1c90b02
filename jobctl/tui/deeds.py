"""What keys do to jobs, and how it is told. Each is a few requests, in any thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from jobctl.actions import bulk, pause
from jobctl.render import text
from jobd.client import follow
from jobd.client.client import Client
from jobd.contract.errors import NotFound, Refused
from jobd.contract.models import MAX_PRIORITY, PRIORITIES, Acted, Edit, Job, Note, Selector
from jobd.contract.states import FINISHED, Reason, State
from jobd.contract.wording import counted

Ids = Sequence[tuple[int, int]]
"""Jobs, as ranges."""
Deed = Callable[[Client], "Said"]


class Said(Struct, frozen=True):
    """What came of it."""

    text: str
    is_wrong: bool = False
    gone: Sequence[int] = ()
    """Jobs that there are no more."""


def named(ids: Ids) -> str:
    """`job 7`, `jobs 3-9`."""
    which = ",".join(text.piece(*run) for run in ids)
    return f"job {which}" if len(ids) == 1 and ids[0][0] == ids[0][1] else f"jobs {which}"


def stop(ids: Ids) -> Deed:
    """Those that run, and those that wait."""

    def deed(client: Client) -> Said:
        chosen = Selector(ids=list(ids), states=list(bulk.STOPPABLE))
        return _said("stopped", bulk.stop_and_wait(client, chosen, grace=None, signal=15))

    return deed


def restart(ids: Ids) -> Deed:
    """What runs is stopped first."""

    def deed(client: Client) -> Said:
        running = Selector(ids=list(ids), states=[State.RUNNING])
        stopped = bulk.stop_and_wait(client, running, grace=None, signal=15)
        if stopped.errors:
            return _said("stopped", stopped)
        again = Selector(ids=list(ids), states=[*FINISHED])
        return _said("to run again:", client.restart(again))

    return deed


def hold(ids: Ids, job: Job) -> Deed:
    """What is held is let go."""
    if job.reason == Reason.HELD or job.state is State.STOPPED:
        chosen = Selector(ids=list(ids))
        return lambda client: _said("let go", bulk.start(client, chosen, dry_run=False))
    waiting = Selector(ids=list(ids), states=list(bulk.HOLDABLE))
    return lambda client: _said("held", client.hold(waiting))


def halt(ids: Ids, job: Job) -> Deed:
    """What stands still goes on."""
    chosen = Selector(ids=list(ids), states=list(bulk.PAUSABLE))
    verb: pause.Verb = "resume" if job.paused else "pause"
    said = "resumed" if job.paused else "paused"
    return lambda client: _said(said, pause.jobs(client, verb, chosen, dry_run=False))


def halt_group(group: str) -> Deed:
    """A group that is paused starts jobs again; what it runs goes on in either case."""

    def deed(client: Client) -> Said:
        share = next((one for one in client.groups().groups if one.name == group), None)
        verb: pause.Verb = "resume" if share is not None and share.paused else "pause"
        pause.group(client, verb, group, running=False)
        return Said(f"group {group} {'starts jobs again' if verb == 'resume' else 'is paused'}")

    return deed


def remove(ids: Ids) -> Deed:
    """What runs is stopped first."""

    def deed(client: Client) -> Said:
        acted = bulk.stop_and_remove(client, Selector(ids=list(ids)))
        if acted is None:
            return Said("nothing to remove")
        return replace(_said("removed", acted), gone=acted.done)

    return deed


def priority_of(typed: str) -> int | None:
    """None: it is none."""
    word = typed.strip().lower()
    if word in PRIORITIES:
        return PRIORITIES[word]
    try:
        number = int(word)
    except ValueError:
        return None
    return number if abs(number) <= MAX_PRIORITY else None


def edit(ids: Ids, priority: int | UnsetType = UNSET) -> Deed:
    """One by one, as `jobctl edit` does; one that has started meanwhile is told of."""

    def deed(client: Client) -> Said:
        chosen = Selector(ids=list(ids), states=[State.PENDING])
        found, _ = follow.ids_of(client, chosen)
        done, errors = list[int](), list[Note]()
        for job in found:
            try:
                done += client.edit(Edit(id=job, priority=priority)).done
            except (NotFound, Refused) as error:
                errors.append(Note(id=job, text=error.message.removeprefix(f"job {job} ")))
        return _said(f"priority {priority}:", Acted(done=done, errors=errors))

    return deed


def workers(change: int) -> Deed:
    """So many more than there are; fewer, where it is below 0."""

    def deed(client: Client) -> Said:
        wanted = max(0, client.workers().workers + change)
        return Said(f"{counted(client.workers(wanted).workers, 'worker')}")

    return deed


def _said(what: str, acted: Acted) -> Said:
    wrong = [f"{note.id} {note.text}" for note in acted.errors]
    notes = [f"{note.id} {note.text}" for note in acted.notices]
    if wrong:
        return Said("; ".join(wrong[:3]), is_wrong=True)
    if acted.done:
        return Said(f"{what} {text.selector(acted.done)}")
    return Said("; ".join(notes[:3]) or "nothing to do")
