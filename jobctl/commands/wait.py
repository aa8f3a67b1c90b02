"""`jobctl wait`: block until jobs have finished, and say whether they worked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import click
from msgspec.structs import replace

from jobctl.actions import exit_codes
from jobctl.context import connecting, may_be_quiet, pass_client, why_none
from jobctl.examples import example
from jobctl.parsing.param_types import DURATION, as_json
from jobctl.parsing.selector_options import must_name, only, selects
from jobctl.render import data, notices, streams, verdicts
from jobctl.render.text import NAMED
from jobd.contract.errors import JobdError
from jobd.contract.models import List, Selector, Wait, Waited
from jobd.contract.states import UNFINISHED, State

if TYPE_CHECKING:
    from jobd.client.client import Client

_MOMENT_S: Final = 0.5
"""Seconds for which nobody wonders whether anything is waited for."""

_HINT: Final = "Ctrl-C only ends the waiting"


@click.command(
    "wait",
    epilog=example(
        "jobctl wait 7 && ./publish",
        "jobctl wait --timeout 1h 12-111",
        "jobctl wait --fail-fast --tag nightly",
        "jobctl wait --idle && sudo poweroff",
    ),
)
@selects(all_option="All jobs there are, finished ones, too.")
@click.option("--any", "any_of", is_flag=True, help="Until one of them has finished.")
@click.option("--fail-fast", is_flag=True, help="Until one has failed or was stopped, or all end.")
@click.option("--running", is_flag=True, help="Until none of them is pending any more.")
@click.option("--idle", is_flag=True, help="Until nothing is left to run, also what is added.")
@click.option("--timeout", type=DURATION, metavar="DURATION", help="Give up then (exit 124).")
@may_be_quiet("Say nothing but errors: no progress, no verdict.")
@as_json
@pass_client
def command(
    client: Client,
    /,
    selector: Selector | None,
    *,
    timeout: float | None,
    as_json: bool,
    **goals: bool,
) -> int:
    """Wait until jobs have finished.

    The verdict goes to stderr, with the last line of output of what failed; it names ten at most.
    Until then a line there says on a terminal how far it is.

    One job: exits with that job's exit code (128+N when signal N killed it, 143 when it was
    stopped, 127 or 126 when it could not start). Several: 0 if all completed, else 1. With
    --running a job that runs is as good as one that completed.

    --all means all there are, also those that have finished, as every filter does (wait --tag
    nightly --since 1h); --unfinished means what has not finished now. --idle goes on with what is
    submitted meanwhile, and is about all that has ended since. What is held, or waits for such,
    has not finished. Goes on when the daemon restarts.
    """
    if sum(goals.values()) > 1:
        raise click.UsageError("--any, --fail-fast, --running and --idle exclude each other")
    if goals.pop("idle"):
        return _until_idle(client, selector, timeout, as_json=as_json)
    from jobd.client import follow

    selector = must_name(selector)
    chosen = None if selector is None else follow.settled(client, selector)
    if selector is None or chosen is None:
        why = None if selector is None else why_none(selector)
        return _nothing(partial(notices.nothing_selected, why), as_json=as_json)
    asked = Wait(
        selector=chosen,
        any=goals["any_of"],
        fail_fast=goals["fail_fast"],
        running=goals["running"],
    )
    if streams.tells_person() and not streams.can_draw_over() and not as_json and timeout != 0:
        _announce(client, replace(asked, wait=min(_MOMENT_S, timeout or _MOMENT_S)))
    with _how_far(chosen, show=not as_json, to_end=not (asked.any or asked.running)):
        waited = follow.until_met(client, asked, timeout=timeout)
    return _tell(client, waited, asked, timeout, as_json=as_json)


def _announce(client: Client, asked: Wait) -> None:
    """To a person whose terminal has no line that is drawn again, where it takes longer than a
    moment.
    """
    now = client.wait(asked)
    if not now.done and now.total:
        verdicts.waiting(now)


@contextmanager
def _how_far(selector: Selector, *, show: bool, to_end: bool) -> Iterator[None]:
    """Within it a line on a terminal says how far these are."""
    if not (show and streams.can_draw_over()):
        yield
        return
    from jobctl.actions.how_far import Looking
    from jobctl.render.how_far import Line

    with Line(_HINT) as line, Looking(connecting(), selector, line, to_end=to_end):
        yield


def _until_idle(
    client: Client, selector: Selector | None, timeout: float | None, *, as_json: bool
) -> int:
    """Raises: click.UsageError (single jobs were named, or states of finished ones)."""
    from jobd.client import follow

    if selector is None or selector.ids:
        raise click.UsageError("--idle and single jobs exclude each other: new ones count, too")
    left = only(selector, "--idle", UNFINISHED)
    assert left is not None
    with _how_far(left, show=not as_json, to_end=False):
        waited = follow.until_idle(client, left, timeout=timeout)
    if waited.done and not waited.total:
        return _nothing(verdicts.idle, as_json=as_json)
    return _tell(client, waited, Wait(selector=left), timeout, as_json=as_json)


def _nothing(say: Callable[[], int], *, as_json: bool) -> int:
    if as_json:
        data.verdict(Waited(done=True, total=0), 0)
    return say()


def _tell(
    client: Client, waited: Waited, asked: Wait, timeout: float | None, *, as_json: bool
) -> int:
    """How it ended, or that its time ran out. Gives the exit code."""
    code = exit_codes.TIMED_OUT
    if waited.done:
        code = exit_codes.exit_code_of_all(waited, any_of=asked.any, running=asked.running)
    if as_json:
        data.verdict(waited, code)
    notices.missing(waited.missing)
    if waited.done:
        verdicts.verdict(waited, asked)
    else:
        verdicts.timed_out(waited, asked, _left(client, waited, asked), timeout or 0.0)
    return code


def _left(client: Client, waited: Waited, asked: Wait) -> list[int]:
    """The first of those that it has not come to, as far as they can be asked for now."""
    states = [State.PENDING] if asked.running else [*UNFINISHED]
    left = List(selector=Selector(ids=waited.ids, states=states), limit=NAMED)
    try:
        return sorted(job.id for job in client.list(left).jobs)
    except JobdError:
        return []
