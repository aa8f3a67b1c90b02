"""`jobctl ls`: the jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import click
from msgspec.structs import replace

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.parsing import columns as listing
from jobctl.parsing.param_types import Number, Word, as_json
from jobctl.parsing.selector_options import selects
from jobctl.render import data, notices, streams, table
from jobd.contract.models import List, Page, Selector

if TYPE_CHECKING:
    from jobd.client.client import Client

_PENDING: Final = 10
_FINISHED: Final = 20
_FORMATS: Final[dict[str, Callable[[Iterable[Page], list[str] | None], list[int]]]] = {
    "json": data.array,
    "ndjson": data.lines,
    "csv": data.comma_separated,
}
"""Beside the table; each prints the jobs and gives the ids that do not exist."""


@click.command(
    "ls",
    epilog=example(
        "jobctl ls",
        "jobctl ls -n 0 --state failed,stopped",
        "jobctl ls 12-111 --state failed --ids | jobctl restart -",
        "jobctl ls --columns id,run_s,command --sort -run_s -n 5",
    ),
)
@selects()
@click.option("-n", "limit", type=Number(0), help="At most so many; 0 is all.")
@click.option("--ids", "only_ids", is_flag=True, help="Only the ids, one a line.")
@click.option("--format", "form", type=click.Choice(["table", *_FORMATS]), help="How to print.")
@as_json
@click.option(
    "--columns",
    type=Word("columns", listing.parse_columns),
    metavar="KEY,...",
    help="Only these keys of the JSON, in this order.",
)
@click.option(
    "--sort",
    "order",
    type=Word("key", listing.parse_order),
    metavar="[-]KEY",
    help="By this key, -KEY downwards; reads all jobs first.",
)
@pass_client
def command(client: Client, /, selector: Selector | None, **given: Any) -> int:  # noqa: ANN401 # as click has it
    """List jobs.

    Running ones, then pending ones as they will start, then finished ones, newest first.

    On a terminal: all that run, the next 10, the latest 20. Piped, with --json, --ids or
    another --format: everything, unless -n says otherwise. --sort reads everything, and -n
    then takes the first of it.
    """
    form = _format(given)
    short = streams.on_terminal() and form == "table"
    asked = List(limit=given["limit"] or None, only_ids=form == "ids")
    pages = _pages(client, selector, asked, given["order"], short=short and given["limit"] is None)
    if form == "ids":
        return _print_ids(pages)
    if form in _FORMATS:
        return notices.missing(_FORMATS[form](pages, given["columns"]))
    named = selector is None or selector.named
    return _print_table(pages, given["columns"], short=short, named=named)


def _format(given: dict[str, Any]) -> str:
    chosen = {given["form"]} if given["form"] else set()
    chosen |= {"json"} if given["as_json"] else set()
    chosen |= {"ids"} if given["only_ids"] else set()
    if len(chosen) > 1:
        raise click.UsageError("--ids, --json and --format exclude each other")
    form: str = chosen.pop() if chosen else "table"
    if form == "ids" and given["columns"]:
        raise click.UsageError("--ids and --columns exclude each other")
    return form


def _pages(
    client: Client,
    selector: Selector | None,
    asked: List,
    order: listing.Order | None,
    *,
    short: bool,
) -> Iterable[Page]:
    from jobd.client import follow

    if selector is None:
        return [Page(jobs=[])]
    if order is not None:
        most = _PENDING + _FINISHED if short else asked.limit
        return [listing.ordered(follow.pages(client, List(selector=selector)), order, most)]
    if short and not selector.named:
        return follow.pages(client, List(pending=_PENDING, finished=_FINISHED))
    return follow.pages(client, replace(asked, selector=selector))


def _print_ids(pages: Iterable[Page]) -> int:
    missing: list[int] = []
    for page in pages:
        notices.ids(job.id for job in page.jobs)
        notices.runs(page.ids)
        missing += page.missing
    return notices.missing(missing)


def _print_table(
    pages: Iterable[Page], columns: list[str] | None, *, short: bool, named: bool
) -> int:
    every = list(pages)
    listed = [job for page in every for job in page.jobs]
    if listed or not short:
        table.jobs(listed, columns)
    if short:
        counted = every[0].counts if every[0].counts and not named else listing.counts(listed)
        table.footer(counted, listed)
    return notices.missing(job for page in every for job in page.missing)
