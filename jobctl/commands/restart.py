"""`jobctl restart`: finished jobs run again under the same id."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.options import adding_states, dry_run, must_name, narrowed, selects
from jobctl.render import notices
from jobd.contract.models import Selector, State

if TYPE_CHECKING:
    from jobctl.client import Client


@click.command(
    "restart",
    epilog=example(
        "jobctl restart 7",
        "jobctl restart --failed",
        "jobctl ls 12-111 --state failed --ids | jobctl restart -",
    ),
)
@selects(all_option=True)
@click.option("--failed", is_flag=True, help="All failed jobs (of those named).")
@click.option("--refresh-env", is_flag=True, help="Take this shell's environment.")
@dry_run
@pass_client
def command(
    client: Client, selector: Selector | None, *, failed: bool, refresh_env: bool, dry_run: bool
) -> int:
    """Run finished jobs again: same id, next attempt.

    The output of earlier attempts stays readable (jobctl logs --attempt). Prints the ids of
    what was restarted, one a line.
    """
    from jobctl.acting import RESTARTABLE, pretend
    from jobctl.surroundings import environment

    selector = must_name(adding_states(selector, [State.FAILED] if failed else []), "--failed")
    if selector is None:
        return notices.nothing_selected()
    if selector.all:
        selector = narrowed(selector, RESTARTABLE)
    if dry_run:
        return pretend(client, selector, RESTARTABLE)
    fresh = environment(os.environb) if refresh_env else None
    acted = client.restart(selector, environment=fresh)
    code = notices.acted(acted)
    notices.restarted(acted, refreshed=refresh_env)
    return code
