"""`jobctl pause`: halt running jobs, or let a group start nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.parsing.param_types import GROUP, dry_run
from jobctl.parsing.selector_options import selects
from jobd.contract.models import Selector

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command(
    "pause",
    epilog=example(
        "jobctl pause 7", "jobctl pause --group gpu", "jobctl pause --group gpu --running"
    ),
)
@selects(all_option=True, without="groups")
@click.option("-g", "--group", type=GROUP, metavar="G", help="The group starts nothing more.")
@click.option("--running", is_flag=True, help="Halt the group's running jobs, too.")
@dry_run
@pass_client
def command(
    client: Client, selector: Selector | None, *, group: str | None, running: bool, dry_run: bool
) -> int:
    """Halt running jobs, or let a group start nothing.

    Every process of a job gets SIGSTOP; jobctl resume lets it go on. A halted job keeps its
    worker, its memory and its GPUs. With --group the group starts nothing more, and what it
    runs goes on unless --running is given. Prints the ids of what was halted, one a line. That
    a job is paused already is a notice, not an error.
    """
    from jobctl.actions.pause import Asked, change

    asked = Asked(selector=selector, group=group, running=running, dry_run=dry_run)
    return change(client, "pause", asked)
