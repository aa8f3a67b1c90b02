"""`jobctl restart`: finished jobs run again under the same id."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client, why_none
from jobctl.examples import example
from jobctl.parsing.param_types import dry_run
from jobctl.parsing.selector_options import must_name, narrowed, only, selects
from jobctl.render import notices, streams
from jobd.contract.errors import JobdError
from jobd.contract.models import Selector
from jobd.contract.states import EventName, State

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command(
    "restart",
    epilog=example(
        "jobctl restart 7",
        "jobctl restart --failed",
        "jobctl ls 12-111 --state failed --ids | jobctl restart -",
    ),
)
@selects(all_option="All finished jobs.")
@click.option("--failed", is_flag=True, help="Only failed jobs; alone, all of them.")
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
    from jobctl.actions.bulk import RESTARTABLE
    from jobctl.submission.environment import environment

    if failed:
        selector = only(selector, "--failed", [State.FAILED])
    selector = must_name(selector, "--failed")
    if selector is None:
        return notices.nothing_selected()
    selector = narrowed(selector, RESTARTABLE)
    fresh = environment(os.environb) if refresh_env else None
    acted = client.restart(selector, environment=fresh, dry_run=dry_run)
    code = notices.acted(acted, why_none=why_none(selector))
    if dry_run:
        return code
    captured = None
    if len(acted.done) == 1 and not refresh_env and streams.on_terminal():
        captured = _captured_at(client, acted.done[0])
    notices.restarted(acted, refreshed=refresh_env, captured=captured)
    return code


def _captured_at(client: Client, job: int) -> datetime | None:
    """When its environment was taken; None where an earlier restart may have taken another."""
    try:
        shown = client.show(job)
    except JobdError:
        return None
    restarts = sum(event.event == EventName.RESTARTED for event in shown.events)
    return shown.job.submitted_at if restarts <= 1 else None
