"""`jobctl ls`: the jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click
from msgspec.structs import replace

from jobctl.actions.listed import Listed
from jobctl.context import pass_client, why_none
from jobctl.examples import example
from jobctl.parsing import columns as listing
from jobctl.parsing.param_types import Word, as_json
from jobctl.parsing.selector_options import selects
from jobctl.render import data, notices, streams, table
from jobd.contract.models import List, Page, Selector

if TYPE_CHECKING:
    from jobd.client.client import Client

_FORMATS: Final[dict[str, Callable[[Iterable[Page], list[str] | None], None]]] = {
    "table": table.whole,
    "json": data.array,
    "ndjson": data.lines,
    "csv": data.comma_separated,
}
"""Each prints the jobs of these pages, all of them or these keys."""


@click.command(
    "ls",
    epilog=example(
        "jobctl ls",
        "jobctl ls -n 0 --state failed,stopped",
        "jobctl ls 12-111 --state failed --ids | jobctl restart -",
        "jobctl ls --columns id,run_s,command --sort -run_s -n 5",
        "jobctl ls --state running --columns id,name,cpu,mem",
        "jobctl ls --ended-since 1h --format '{id} {exit_code} {name}'",
    ),
)
@selects(count="limit")
@click.option("--ids", "only_ids", is_flag=True, help="Only the ids, one a line.")
@click.option(
    "--format",
    "form",
    type=Word("format", partial(listing.parse_format, forms=[*_FORMATS])),
    metavar="FORMAT",
    help="table, json, ndjson, csv, or a line a job: '{id} {state} {name}'.",
)
@as_json
@click.option(
    "--columns",
    type=Word("columns", listing.parse_columns),
    metavar="KEY,...",
    help="Only these keys of the JSON, in this order; cpu, mem and gpu are what jobs use.",
)
@click.option("--expand", is_flag=True, help="Each job of an array or batch, not one row for all.")
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

    On a terminal as many as its screen has room for, and the counts of all; an array or a batch
    (--file) is one row there unless --expand is given, or ids, states, columns or an order are
    named. Piped, with --json, --ids or another --format: everything, unless -n says otherwise.
    --sort reads everything, and -n then takes the first of it.
    """
    form = _format(given)
    if form == "table" and streams.on_terminal() and selector is not None:
        return _print_screen(client, selector, given)
    asked = List(
        limit=given["limit"] or None, only_ids=form == "ids", usage=_shows_usage(form, given)
    )
    pages = Listed(_pages(client, selector, asked, given["order"]))
    if isinstance(form, listing.Template):
        data.formatted(pages, form.parts)
    elif form == "ids":
        _print_ids(pages)
    elif form == "table" and streams.on_terminal():
        table.fit([], given["columns"])  # nothing was selected, or it were a screenful
    else:
        _FORMATS[form](pages, given["columns"])
    if pages.empty and selector is not None and selector.named:
        notices.nothing_listed(why_none(selector))
    return notices.missing(pages.missing)


def _format(given: dict[str, Any]) -> str | listing.Template:
    chosen = {given["form"]} if given["form"] else set()
    chosen |= {"json"} if given["as_json"] else set()
    chosen |= {"ids"} if given["only_ids"] else set()
    if len(chosen) > 1:
        raise click.UsageError("--ids, --json and --format exclude each other")
    form: str | listing.Template = chosen.pop() if chosen else "table"
    if given["columns"] and (form == "ids" or isinstance(form, listing.Template)):
        name = "--ids" if form == "ids" else "--format '{...}'"
        raise click.UsageError(f"{name} and --columns exclude each other")
    return form


def _shows_usage(form: str | listing.Template, given: dict[str, Any]) -> bool:
    """Whether what jobs use is to be looked at: somebody wants to see it."""
    if isinstance(form, listing.Template):
        shown = {key for _, key in form.parts}
    else:
        shown = set(given["columns"] or (() if form in ("table", "ids") else listing.KEYS))
    order: listing.Order | None = given["order"]
    return not listing.USED.isdisjoint(shown | ({order.key} if order else set()))


def _pages(
    client: Client, selector: Selector | None, asked: List, order: listing.Order | None
) -> Iterable[Page]:
    from jobd.client import follow

    if selector is None:
        return [Page(jobs=[])]
    if order is not None:
        return [_sorted(client, replace(asked, selector=selector, limit=None), order, asked.limit)]
    return follow.pages(client, replace(asked, selector=selector))


def _sorted(client: Client, asked: List, order: listing.Order, most: int | None) -> Page:
    from jobd.client import follow

    return listing.ordered(follow.pages(client, replace(asked, only_ids=False)), order, most)


def _print_ids(pages: Iterable[Page]) -> None:
    for page in pages:
        notices.ids(job.id for job in page.jobs)
        notices.runs(page.ids)


def _print_screen(client: Client, selector: Selector, given: dict[str, Any]) -> int:
    """To a person: what fits, and how much there is."""
    from jobctl.actions import screenful

    order, most = given["order"], given["limit"]
    usage = _shows_usage("table", given)
    if order is not None:
        page = _sorted(client, List(selector=selector, usage=usage), order, None)
        seen = screenful.of_page(page, streams.rows() if most is None else most or None)
    elif most is None:
        seen = screenful.fitting(
            client, selector, streams.rows(),
            expand=given["expand"] or bool(given["columns"]), usage=usage,
        )  # fmt: skip
    else:
        seen = screenful.first(client, selector, most or None, usage=usage)
    if seen.jobs:
        table.fit(seen.jobs, given["columns"], seen.arrays)
    elif selector.named and not seen.missing:
        notices.nothing_selected(why_none(selector))
    if seen.jobs or not selector.named:
        table.footer(seen.counts, seen.jobs, seen.more, seen.arrays)
    return notices.missing(seen.missing)
