"""`jobd completion`: what a shell needs to complete its command lines."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete

from jobd.admin import streams
from jobd.contract import shells


@click.command()
@click.argument("shell", type=click.Choice([*shells.SCRIPTS]))
@click.option("--for", "number", type=click.IntRange(0), hidden=True)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="")
@click.pass_context
def completion(ctx: click.Context, shell: str, words: tuple[str, ...], number: int | None) -> None:
    """Print what the shell reads to complete jobd.

    With zsh the directory of the file has to be in $fpath before compinit.

    \b
    Example:
        jobd completion bash > ~/.local/share/bash-completion/completions/jobd
    """
    if number is None:
        for line in shells.script(shell, "jobd").splitlines():
            streams.line(line)
        return
    before, word, stem = shells.asked(number, [*words], shell)
    try:
        found = ShellComplete(ctx.find_root().command, {}, "jobd", "").get_completions(before, word)
    except click.ClickException:
        return
    proposals = (shells.Proposal(each.type, stem + each.value, each.help or "") for each in found)
    for line in shells.answer(proposals):
        streams.line(line)
