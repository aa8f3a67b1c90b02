"""`jobctl show`: everything about one job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.parsing.param_types import JOB, as_json
from jobctl.render import data, sheet, streams
from jobd.contract.states import State

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command(
    "show", epilog=example("jobctl show 7", "jobctl show 7 --json", "jobctl show 7 --env")
)
@click.argument("job", type=JOB, metavar="ID")
@click.option("--env", is_flag=True, help="Only the captured environment, as K=V lines.")
@as_json
@pass_client
def command(client: Client, job: int, *, env: bool, as_json: bool) -> int:
    """Show everything about one job.

    Also why it is pending, what it uses, its attempts and its history.
    """
    shown = client.show(job, environment=env, recipe=not (env or as_json), usage=not env)
    if env:
        variables = shown.environment or {}
        (data.environment_json if as_json else data.environment)(variables)
    else:
        (data.shown if as_json else sheet.shown)(shown)
    if shown.job.state is State.FAILED and not (env or as_json):
        from jobctl.render import verdicts

        streams.hint(verdicts.what_next(shown.job))
    return 0
