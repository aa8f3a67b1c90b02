"""`jobctl history`: what was, counted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.parsing.param_types import Number, Word, as_json, once, parse_states
from jobctl.parsing.selector_options import FILTERS
from jobctl.parsing.texts import as_shown
from jobctl.parsing.times import parse_since
from jobctl.render import streams
from jobd.contract.models import MAX_NAME, History
from jobd.contract.states import FINISHED, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.client.client import Client
    from jobd.contract.reports import Tally

_BY: Final = ("day", "name", "group", "user", "exit-code")
_TIME: Final = Word("time", parse_since)


def _parse_users(text: str) -> list[str]:
    users = [word.strip() for word in text.split(",")]
    if not all(0 < len(user) <= MAX_NAME for user in users):
        raise ValueError("a login is needed, or several: anna,ben")
    return users


def _parse_ends(text: str) -> list[State]:
    states = parse_states(text)
    for state in states:
        if state not in FINISHED:
            raise ValueError(
                f"no finished attempt is {state}; they are completed, failed or stopped"
            )
    return states


def _filters(function: Callable[..., Any]) -> Callable[..., Any]:
    shared = {found.field: found.option() for found in FILTERS}
    for add in reversed(
        [
            click.option("--since", type=_TIME, multiple=True, callback=once, metavar="D",
                         help="Only what ended in the last D (2h), or since a time (18:00, "
                         "2026-12-24T18:00)."),
            click.option("--until", type=_TIME, multiple=True, callback=once, metavar="D",
                         help="Only what ended before then."),
            click.option("--user", "users", type=Word("users", _parse_users, as_shown),
                         multiple=True, metavar="U,...", help="Only what these users submitted."),
            shared["groups"],
            shared["name"],
            click.option("--state", "states", type=Word("states", _parse_ends), multiple=True,
                         metavar="STATE,...", help="Only completed, failed or stopped attempts."),
        ]
    ):  # fmt: skip
        function = add(function)
    return function


@click.command(
    "history",
    epilog=example(
        "jobctl history --since 7d --by day",
        "jobctl history --by name -n 10",
        "jobctl history --name 'train*' --state failed --by exit-code",
        "jobctl history --since 2026-11-01 --by user --format csv > november.csv",
    ),
)
@_filters
@click.option("--by", type=click.Choice(_BY), help="Count these apart, a line each.")
@click.option("-n", "limit", type=Number(1), help="At most so many lines (--by).")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), help="How to print.")
@as_json
@pass_client
def command(client: Client, /, **given: Any) -> int:  # noqa: ANN401 # as click has it
    """Count what was: how it ended, how long it took, what it used.

    Attempts, failures, waiting and run times, CPU, memory, and workers' use. Every finished
    attempt counts, also those of jobs that were removed, by rm or by retention: of each a small
    row is kept ([retention] max_history says how many). A job that never ran is no attempt. A
    column 90% has what nine of ten attempts did not exceed.

    An attempt counts on the day on which it ended, in your time zone. USE is what they took of the
    time of all workers, as many as there are now, up to now; of a day, what they took on that day.
    """
    form = _form(given)
    since, until = given["since"], given["until"]
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since is not before --until: nothing lies between them")
    tallies, workers = _counted(client, given)
    chosen = tallies[: given["limit"]]
    from jobctl.render import history

    if form == "json":
        history.json(chosen, given["by"])
    elif form == "csv":
        history.csv(chosen, given["by"])
    elif not any(tally.attempts for tally in chosen):
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
        raise click.UsageError("-n is for the lines of --by")
    form: str = "json" if given["as_json"] else given["form"] or "table"
    return form


def _counted(client: Client, given: dict[str, Any]) -> tuple[list[Tally], int]:
    from itertools import chain

    from jobctl.actions.history import Account, Window
    from jobd.client import past

    request = History(
        states=list(chain(*given["states"])),
        groups=list(chain(*given["only_groups"])),
        users=list(chain(*given["users"])),
        name=given["only_name"] or "",
        since=given["since"],
        until=given["until"],
    )
    account = Account(given["by"])
    for attempts in past.attempts(client, request):
        account.add(attempts)
    workers = client.workers().workers
    now = time.time()
    until = now if given["until"] is None else min(now, given["until"])
    return account.tallies(workers, Window(given["since"], until)), workers
