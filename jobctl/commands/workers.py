"""`jobctl workers`: how many jobs run at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.options import as_json
from jobctl.render import data, notices
from jobd.contract.models import MAX_WORKERS

if TYPE_CHECKING:
    from jobctl.client import Client


@click.command("workers", epilog=example("jobctl workers", "jobctl workers 8"))
@click.argument("count", type=click.IntRange(0, MAX_WORKERS), required=False, metavar="[N]")
@as_json
@pass_client
def command(client: Client, count: int | None, *, as_json: bool) -> int:
    """Show, or set at once, how many jobs run at a time.

    More workers start waiting jobs immediately; fewer let the running ones finish. With 0
    nothing starts.
    """
    reply = client.workers(count)
    if as_json:
        data.document(reply)
    else:
        notices.workers(reply)
    return 0
