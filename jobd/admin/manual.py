"""`jobd help` and `jobd version`."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from jobd.admin import streams
from jobd.contract.version import VERSION


def _proposed(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """What a shell may complete a word to."""
    root = ctx.find_root()
    assert isinstance(root.command, click.Group)
    names = root.command.list_commands(root)
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command("help")
@click.argument("name", required=False, metavar="[COMMAND]", shell_complete=_proposed)
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
