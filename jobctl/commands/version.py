"""`jobctl version`: which one this is."""

from __future__ import annotations

import click

from jobctl.examples import example
from jobctl.render import streams
from jobd.contract.version import VERSION


@click.command("version", epilog=example("jobctl version"))
def command() -> int:
    """Print the version, as jobctl --version does. That of the daemon: jobd status."""
    streams.line(f"jobctl {VERSION}")
    return 0
