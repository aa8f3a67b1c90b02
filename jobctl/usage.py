"""Wrong usage in words: what was written, and what was probably meant."""

from __future__ import annotations

from typing import Final

import click

from jobctl.context import LINE
from jobd.contract.states import FINISHED, State
from jobd.contract.wording import no_option

_STATES: Final = {
    **{f"--{state}": f"--state {state}" for state in State},
    "--finished": f"--state {','.join(FINISHED)}",
}
"""What a few commands have as an option, and all that select have as a filter."""


def said(error: click.ClickException) -> str:
    """One line."""
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        if LINE in error.ctx.meta:
            from jobctl.parsing import option_hints

            known = option_hints.of(error.option_name, error.ctx.meta[LINE])
        else:
            from jobctl.parsing import command_options

            known = command_options.of(error.ctx.info_name, error.option_name)
        names = [name for param in error.ctx.command.get_params(error.ctx) for name in param.opts]
        if known is None and "--state" in names:
            known = _STATES.get(error.option_name)
        if known is not None:
            return f"no option {error.option_name}; did you mean: {known}"
        return no_option(error.option_name, names)
    said = error.format_message()
    if said.startswith("Got unexpected extra argument") and _takes_one_job(error):
        return "show takes one job; for several: jobctl ls 1,2"
    return said


def _takes_one_job(error: click.ClickException) -> bool:
    return isinstance(error, click.UsageError) and bool(error.ctx and error.ctx.info_name == "show")
