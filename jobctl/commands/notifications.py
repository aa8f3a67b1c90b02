"""`jobctl notifications`: what became of the latest messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.parsing.param_types import Number, as_json
from jobctl.render import data, messages
from jobd.contract.models import MAX_VALUES, Notifications

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command(
    "notifications",
    epilog=example(
        "jobctl notifications",
        "jobctl notifications --json | jq '.[] | select(.state == \"given up\")'",
    ),
)
@click.option(
    "-n", "--limit", "number", type=Number(1, MAX_VALUES), default=20, metavar="N",
    help="The latest N (20).",
)  # fmt: skip
@as_json
@pass_client
def command(client: Client, *, number: int, as_json: bool) -> int:
    """Show the latest messages about jobs.

    The newest first, and how far each has come. A message goes to one destination of [[notify]]
    in config.toml, of submit --notify or of --notify-when-all: it waits, is being sent, was
    delivered, or was given up after many tries. Of a URL nothing but its kind is shown. Whether
    they arrive at all: jobctl notify --test.
    """
    found = client.notifications(Notifications(limit=number)).notifications
    if as_json:
        data.document(found)
    else:
        messages.table(found)
    return 0
