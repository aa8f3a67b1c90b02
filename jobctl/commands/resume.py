"""`jobctl resume`: halted jobs, or a group, go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.commands.pause import of_group, of_jobs
from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.parsing.param_types import GROUP, dry_run
from jobctl.parsing.selector_options import selects
from jobd.contract.models import Selector

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command(
    "resume",
    epilog=example(
        "jobctl resume 7", "jobctl resume --group gpu", "jobctl resume --group gpu --running"
    ),
)
@selects(all_option="All paused jobs.", without="groups")
@click.option("-g", "--group", type=GROUP, metavar="G", help="The group starts jobs again.")
@click.option("--running", is_flag=True, help="Its halted jobs go on, too.")
@dry_run
@pass_client
def command(
    client: Client, selector: Selector | None, *, group: str | None, running: bool, dry_run: bool
) -> int:
    """Continue paused jobs (SIGCONT).

    With --group the group starts jobs again; --running lets its halted jobs go on, too.
    Prints the ids of what goes on, one a line. That a job is not paused is a notice; one that
    stopped itself goes on all the same.
    """
    if group is not None:
        return of_group(client, "resume", selector, group, running=running, dry_run=dry_run)
    return of_jobs(client, "resume", selector, running=running, dry_run=dry_run)
