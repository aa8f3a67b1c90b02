"""`jobctl ls`: the jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.options import as_json, selects
from jobctl.render import data, notices, streams, table
from jobd.contract.models import Job, List, Page, Selector, State

if TYPE_CHECKING:
    from jobctl.client import Client

_PENDING: Final = 10
_FINISHED: Final = 20


@click.command(
    "ls",
    epilog=example(
        "jobctl ls",
        "jobctl ls -n 0 --state failed,stopped",
        "jobctl ls 12-111 --state failed --ids | jobctl restart -",
    ),
)
@selects()
@click.option("-n", "limit", type=click.IntRange(min=0), help="At most so many; 0 is all.")
@click.option("--ids", "only_ids", is_flag=True, help="Only the ids, one a line.")
@as_json
@pass_client
def command(
    client: Client, selector: Selector | None, *, limit: int | None, only_ids: bool, as_json: bool
) -> int:
    """List jobs.

    Running ones, then pending ones as they will start, then finished ones, newest first.

    On a terminal: all that run, the next 10, the latest 20. Piped, with --json or --ids:
    everything, unless -n says otherwise.
    """
    if only_ids and as_json:
        raise click.UsageError("--ids and --json exclude each other")
    short = streams.on_terminal() and not (only_ids or as_json)
    pages = _pages(client, selector, limit, short=short)
    named = selector is None or selector.named
    if as_json:
        return notices.missing(data.array(pages))
    return _print_ids(pages) if only_ids else _print_table(pages, short=short, named=named)


def _pages(
    client: Client, selector: Selector | None, limit: int | None, *, short: bool
) -> Iterable[Page]:
    from jobctl import follow

    if selector is None:
        return [Page(jobs=[])]
    if short and limit is None and not selector.named:
        return follow.pages(client, List(pending=_PENDING, finished=_FINISHED))
    return follow.pages(client, List(selector=selector, limit=limit or None))


def _print_ids(pages: Iterable[Page]) -> int:
    missing: list[int] = []
    for page in pages:
        notices.ids(job.id for job in page.jobs)
        missing += page.missing
    return notices.missing(missing)


def _print_table(pages: Iterable[Page], *, short: bool, named: bool) -> int:
    every = list(pages)
    listed = [job for page in every for job in page.jobs]
    if listed or not short:
        table.jobs(listed)
    if short:
        counted = every[0].counts if every[0].counts and not named else _counts(listed)
        table.footer(counted, listed)
    return notices.missing(job for page in every for job in page.missing)


def _counts(listed: list[Job]) -> dict[State, int]:
    return dict(Counter(job.state for job in listed))
