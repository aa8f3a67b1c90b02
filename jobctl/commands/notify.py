"""`jobctl notify`: whether messages arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.parsing.param_types import TEXT, as_json
from jobctl.render import data, messages
from jobd.contract.states import DeliveryState

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command(
    "notify",
    epilog=example(
        "jobctl notify --test", "jobctl notify --test ops", "jobctl notify --test json://localhost"
    ),
)
@click.option("--test", is_flag=True, help="Send a message that says that it is a test.")
@click.argument("to", type=TEXT, required=False, default="", metavar="[URL|RULE]")
@as_json
@pass_client
def command(client: Client, *, test: bool, to: str, as_json: bool) -> int:
    """Send a test message, and say whether it arrived.

    By a rule of [[notify]] in config.toml, or to a URL as Apprise has it; by all rules where
    neither is named. It is the daemon that sends, so what ${env:NAME} in a URL means is what it
    means there. Exit code 1 where one was not delivered.
    """
    if not test:
        raise click.UsageError("say what to send: jobctl notify --test")
    from jobd.client import follow

    sent = client.notify(to).ids
    found = follow.until_delivered(client, sent).notifications
    if as_json:
        data.document(found)
    else:
        messages.outcomes(found)
    arrived = [one for one in found if one.state is DeliveryState.DELIVERED]
    return 0 if len(arrived) == len(sent) else 1
