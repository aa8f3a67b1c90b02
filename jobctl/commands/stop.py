"""`jobctl stop`: end running jobs, take pending ones out of the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client, why_none
from jobctl.examples import example
from jobctl.parsing.param_types import DURATION, SIGNAL, dry_run
from jobctl.parsing.selector_options import must_name, narrowed, selects
from jobctl.render import notices
from jobd.contract.models import Selector

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command(
    "stop",
    epilog=example(
        "jobctl stop 7", "jobctl stop --grace 1m --signal INT 3-9", "jobctl stop --state pending"
    ),
)
@selects(all_option="All running and pending jobs.")
@click.option(
    "--grace",
    type=DURATION,
    metavar="DURATION",
    help="From the first signal to KILL (default: 10s, or as configured).",
)
@click.option("--signal", type=SIGNAL, default="TERM", show_default=True, help="The first signal.")
@dry_run
@pass_client
def command(
    client: Client, selector: Selector | None, *, grace: float | None, signal: int, dry_run: bool
) -> int:
    """Stop jobs, and return when they have stopped.

    A pending job never starts. A running one gets TERM, its whole process group with it, and
    KILL after the grace. Prints the ids of what was stopped, one a line. That a job has
    finished already is a notice, not an error.
    """
    from jobctl.actions.bulk import STOPPABLE, stop_and_wait

    selector = must_name(selector)
    if selector is None:
        return notices.nothing_selected()
    selector = narrowed(selector, STOPPABLE)
    acted = stop_and_wait(
        client, selector, grace=grace, signal=signal, dry_run=dry_run, waiting=notices.ending
    )
    return notices.acted(acted, why_none=why_none(selector))
