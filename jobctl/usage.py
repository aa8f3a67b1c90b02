"""Wrong usage in words: what was written, and what was probably meant."""

from __future__ import annotations

import re
from typing import Final

import click

from jobctl.context import LINE
from jobd.contract.wording import no_option

_EXTRA: Final = re.compile(r"Got unexpected extra arguments? \((.*)\)")


def said(error: click.ClickException) -> str:
    """One line."""
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        names = [name for param in error.ctx.command.get_params(error.ctx) for name in param.opts]
        if LINE in error.ctx.meta:
            from jobctl.parsing import option_hints

            known = option_hints.of(error.option_name, error.ctx.meta[LINE])
        else:
            from jobctl.parsing import command_options

            known = command_options.of(error.ctx.info_name, error.option_name, names)
        if known is not None:
            return f"no option {error.option_name}; {_told(known)}"
        return no_option(error.option_name, names)
    message = error.format_message()
    if isinstance(error, click.MissingParameter):  # what may stand there is a list of lines
        message = " ".join(message.split())
    extra = _EXTRA.fullmatch(message)
    if extra is None or not isinstance(error, click.UsageError) or error.ctx is None:
        return message
    if error.ctx.info_name == "show":
        return "show takes one job; for several: jobctl ls 1,2"
    pieces = error.ctx.command.collect_usage_pieces(error.ctx)
    usage = " ".join([error.ctx.command_path, *pieces])
    return f"too many words: {extra[1]} is left over; usage: {usage}"


def _told(meant: str) -> str:
    """What may be typed instead is a guess; what is so is none."""
    return f"did you mean: {meant}" if meant.startswith(("-", "jobctl ")) else meant
