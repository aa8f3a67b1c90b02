"""`jobd help` and `jobd version`."""

from __future__ import annotations

import click

from jobd.admin import streams
from jobd.contract.version import VERSION


@click.command("help")
@click.argument("name", required=False, metavar="[COMMAND]")
@click.pass_context
def help_(ctx: click.Context, name: str | None) -> None:
    """Print the help of jobd, or of one of its commands.

    \b
    Example:
        jobd help start
    """
    shown = ctx.find_root()
    if name is not None:
        assert isinstance(shown.command, click.Group)
        found = shown.command.get_command(shown, name)
        if found is None:
            raise click.UsageError(f"no command {name!r}", shown)
        shown = click.Context(found, parent=shown, info_name=name)
    for line in shown.get_help().split("\n"):
        streams.line(line)


@click.command()
def version() -> None:
    """Print the version, as jobd --version does.

    \b
    Example:
        jobd version
    """
    streams.line(f"jobd {VERSION}")
