"""`jobctl history`: what was, counted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.parsing.history_options import history_filters, request_of
from jobctl.parsing.param_types import Number, as_json
from jobctl.render import streams

if TYPE_CHECKING:
    from jobd.client.client import Client
    from jobd.contract.models import History
    from jobd.contract.overviews import Statistics

_BY: Final = ("day", "name", "group", "user", "exit-code")


@click.command(
    "history",
    epilog=example(
        "jobctl history --since 7d --by day",
        "jobctl history --by name --limit 10",
        "jobctl history --name 'train*' --state failed --by exit-code",
        "jobctl history --since 2026-11-01 --by user --format csv > november.csv",
    ),
)
@history_filters
@click.option("--by", type=click.Choice(_BY), help="Count these apart, a line each.")
@click.option("--limit", type=Number(1), metavar="N", help="At most N lines (with --by).")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), help="How to print.")
@as_json
@pass_client
def command(client: Client, /, **given: Any) -> int:  # noqa: ANN401 # as click has it
    """Count finished jobs: how they ended and what they took.

    Attempts, failures, waiting and run times, CPU, memory, and workers' use. Every finished
    attempt counts, also those of jobs that were removed, by rm or by retention: of each a small
    row is kept ([retention] max_history says how many). A job that never ran is no attempt. A
    column 90% has what nine of ten attempts did not exceed.

    An attempt counts on the day on which it ended, in your time zone. USE is what they took of the
    time of all workers, as many as there are now, up to now; of a day, what they took on that day.
    """
    form = _form(given)
    lines, workers = _counted(client, request_of(given), given["by"])
    chosen = lines[: given["limit"]]
    from jobctl.render import history

    if form == "json":
        history.json(chosen, given["by"])
    elif form == "csv":
        history.csv(chosen, given["by"])
    elif not any(stats.attempts for stats in chosen):
        streams.notice("no finished attempt is meant by that")
    elif given["by"]:
        history.table(chosen, given["by"])
    else:
        history.summary(chosen[0], workers)
    return 0


def _form(given: dict[str, Any]) -> str:
    if given["as_json"] and given["form"] not in (None, "json"):
        raise click.UsageError("--json and --format exclude each other")
    if given["limit"] is not None and given["by"] is None:
        raise click.UsageError("--limit is for the lines of --by")
    form: str = "json" if given["as_json"] else given["form"] or "table"
    return form


def _counted(client: Client, request: History, by: str | None) -> tuple[list[Statistics], int]:
    from jobctl.actions.history import Account, Window
    from jobd.client import past

    account = Account(by)
    for attempts in past.attempts(client, request):
        account.add(attempts)
    workers = client.workers().workers
    return account.statistics(workers, Window.of(request, time.time())), workers
