"""`jobctl logs`: a job's output, byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.parsing.param_types import JOB, Number
from jobctl.render import data, output_notices, streams
from jobd.contract.errors import JobdError
from jobd.contract.models import Output

if TYPE_CHECKING:
    from jobd.client.client import Client


@click.command(
    "logs", epilog=example("jobctl logs 7", "jobctl logs -f -n 20 7", "jobctl logs --attempt 1 7")
)
@click.argument("job", type=JOB, required=False, metavar="[ID]")
@click.option("-f", "--follow", is_flag=True, help="Wait for it to start, and stay until it ends.")
@click.option("-n", "lines", type=Number(0), help="Only the last so many lines.")
@click.option("--attempt", type=Number(1), help="Of this attempt, not the latest.")
@click.option(
    "--path",
    is_flag=True,
    help="Only where the output lies. What --max-output cut is zeros.",
)
@pass_client
def command(  # one an option
    client: Client,
    job: int | None,
    *,
    follow: bool,
    lines: int | None,
    attempt: int | None,
    path: bool,
) -> int:
    """Print a job's output, byte for byte.

    Without ID that of the job started last. -f waits for the start, follows, and ends with
    the job, or when its reader has gone; it goes on when the daemon restarts. Where
    --max-output cut, a line says how much. Of a line that is longer than a megabyte, -n gives
    the end. Where a job empties or replaces its output (> /dev/stderr does), what was there is
    gone; -f says so on stderr, and goes on with what is there then.
    """
    request = Output(id=job, attempt=attempt, tail=lines)
    if path:
        return _print_path(client, request)
    from jobd.client import follow as following

    if follow:
        streams.end_with_reader()
    told, last = False, b"\n"
    for piece in following.output(client, request, follow=follow):
        if piece.clipped:
            output_notices.clipped(piece)
        if piece.lost:
            output_notices.lost(piece)
            told = True
        if piece.anew:
            output_notices.anew(piece, last)
            told, last = True, b"\n"
        if piece.data:
            streams.raw(piece.data)
            last = piece.data[-1:]
        elif not told:
            told = output_notices.nothing(piece, follow=follow)
    return 0


def _print_path(client: Client, request: Output) -> int:
    piece = client.output(Output(id=request.id, attempt=request.attempt, tail=0))
    if not piece.path:
        raise JobdError(f"job {piece.id} has no output yet: it has not started")
    data.path(piece.path, piece.path_bytes)
    return 0
