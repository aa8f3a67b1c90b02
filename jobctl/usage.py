"""Wrong usage in words: what was written, and what was probably meant."""

from __future__ import annotations

import click

from jobd.contract.wording import no_option


def said(error: click.ClickException) -> str:
    """One line."""
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        from jobctl.parsing import hints

        if error.ctx.info_name == "submit" and error.option_name in hints.OPTIONS:
            known = hints.OPTIONS[error.option_name]
            return f"no option {error.option_name}; did you mean: {known}"
        params = error.ctx.command.get_params(error.ctx)
        return no_option(error.option_name, [name for param in params for name in param.opts])
    return error.format_message()
