"""`jobctl start`: held or stopped jobs become pending again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client, why_none
from jobctl.examples import example
from jobctl.parsing.param_types import dry_run
from jobctl.parsing.selector_options import must_name, selects
from jobctl.render import notices
from jobd.contract.models import Selector

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command("start", epilog=example("jobctl start 7", "jobctl start --state stopped --since 1h"))
@selects(all_option="All held and stopped jobs.")
@dry_run
@pass_client
def command(client: Client, selector: Selector | None, *, dry_run: bool) -> int:
    """Release held jobs, put stopped ones back into the queue.

    Prints the ids of what was started, one a line. That a job waits or runs already is a
    notice, not an error; a failed or completed one is restarted (jobctl restart).
    """
    from jobctl.actions import bulk

    selector = must_name(selector)
    if selector is None:
        return notices.nothing_selected()
    acted = bulk.start(client, selector, dry_run=dry_run)
    return notices.acted(acted, why_none=why_none(selector))
