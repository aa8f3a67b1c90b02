"""`jobctl groups`: named shares of the workers."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

import click

from jobctl.context import current_client
from jobctl.examples import example
from jobctl.parsing.param_types import ALL, GROUP, SHARE, as_json, limit_of
from jobctl.render import data, groups
from jobd.contract.models import Groups, GroupsReply
from jobd.contract.wording import closest

if TYPE_CHECKING:
    from collections.abc import Callable

_MEANT: Final = {
    "ls": "list",
    "create": "add",
    "new": "add",
    "edit": "set",
    "remove": "rm",
    "delete": "rm",
}
"""What people type who come from elsewhere."""


class _Verbs(click.Group):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise click.UsageError(f"no command 'groups {args[0]}'{_suggestion(args)}", ctx)
        return super().resolve_command(ctx, args)


def _suggestion(args: list[str]) -> str:
    verbs = ("list", "add", "set", "rm")
    meant = _MEANT.get(args[0]) or closest(args[0], verbs)
    words = shlex.join(["jobctl", "groups", meant or "", *args[1:]])
    return f"; did you mean: {words}" if meant else f"; they are {', '.join(verbs)}"


@click.group(
    "groups",
    cls=_Verbs,
    invoke_without_command=True,
    epilog=example(
        "jobctl groups",
        "jobctl groups add gpu --workers 1",
        "jobctl groups set gpu --workers all",
        "jobctl submit --group gpu python train.py",
        "jobctl groups rm gpu",
    ),
)
@as_json
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> int:
    """Show the groups, or add, set and remove them.

    A group is a named share of the workers: at most so many of its jobs run at a time. What it
    does not use, others may. A job without --group is in the group default. What config.toml says
    of a group counts again from the next jobd start.
    """
    if ctx.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError(f"write --json behind {ctx.invoked_subcommand}")
        return 0
    return _listed(as_json=as_json)


def _listed(*, as_json: bool) -> int:
    reply = current_client().groups()
    (data.document if as_json else groups.table)(reply.groups)
    return 0


@command.command("list", epilog=example("jobctl groups list --json"))
@as_json
def _list(*, as_json: bool) -> int:
    """Show the groups.

    How many workers each may have and has, how many of its jobs wait for their turn or their time,
    and whether it is paused.
    """
    return _listed(as_json=as_json)


def _workers(**given: Any) -> Callable[[Any], Any]:  # noqa: ANN401 # as click has it
    return click.option(
        "--workers",
        type=SHARE,
        metavar="N|all",
        help="How many run at a time; all: as many as there are workers.",
        **given,
    )


@command.command("add", epilog=example("jobctl groups add gpu --workers 1"))
@click.argument("name", type=GROUP)
@_workers(default=ALL)
@as_json
def _add(name: str, workers: int | str, *, as_json: bool) -> int:
    """Add a group.

    Without --workers it has no limit of its own, and is a name to pause and to list by.
    """
    return _changed(Groups(action="add", name=name, workers=limit_of(workers)), as_json=as_json)


@command.command("set", epilog=example("jobctl groups set gpu --workers 2"))
@click.argument("name", type=GROUP)
@_workers(required=True)
@as_json
def _set(name: str, workers: int | str, *, as_json: bool) -> int:
    """Set how many jobs of a group run at a time.

    More start waiting jobs at once; fewer let the running ones finish. With 0 none starts.
    """
    return _changed(Groups(action="set", name=name, workers=limit_of(workers)), as_json=as_json)


@command.command("rm", epilog=example("jobctl groups rm gpu"))
@click.argument("name", type=GROUP)
@as_json
def _rm(name: str, *, as_json: bool) -> int:
    """Remove a group. One that has jobs waiting or running is refused.

    A group of config.toml is there again from the next jobd start.
    """
    return _changed(Groups(action="rm", name=name), as_json=as_json)


def _changed(request: Groups, *, as_json: bool) -> int:
    reply: GroupsReply = current_client().groups(request)
    if as_json:
        data.document(reply.groups)
    else:
        groups.one(reply.groups, str(request.name))
    return 0
