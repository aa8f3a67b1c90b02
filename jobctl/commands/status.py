"""`jobctl status`: how the queue is doing, and what is stuck."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.parsing.param_types import as_json
from jobctl.render import data, summary

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command("status", epilog=example("jobctl status", "jobctl status --json | jq .jobs.failed"))
@click.argument("words", nargs=-1, metavar="")
@as_json
@pass_client
def command(client: Client, words: tuple[str, ...], *, as_json: bool) -> int:
    """Summarise the queue.

    Workers, jobs by state, arrays and batches on their way, what waits and why (of each kind the
    one that comes first), and what is stuck: it would not move by itself. Exit code 69 where no
    daemon runs. About the daemon itself: jobd status.
    """
    if words:
        raise click.UsageError(f"status takes no job; for one job: jobctl show {shlex.join(words)}")
    from jobctl.actions import diagnosis

    status = client.status(sizes=as_json, gpus=as_json)
    found = diagnosis.find(client, status)
    if as_json:
        data.status(status, found.stuck, found.waiting, [array for _, array in found.arrays])
    else:
        summary.status(status, found.stuck, found.waiting, found.arrays)
    return 0
