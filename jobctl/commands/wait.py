"""`jobctl wait`: block until jobs have finished, and say whether they worked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.actions import exit_codes
from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.parsing.param_types import DURATION, as_json
from jobctl.parsing.selector_options import must_name, selects
from jobctl.render import data, notices
from jobd.contract.errors import JobdError
from jobd.contract.models import UNFINISHED, List, Selector, Waited

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command(
    "wait",
    epilog=example(
        "jobctl wait 7 && ./publish", "jobctl wait --timeout 1h 12-111", "jobctl wait --all"
    ),
)
@selects(all_option=True)
@click.option("--any", "any_of", is_flag=True, help="Until one of them has finished.")
@click.option("--timeout", type=DURATION, metavar="DURATION", help="Give up then (exit 124).")
@as_json
@pass_client
def command(
    client: Client,
    selector: Selector | None,
    *,
    any_of: bool,
    timeout: float | None,
    as_json: bool,
) -> int:
    """Wait until jobs have finished.

    The verdict goes to stderr, with the last line of output of what failed.

    One job: exits with that job's exit code (128+N when signal N killed it, 143 when it was
    stopped, 127 or 126 when it could not start). Several: 0 if all completed, else 1.
    --all means all that have not finished now; a filter all that it matches now, also what has
    finished before (wait --tag nightly --since 1h). Goes on when the daemon restarts.
    """
    from jobd.client import follow

    selector = must_name(selector)
    chosen = None if selector is None else follow.settled(client, selector)
    if chosen is None:
        return _nothing(as_json=as_json)
    waited = follow.until_finished(client, chosen, any_of=any_of, timeout=timeout)
    code = _exit_code(waited, any_of=any_of)
    if as_json:
        data.verdict(waited, code)
    notices.missing(waited.missing)
    if waited.done:
        notices.verdict(waited, any_of=any_of)
    else:
        notices.timed_out(waited, _unfinished(client, waited), timeout or 0.0)
    return code


def _nothing(*, as_json: bool) -> int:
    if as_json:
        data.verdict(Waited(done=True, total=0), 0)
    return notices.nothing_selected()


def _exit_code(waited: Waited, *, any_of: bool) -> int:
    if not waited.done:
        return exit_codes.TIMED_OUT
    return exit_codes.exit_code_of_all(waited, any_of=any_of)


def _unfinished(client: Client, waited: Waited) -> list[int]:
    """The first of them, as far as they can be asked for now."""
    left = List(selector=Selector(ids=waited.ids, states=[*UNFINISHED]), limit=notices.LISTED)
    try:
        return sorted(job.id for job in client.list(left).jobs)
    except JobdError:
        return []
