"""`jobctl completion`: what a shell needs to complete our command lines."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from jobctl.context import current_client
from jobctl.examples import example
from jobctl.render import streams
from jobd.contract import shells
from jobd.contract.errors import JobdError

if TYPE_CHECKING:
    from types import FrameType

_PATIENCE_S: Final = 3
"""Seconds after which a shell gets nothing: nobody waits longer for a key."""


@click.command(
    "completion",
    epilog=example(
        "jobctl completion bash > ~/.local/share/bash-completion/completions/jobctl",
        "jobctl completion zsh > ~/.zfunc/_jobctl",
        "jobctl completion fish > ~/.config/fish/completions/jobctl.fish",
        'eval "$(jobctl completion bash)"',
    ),
)
@click.argument("shell", type=click.Choice([*shells.SCRIPTS]))
@click.option("--for", "number", type=click.IntRange(0), hidden=True)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="")
@click.pass_context
def command(ctx: click.Context, shell: str, words: tuple[str, ...], *, number: int | None) -> int:
    """Print what the shell reads to complete jobctl.

    Commands, options and their values, and what there is just now: ids with name and state,
    groups, tags, users. With zsh the directory of the file has to be in $fpath before compinit.
    """
    if number is None:
        for line in shells.script(shell, "jobctl").splitlines():
            streams.line(line)
        return 0
    from jobctl.actions.live_words import LiveWords

    before, word, stem = shells.asked(number, [*words], shell)
    live = LiveWords(current_client())
    root = ctx.find_root().command
    assert isinstance(root, click.Group)
    with _giving_up_in_time():
        found = _proposals(root, before, word, live)
    for line in shells.answer(each._replace(word=stem + each.word) for each in found):
        streams.line(line)
    return 0


def _proposals(
    group: click.Group, before: list[str], word: str, live: object
) -> list[shells.Proposal]:
    """What may stand behind these words in the place of one; nothing where they are wrong."""
    from click.shell_completion import ShellComplete

    completer = ShellComplete(group, {"obj": live}, group.name or "", "")
    try:
        found = completer.get_completions(before, word)
    except (click.ClickException, JobdError):
        return []
    return [shells.Proposal(item.type, item.value, item.help or "") for item in found]


@contextmanager
def _giving_up_in_time() -> Iterator[None]:
    """Meanwhile the process ends by itself, silently, if it takes too long. For the main thread."""
    before = signal.signal(signal.SIGALRM, _leave)
    signal.alarm(_PATIENCE_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    os._exit(0)
