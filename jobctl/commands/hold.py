"""`jobctl hold`: pending jobs do not start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client, why_none
from jobctl.examples import example
from jobctl.parsing.param_types import dry_run
from jobctl.parsing.selector_options import must_name, narrowed, selects
from jobctl.render import notices
from jobd.contract.models import Selector

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command(
    "hold", epilog=example("jobctl hold 7", "jobctl hold --tag nightly", "jobctl hold --all")
)
@selects(all_option="All pending jobs.")
@dry_run
@pass_client
def command(client: Client, selector: Selector | None, *, dry_run: bool) -> int:
    """Keep pending jobs from starting.

    jobctl start lets them go. Prints the ids of what is held now, one a line. That a job is
    held already, or has finished, is a notice, not an error; one that runs is halted with
    jobctl pause.
    """
    from jobctl.actions.bulk import HOLDABLE

    selector = must_name(selector)
    if selector is None:
        return notices.nothing_selected()
    selector = narrowed(selector, HOLDABLE)
    acted = client.hold(selector, dry_run=dry_run)
    return notices.acted(acted, why_none=why_none(selector))
