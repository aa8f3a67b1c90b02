"""`jobctl top`: the whole queue, full-screen."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

from jobctl.context import connecting, pass_client
from jobctl.examples import example
from jobctl.render import streams
from jobd.contract.distribution import how_to_get
from jobd.contract.errors import JobdError

if TYPE_CHECKING:
    from jobctl.tui.app import Top
    from jobd.client.client import Client

_NEEDED: Final = "textual"


@click.command("top", epilog=example("jobctl top", "NO_COLOR=1 jobctl top"))
@pass_client
def command(client: Client) -> int:
    """See and steer the whole queue, full-screen.

    Running, waiting, failed and finished jobs, one in detail with its output, workers and GPUs and
    when all will be done; keys and the mouse stop, hold, pause and restart jobs, and ask before
    something is lost. ? tells all keys, q leaves, and jobs go on. The library that draws it comes
    with the extra tui.

    Not on a terminal: jobctl ls, or jobctl watch for a line per change.
    """
    if not (streams.can_redraw() and sys.stdin.isatty() and sys.stderr.isatty()):
        raise JobdError(
            "top needs a terminal that can be drawn on, as stdin, stdout and stderr; elsewhere: "
            "jobctl ls, or jobctl watch for a line per change"
        )
    _check_library()
    client.status()  # a daemon that is not there is told of on the usual screen
    if not streams.in_colour(sys.stdout):
        os.environ["NO_COLOR"] = "1"
    from jobctl.tui.app import Top

    app = Top(connecting())
    app.run()
    if app.defect is not None:
        raise app.defect
    with suppress(KeyboardInterrupt):
        _finish(app)
    return 0


def _finish(app: Top) -> None:
    """What is half done when somebody leaves: jobs that were to run again would only have ended."""
    for doing in app.unfinished:
        streams.notice(f"{doing.rest}; Ctrl-C leaves it so")
        doing.wait()
        if doing.said is not None:
            streams.notice(doing.said.text)


def _check_library() -> None:
    """Raises: JobdError (it is not installed)."""
    from importlib.util import find_spec

    if find_spec(_NEEDED) is None:
        raise JobdError(
            f"top needs {_NEEDED}, which is not installed: {how_to_get('tui')}; without it: "
            "jobctl watch"
        )
