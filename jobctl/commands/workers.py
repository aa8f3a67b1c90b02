"""`jobctl workers`: how many jobs run at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.parsing.param_types import GROUP, SHARE, as_json, limit_of
from jobctl.render import data, groups, notices
from jobd.contract.errors import NotFound
from jobd.contract.models import Groups

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command(
    "workers",
    epilog=example("jobctl workers", "jobctl workers 8", "jobctl workers 1 --group gpu"),
)
@click.argument("count", type=SHARE, required=False, metavar="[N]")
@click.option("-g", "--group", type=GROUP, metavar="G", help="Those of this group; N may be all.")
@as_json
@pass_client
def command(client: Client, count: int | str | None, *, group: str | None, as_json: bool) -> int:
    """Show, or set at once, how many jobs run at a time.

    More workers start waiting jobs immediately; fewer let the running ones finish. With 0
    nothing starts. With --group: how many jobs of that group do (jobctl groups shows all).
    It holds until jobd stop; for good it stands in config.toml: [daemon] workers.
    """
    if group is not None:
        return _of_group(client, group, count, as_json=as_json)
    if isinstance(count, str):
        raise click.UsageError("all is for a group: jobctl workers all --group G")
    reply = client.workers(count)
    if as_json:
        data.document(reply)
    else:
        notices.workers(reply)
    return 0


def _of_group(client: Client, group: str, count: int | str | None, *, as_json: bool) -> int:
    request = Groups()
    if count is not None:
        request = Groups(action="set", name=group, workers=limit_of(count))
    found = [share for share in client.groups(request).groups if share.name == group]
    if not found:
        raise NotFound(f"there is no group {group!r}; see: jobctl groups")
    if as_json:
        data.document(found[0])
    else:
        groups.one(found, group)
    return 0
