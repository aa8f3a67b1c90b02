"""`jobctl progress`: report progress from inside a job."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.parsing.param_types import JOB, PERCENT, TEXT, parse_id
from jobctl.render import notices

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command("progress", epilog=example("jobctl progress 40 -m 'epoch 4 of 10'"))
@click.argument("percent", type=PERCENT, metavar="PERCENT")
@click.option("-m", "--message", type=TEXT, metavar="TEXT", help="What it is doing.")
@click.option("--job", type=JOB, metavar="ID", help="Which job (default: $JOBD_JOB_ID).")
@pass_client
def command(client: Client, percent: float, *, message: str | None, job: int | None) -> int:
    """Report how far a job is, from inside it. Prints nothing: stdout is the job's output."""
    chosen = _own_id() if job is None else job
    return notices.acted(client.progress(chosen, percent, message), done=False)


def _own_id() -> int:
    inside = os.environ.get("JOBD_JOB_ID", "")
    try:
        return parse_id(inside)
    except ValueError:
        raise click.UsageError("not inside a job; name it with --job ID") from None
