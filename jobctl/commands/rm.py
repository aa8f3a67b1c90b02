"""`jobctl rm`: delete finished jobs and their output."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click
import msgspec

from jobctl.context import pass_client, why_none
from jobctl.examples import example
from jobctl.parsing.param_types import DURATION, dry_run, once
from jobctl.parsing.selector_options import must_name, only, selects
from jobctl.render import notices
from jobd.contract.models import Selector
from jobd.contract.states import FINISHED

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command(
    "rm",
    epilog=example("jobctl rm 7", "jobctl rm --finished --older-than 7d", "jobctl rm --force 3-9"),
)
@selects(all_option="All finished jobs.")
@click.option("--finished", is_flag=True, help="Only finished jobs; alone, all of them.")
@click.option(
    "--older-than",
    "age",
    type=DURATION,
    multiple=True,
    callback=once,
    metavar="DURATION",
    help="Only jobs that finished longer ago than this.",
)
@click.option("--force", is_flag=True, help="Stop what still runs or waits first.")
@dry_run
@pass_client
def command(
    client: Client,
    selector: Selector | None,
    *,
    finished: bool,
    age: float | None,
    force: bool,
    dry_run: bool,
) -> int:
    """Delete finished jobs and their output.

    Also their captured environment. A running or pending job is refused, and one that pending
    jobs wait for unless they go with it. Prints the ids of what was deleted, one a line. Ids are
    never used again.
    """
    if finished:
        selector = only(selector, "--finished", FINISHED)
    selector = must_name(selector, "--finished")
    if selector is None:
        return notices.nothing_selected()
    if age is not None:
        selector = _finished_before(selector, time.time() - age)
    return _remove(client, selector, force=force, dry_run=dry_run)


def _finished_before(selector: Selector, moment: float) -> Selector:
    """`moment`: in seconds since the epoch. Raises: click.UsageError (`--state` names no end)."""
    only(selector, "--older-than", FINISHED)
    return msgspec.structs.replace(selector, ended_before=max(0.0, moment))


def _remove(client: Client, selector: Selector, *, force: bool, dry_run: bool) -> int:
    if not force:
        acted = client.rm(selector, dry_run=dry_run)
        return notices.acted(acted, why_none=why_none(selector))
    from jobctl.actions.bulk import stop_and_remove

    removed = stop_and_remove(client, selector, notices.ending, dry_run=dry_run)
    if removed is None:
        return notices.nothing_selected(why_none(selector))
    return notices.acted(removed, why_none=why_none(selector))
