"""`jobctl start`: stopped jobs become pending again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.options import dry_run
from jobctl.render import notices
from jobctl.selecting import must_name, narrowed, selects
from jobd.contract.models import Selector

if TYPE_CHECKING:
    from jobctl.client import Client


@click.command("start", epilog=example("jobctl start 7", "jobctl start --state stopped"))
@selects(all_option=True)
@dry_run
@pass_client
def command(client: Client, selector: Selector | None, *, dry_run: bool) -> int:
    """Put stopped jobs back into the queue.

    Prints the ids of what was started, one a line. A running job cannot be started again;
    a failed or completed one is restarted (jobctl restart).
    """
    from jobctl.acting import STARTABLE, pretend

    selector = must_name(selector)
    if selector is None:
        return notices.nothing_selected()
    selector = narrowed(selector, STARTABLE)
    if dry_run:
        return pretend(client, selector, STARTABLE)
    return notices.acted(client.start(selector))
