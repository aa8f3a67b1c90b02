"""`jobctl pause`: halt running jobs, or let a group start nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client, why_none
from jobctl.examples import example
from jobctl.parsing.param_types import GROUP, dry_run
from jobctl.parsing.selector_options import must_name, narrowed, selects
from jobctl.render import notices
from jobd.contract.models import Selector

if TYPE_CHECKING:
    from jobctl.actions.pause import Verb
    from jobd.client.client import Client


@click.command(
    "pause",
    epilog=example(
        "jobctl pause 7", "jobctl pause --group gpu", "jobctl pause --group gpu --running"
    ),
)
@selects(all_option="All running jobs.", without="groups")
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
    if group is not None:
        return of_group(client, "pause", selector, group, running=running, dry_run=dry_run)
    return of_jobs(client, "pause", selector, running=running, dry_run=dry_run)


# --- shared with `jobctl resume` ----------------------------------------------------------


def of_jobs(
    client: Client, verb: Verb, selector: Selector | None, *, running: bool, dry_run: bool
) -> int:
    """Raises: click.UsageError."""
    from jobctl.actions import pause
    from jobctl.actions.bulk import PAUSABLE

    if running:
        raise click.UsageError("--running goes with --group G; all that run: --all")
    selector = must_name(selector, "--all, --group G")
    if selector is None:
        return notices.nothing_selected()
    selector = narrowed(selector, PAUSABLE)
    acted = pause.jobs(client, verb, selector, dry_run=dry_run)
    return notices.acted(acted, why_none=why_none(selector))


def of_group(  # one an option
    client: Client,
    verb: Verb,
    selector: Selector | None,
    group: str,
    *,
    running: bool,
    dry_run: bool,
) -> int:
    """Raises: click.UsageError."""
    from jobctl.actions import pause

    if selector is None or selector.named:
        raise click.UsageError("name either jobs or --group G")
    done = pause.group(client, verb, group, running=running, dry_run=dry_run)
    code = notices.acted(done.acted, of_jobs=False)
    if not code and not dry_run:
        notices.group_halted(group, paused=verb == "pause", before=done.was_paused)
    return code
