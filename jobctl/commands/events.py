"""`jobctl events`: the history, a line an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client, why_none
from jobctl.examples import example
from jobctl.parsing.param_types import Number, as_json
from jobctl.parsing.selector_options import selects
from jobctl.render import data, live, notices, streams
from jobd.contract.models import List, Selector

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command(
    "events",
    epilog=example(
        "jobctl events",
        "jobctl events -f -n 0",
        "jobctl events --from 1201 --json | jq -r .event",
    ),
)
@selects(count="last")
@click.option("-f", "--follow", is_flag=True, help="Go on as things happen, until Ctrl-C.")
@click.option("--from", "first", type=Number(1), metavar="SEQ", help="From this number on.")
@as_json
@pass_client
def command(
    client: Client,
    selector: Selector | None,
    *,
    follow: bool,
    first: int | None,
    last: int | None,
    as_json: bool,
) -> int:
    """Print the history in order.

    One line an event: its number, time, and what happened. With SELECTOR only of these jobs;
    a filter means those that it matches now. Ends at the newest event unless -f is given; that
    goes on when the daemon restarts. Where the event of --from is no longer kept, stderr says so,
    and the oldest comes first.
    """
    if first is not None and last is not None:
        raise click.UsageError("--from and -n exclude each other")
    if selector is None:
        return notices.nothing_selected()
    from jobd.client import follow as following

    chosen = following.settled(client, selector)
    if chosen is None:
        return notices.nothing_selected(why_none(selector))
    after = (first or 1) - 1 if last is None else following.before_last(client, chosen, last)
    seen: set[int | None] = set()
    if follow:
        streams.end_with_reader()
    for page in following.history(client, chosen, after, follow=follow):
        if first is not None and first < page.first:
            notices.history_begins(page.first)
        first = None
        if as_json:
            data.records(page.events)
        else:
            live.dated(page.events, page.owner)
        seen.update(event.job for event in page.events)
    return _missing(client, chosen, seen)


def _missing(client: Client, selector: Selector, seen: set[int | None]) -> int:
    """A job that was removed has a history all the same."""
    if not selector.ids:
        return 0
    page = client.list(List(selector=selector, limit=1))
    return notices.missing(job for job in page.missing if job not in seen)
