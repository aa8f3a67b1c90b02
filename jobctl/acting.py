"""What the changing commands share: `--dry-run`, and waiting for what was stopped."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from jobctl import follow
from jobctl.client import Client
from jobctl.render import notices
from jobd.contract.models import FINISHED, Acted, Selector, State

STARTABLE = [State.STOPPED]
PAUSABLE = [State.RUNNING]
STOPPABLE = follow.UNFINISHED
RESTARTABLE = [state for state in State if state in FINISHED]


def pretend(client: Client, selector: Selector, states: Sequence[State]) -> int:
    """Print the ids of those selected jobs that are in one of the states; change nothing."""
    wanted = [state for state in selector.states or states if state in states]
    if not wanted:
        return notices.nothing_selected()
    found, missing = follow.ids_of(client, msgspec.structs.replace(selector, states=wanted))
    notices.ids(found)
    return notices.missing(missing)


def stop_and_wait(client: Client, selector: Selector, *, grace: float | None, signal: int) -> Acted:
    """Stop, show what was stopped, come back when it has ended."""
    acted = client.stop(selector, grace=grace, signal=signal)
    if acted.done:
        follow.until_finished(client, Selector(ids=follow.ranges(acted.done)))
    return acted


def settle_and_stop(client: Client, selector: Selector) -> Selector | None:
    """Stop what `rm --force` deletes. Gives it as ids: stopping changes states.

    What cannot be stopped, or is finished already, `rm` itself tells of.
    """
    chosen = selector
    if selector.all or selector.filtered:
        ids, missing = follow.ids_of(client, selector)
        chosen = Selector(ids=follow.ranges(ids) + [(job, job) for job in missing])
    if not chosen.ids:
        return None
    stop_and_wait(client, msgspec.structs.replace(chosen, states=STOPPABLE), grace=None, signal=15)
    return chosen
