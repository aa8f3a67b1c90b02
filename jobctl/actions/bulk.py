"""What changes several jobs in a sequence of requests. Nothing is printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import msgspec

from jobctl.actions.ending import until_ended
from jobd.client import follow
from jobd.client.client import Client
from jobd.contract.models import Acted, List, Note, Selector
from jobd.contract.states import FINISHED, UNFINISHED, State

HOLDABLE = [State.PENDING]
PAUSABLE = [State.RUNNING]
STOPPABLE = UNFINISHED
_BY_ITSELF = [State.COMPLETED, State.FAILED]
RESTARTABLE = [state for state in State if state in FINISHED]

Waiting = Callable[[Sequence[int]], AbstractContextManager[object]]
"""What goes on around a wait for these jobs."""


def startable(selector: Selector) -> list[Selector]:
    """Those of the selected jobs that are stopped, and those that are held."""
    halves = [
        msgspec.structs.replace(selector, states=[State.STOPPED]),
        msgspec.structs.replace(selector, states=[State.PENDING], held=True),
    ]
    return [half for half in halves if not selector.states or half.states[0] in selector.states]


def start(client: Client, selector: Selector, *, dry_run: bool) -> Acted:
    """Jobs that were named one by one, or by wrong states alone, are told what is wrong with them;
    others are passed over.
    """
    halves = startable(selector)
    if selector.ids or not halves:
        return client.start(selector, dry_run=dry_run)
    found = [client.start(half, dry_run=dry_run) for half in halves]
    return Acted(
        done=sorted(job for acted in found for job in acted.done),
        notices=[note for acted in found for note in acted.notices],
        errors=[note for acted in found for note in acted.errors],
    )


def stop_and_wait(
    client: Client,
    selector: Selector,
    *,
    grace: float | None,
    signal: int,
    removing: bool = False,
    dry_run: bool = False,
    waiting: Waiting = nullcontext,
) -> Acted:
    """Stop jobs, and come back when they have ended; `waiting` is entered while they end.

    `grace`: seconds, None as configured. `removing`: those that others wait for are refused.
    """
    acted = client.stop(selector, grace=grace, signal=signal, removing=removing, dry_run=dry_run)
    if dry_run or not acted.done:
        return acted
    stopped = Selector(ids=follow.ranges(acted.done))
    with waiting(acted.done):
        waited, stuck = until_ended(client, stopped, acted.grace)
    if stuck:
        acted = _without_stuck(acted, stuck)
    if not any(waited.counts.get(state) for state in _BY_ITSELF):
        return acted
    return _without_those_that_ended(client, acted, stopped)


def _without_stuck(acted: Acted, stuck: Sequence[Note]) -> Acted:
    """They were told to end, and run on."""
    ids = {note.id for note in stuck}
    done = [job for job in acted.done if job not in ids]
    return msgspec.structs.replace(acted, done=done, errors=[*acted.errors, *stuck])


def _without_those_that_ended(client: Client, acted: Acted, stopped: Selector) -> Acted:
    """A job may come to its own end in the very moment in which it is told to stop."""
    request = List(selector=msgspec.structs.replace(stopped, states=_BY_ITSELF))
    ended = {job.id: job.state for page in follow.pages(client, request) for job in page.jobs}
    return msgspec.structs.replace(
        acted,
        done=[job for job in acted.done if job not in ended],
        notices=acted.notices
        + [Note(id=job, text=f"has already {ended[job]}") for job in acted.done if job in ended],
    )


def stop_and_remove(
    client: Client, selector: Selector, waiting: Waiting = nullcontext, *, dry_run: bool = False
) -> Acted | None:
    """Delete jobs, unfinished ones when they have been stopped. None: no job is selected.

    `waiting` is entered while they end.
    """
    ended = selector.ended_before is not None or selector.ended_since is not None
    stopping = [s for s in STOPPABLE if not ended and (s in selector.states or not selector.states)]
    if not stopping:
        # One that has come back meanwhile is not what was asked for, and runs on.
        return client.rm(selector, dry_run=dry_run)
    chosen = selector
    if selector.all or selector.filtered:
        # As ids: stopping changes states.
        ids, missing = follow.ids_of(client, selector)
        chosen = Selector(ids=follow.ranges(ids) + [(job, job) for job in missing])
    if not chosen.ids:
        return None
    unfinished = msgspec.structs.replace(chosen, states=stopping)
    meant = _ended_of(client, selector, chosen)
    stopped = stop_and_wait(
        client, unfinished, grace=None, signal=15, removing=True, dry_run=dry_run, waiting=waiting
    )
    if meant is not None:
        # One that came to its own end meanwhile is not in a state that was meant.
        chosen = Selector(ids=follow.ranges(sorted({*meant, *stopped.done})))
    removed = client.rm(chosen, dry_run=dry_run) if chosen.ids else Acted(done=[])
    if dry_run:
        removed = _as_if_stopped(removed, set(stopped.done))
    # Why it was not even stopped says more than that it is unfinished.
    known = {note.id for note in stopped.errors}
    others = [note for note in removed.errors if note.id not in known]
    notices = removed.notices if meant is None else stopped.notices + removed.notices
    return msgspec.structs.replace(removed, notices=notices, errors=stopped.errors + others)


def _as_if_stopped(removed: Acted, stopped: set[int]) -> Acted:
    """What would be removed; that these have not been stopped yet is all that is against them."""
    return msgspec.structs.replace(
        removed,
        done=sorted([*removed.done, *(n.id for n in removed.errors if n.id in stopped)]),
        errors=[note for note in removed.errors if note.id not in stopped],
    )


def _ended_of(client: Client, selector: Selector, chosen: Selector) -> list[int] | None:
    """Of those chosen the ones that have ended and are meant by their state, and the ones that do
    not exist. None: no state was named, and whatever state they come to is meant.
    """
    if not selector.states:
        return None
    wanted = [state for state in selector.states if state in FINISHED]
    ids, missing = follow.ids_of(client, msgspec.structs.replace(chosen, states=wanted or FINISHED))
    return [*(ids if wanted else ()), *missing]
