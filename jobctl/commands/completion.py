"""`jobctl completion`: what a shell needs to complete our command lines."""

from __future__ import annotations

import click

from jobctl.context import current_client
from jobctl.examples import example
from jobctl.render import streams
from jobd.contract import shells


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
    from jobctl import completion

    before, word, stem = shells.asked(number, [*words], shell)
    live = completion.LiveWords(current_client())
    root = ctx.find_root().command
    assert isinstance(root, click.Group)
    with completion.giving_up_in_time():
        found = completion.proposals(root, before, word, live)
    for line in shells.answer(each._replace(word=stem + each.word) for each in found):
        streams.line(line)
    return 0
