"""`jobctl edit`: change a pending job."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.parsing.param_types import (
    DURATION,
    GROUP,
    JOB,
    PRIORITY,
    TEXT,
    Number,
    Word,
    joined,
    or_none,
    parse_codes,
    parse_ids,
    parse_tag,
)
from jobctl.parsing.times import parse_at
from jobctl.render import notices
from jobd.contract import durations
from jobd.contract.destinations import wish
from jobd.contract.models import MAX_RETRIES, Edit

if TYPE_CHECKING:
    from jobd.client.client import Client

_PARENTS: Final = Word("selector", or_none(lambda text: parse_ids([text]), []))
_SPAN: Final = Word("duration", or_none(durations.parse, 0.0))
_CODES: Final = Word("codes", or_none(parse_codes, []))
_TIME: Final = Word("time", parse_at)
_WISH: Final = Word("destination", or_none(lambda text: [wish(text)], []))
_TAG: Final = Word("tag", or_none(lambda text: [parse_tag(text)], []))


def _joined_if_written(
    ctx: click.Context, param: click.Parameter, values: tuple[list[Any], ...]
) -> list[Any] | None:
    """None leaves it as it is; an empty list takes all of it away."""
    return joined(ctx, param, values) if values else None


def _several(*names: str, kind: Word, metavar: str, text: str) -> Callable[[Any], Any]:
    return click.option(
        *names, type=kind, multiple=True, callback=_joined_if_written, metavar=metavar, help=text
    )


@click.command(
    "edit",
    epilog=example(
        "jobctl edit 7 --priority high",
        "jobctl edit 7 --after 3,5 --group gpu",
        "jobctl edit 7 --after none --time-limit 2h",
    ),
)
@click.argument("job", type=JOB, metavar="ID")
@click.option(
    "-p", "--priority", type=PRIORITY, metavar="P", help="high, regular, low or a number."
)
@click.option("-n", "--name", type=TEXT, help="Another name; '' takes it away.")
@_several(
    "-t", "--tag", "tags", kind=_TAG, metavar="TAG", text="Only these tags; repeatable; none: none."
)
@click.option("-g", "--group", type=GROUP, metavar="G", help="Into another group.")
@_several("--after", kind=_PARENTS, metavar="SELECTOR", text="Waits until all of these completed.")
@_several("--after-any", kind=_PARENTS, metavar="SELECTOR", text="Waits until all of these ended.")
@click.option(
    "--delay", type=_SPAN, metavar="DURATION", help="Start after this delay; none: at once."
)
@click.option("--at", type=_TIME, metavar="TIME", help="Not before then: 18:00, 2026-12-24T18:00.")
@click.option(
    "--time-limit", type=_SPAN, metavar="DURATION", help="Of each attempt; none: no limit."
)
@click.option("--retries", type=Number(0, MAX_RETRIES), help="Retries after a failure.")
@click.option(
    "--retry-delay", type=DURATION, metavar="DURATION", help="Before the first retry; doubles."
)
@_several(
    "--notify", kind=_WISH, metavar="[WHEN:]URL|CMD", text="Only these are told; none: nobody."
)
@click.option("--retry-on", type=_CODES, metavar="CODE,...", help="Only these; none: any failure.")
@pass_client
def command(client: Client, /, job: int, **given: Any) -> int:  # noqa: ANN401 # as click has it
    """Change a pending job by option; what is not named stays.

    --after, --after-any, --tag, --notify and --retry-on replace all that was there; none (or '')
    leaves nothing. A cycle of jobs that wait for each other is refused. Prints the id.
    """
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError("say what to change, for example --priority high")
    if "delay" in changes and "at" in changes:
        raise click.UsageError("--delay and --at exclude each other")
    code = notices.acted(client.edit(Edit(id=job, **changes)))
    if "at" in changes:
        notices.not_before(changes["at"])
    return code
