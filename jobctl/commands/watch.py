"""`jobctl watch`: a line per change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.options import as_json, selects
from jobctl.render import data, live, notices
from jobd.contract.models import Events, List, Selector

if TYPE_CHECKING:
    from jobctl.client import Client


@click.command(
    "watch",
    epilog=example(
        "jobctl watch",
        "jobctl watch 12-111",
        "jobctl watch --json | jq -r 'select(.event == \"failed\") | .job'",
    ),
)
@selects()
@as_json
@pass_client
def command(client: Client, selector: Selector | None, *, as_json: bool) -> int:
    """Print changes as they happen.

    A line per change, until all that is watched has finished.

    Without SELECTOR the whole queue is watched. With --json one event a line. Ctrl-C only
    ends the watching.
    """
    if selector is None:
        return notices.nothing_selected()
    try:
        return _watch(client, selector, as_json=as_json)
    except KeyboardInterrupt:
        return 0


def _watch(client: Client, selector: Selector, *, as_json: bool) -> int:
    from jobctl import follow

    # The cursor first: what happens from here on is seen, if not as standing then as change.
    after = client.events(Events(selector=selector, after=None, wait=0)).next
    chosen = follow.settled(client, selector) if selector.states else selector
    if chosen is None:
        return notices.nothing_selected()
    code = _print_standing(client, chosen, quiet=as_json)
    if code and all(first == last for first, last in chosen.ids):
        chosen = follow.existing(client, chosen) or chosen
    for page in follow.changes(client, chosen, after):
        for event in page.events:
            (data.record if as_json else live.event)(event)
    return code


def _print_standing(client: Client, selector: Selector, *, quiet: bool) -> int:
    """What runs just now; it says so itself only when it next changes."""
    page = client.list(List(selector=selector, pending=0, finished=0))
    for job in page.jobs:
        if not quiet:
            live.standing(job)
    return notices.missing(page.missing)
