"""`jobctl watch`: jobs as they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client, why_none
from jobctl.examples import example
from jobctl.parsing.param_types import as_json
from jobctl.parsing.selector_options import selects
from jobctl.render import data, live, notices, streams
from jobd.contract.models import Events, List, Page, Selector

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command(
    "watch",
    epilog=example(
        "jobctl watch",
        "jobctl watch 12-111",
        "jobctl watch --json | jq -r 'select(.event == \"failed\") | .job'",
    ),
)
@selects()
@click.option("--expand", is_flag=True, help="Each job of an array or batch, not one row for all.")
@as_json
@pass_client
def command(client: Client, selector: Selector | None, *, expand: bool, as_json: bool) -> int:
    """Watch jobs run.

    On a terminal: a row per running job with bar, percentage, time left (or how long it has
    run) and last line of output, and the counts of the rest; what has ended scrolls away
    above. An array or a batch (--file) is one row, unless --expand is given or one of its jobs is
    named. Elsewhere: a line per change; with --json one event a line.

    Without SELECTOR the whole queue is watched; a filter means the jobs that it matches now.
    Ends when all that it watches has finished; Ctrl-C, or q on a terminal, only ends the watching.
    """
    if selector is None:
        return notices.nothing_selected()
    try:
        return _watch(client, selector, expand=expand, as_json=as_json)
    except KeyboardInterrupt:
        return 0


def _watch(client: Client, selector: Selector, *, expand: bool, as_json: bool) -> int:
    from jobd.client import follow

    # The cursor first: what happens from here on is seen, if not as standing then as change.
    after = client.events(Events(selector=selector, after=None, wait=0)).next
    chosen = follow.settled(client, selector) if selector.filtered or selector.all else selector
    if chosen is None:
        return notices.nothing_selected(why_none(selector))
    page = client.list(List(selector=chosen, pending=0, finished=0))
    code = notices.missing(page.missing)
    if code and all(first == last for first, last in chosen.ids):
        chosen = follow.existing(client, chosen) or chosen
    if streams.can_redraw() and not as_json:
        names_one = any(first == last for first, last in selector.ids)
        _redraw(client, chosen, after, expand=expand or names_one)
    else:
        streams.end_with_reader()
        _print_lines(client, chosen, after, page, as_json=as_json)
    return code


def _redraw(client: Client, selector: Selector, after: int, *, expand: bool) -> None:
    from jobctl.actions.watch import Watching
    from jobctl.render.screen import LiveScreen

    with LiveScreen() as screen:
        Watching(client, selector, after, screen, expand=expand).run()


def _print_lines(
    client: Client, selector: Selector, after: int, standing: Page, *, as_json: bool
) -> None:
    from jobd.client import follow

    silent = not (standing.missing or standing.jobs)
    for job in () if as_json else standing.jobs:
        # The history tells of the job only when it next changes.
        live.standing(job)
    for page in follow.changes(client, selector, after):
        if silent and not page.events:
            notices.watched(unfinished=bool(page.unfinished))
        silent = False
        for event in page.events:
            (data.record if as_json else live.event)(event)
