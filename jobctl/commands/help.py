"""`jobctl help`: the help of a command, or a page about something else."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from jobctl.examples import example
from jobctl.render import streams
from jobctl.render.topics import TOPICS
from jobd.contract.wording import closest


def _names(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem[str]]:
    """Commands and topics, to whoever presses TAB."""
    del param
    root = ctx.find_root()
    assert isinstance(root.command, click.Group)
    topics = {name: topic.title for name, topic in TOPICS.items()}
    known = {**dict.fromkeys(root.command.list_commands(root)), **topics}
    return [CompletionItem(name, help=known[name]) for name in known if name.startswith(begun)]


@click.command("help", epilog=example("jobctl help", "jobctl help submit", "jobctl help manifest"))
@click.argument("words", nargs=-1, metavar="[COMMAND|TOPIC]...", shell_complete=_names)
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...]) -> int:
    """Print the help of a command, or of a topic.

    Topics: manifest, script, selectors, times, exit-codes, environment.
    """
    if len(words) == 1 and words[0] in TOPICS:
        text = TOPICS[words[0]].text
    else:
        text = _of_command(ctx.find_root(), words)
    for line in text.rstrip("\n").split("\n"):
        streams.line(line)
    return 0


def _of_command(root: click.Context, words: tuple[str, ...]) -> str:
    """Raises: click.UsageError (there is no such command)."""
    within = root
    for word in words:
        found = None
        if isinstance(within.command, click.Group):
            found = within.command.get_command(within, word)
        if found is None:
            raise click.UsageError(
                f"no command and no topic {' '.join(words)!r}{_hint(root, word)}"
            )
        within = click.Context(found, parent=within, info_name=word)
    return within.get_help()


def _hint(root: click.Context, word: str) -> str:
    assert isinstance(root.command, click.Group)
    meant = closest(word, [*root.command.list_commands(root), *TOPICS])
    return f"; did you mean: jobctl help {meant}" if meant else f"; topics: {', '.join(TOPICS)}"
