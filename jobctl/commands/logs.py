"""`jobctl logs`: a job's output, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from jobctl.context import pass_client, why_none
from jobctl.examples import example
from jobctl.parsing.param_types import Number, Word
from jobctl.parsing.selector_options import selects
from jobctl.parsing.texts import as_bytes, shown
from jobctl.render import data, notices, output_notices, streams
from jobctl.render.prefixed import Lines
from jobd.contract.errors import JobdError
from jobd.contract.models import Output, Piece, Selector

if TYPE_CHECKING:
    from jobd.client.client import Client


_OF_LINES: Final = {
    "follow": "--follow",
    "lines": "--lines",
    "pattern": "--grep",
    "merged": "--merge-attempts",
    "no_prefix": "--no-prefix",
}
"""What says which lines are printed, and how; by the parameter."""


def _pattern(text: str) -> re.Pattern[bytes]:
    """Raises: ValueError."""
    try:
        return re.compile(as_bytes(text))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{shown(text)} is no regular expression: {error}") from None


@click.command(
    "logs",
    epilog=example(
        "jobctl logs 7",
        "jobctl logs -f -n 20 7",
        "jobctl logs -f --tag sweep",
        "jobctl logs last-array --grep 'loss=.*nan'",
        "jobctl logs --attempt 1 7",
    ),
)
@selects(count="lines")
@click.option("-f", "--follow", is_flag=True, help="Wait for it to start, and stay until it ends.")
@click.option("--attempt", type=Number(1), help="Of this attempt, not the latest.")
@click.option("--merge-attempts", "merged", is_flag=True, help="Of all attempts, in their order.")
@click.option(
    "--grep",
    "pattern",
    type=Word("regex", _pattern, str),
    metavar="RE",
    help="Only lines in which this is found.",
)
@click.option(
    "--no-prefix", is_flag=True, help="Of several jobs, without the job before each line."
)
@click.option(
    "--path",
    is_flag=True,
    help="Only the path of the output. What --max-output cut is zeros there.",
)
@pass_client
def command(client: Client, /, selector: Selector | None, **given: Any) -> int:  # noqa: ANN401 # as click has it
    """Print the output of jobs.

    One job: byte for byte. Without SELECTOR that of the job started last. -f waits for the start,
    follows, and ends with the job, or when its reader has gone; it goes on when the daemon
    restarts. Where --max-output cut, a line says how much. Of a line that is longer than a
    megabyte, -n gives the end. Where a job empties or replaces its output (> /dev/stderr does),
    what was there is gone; -f says so on stderr, and goes on with what is there then.

    Several: one after the other, each line behind its job's id. -f shows all that run and all
    that start, until none of them is left; of those that have finished only what is named by id.
    """
    if selector is None:
        return notices.nothing_selected()
    one = _only_one(selector)
    if one is None and given["attempt"] is not None:
        raise click.UsageError("--attempt is about one job; all attempts: --merge-attempts")
    if given["attempt"] is not None and given["merged"]:
        raise click.UsageError("--attempt and --merge-attempts exclude each other")
    if given["path"]:
        _refuse_beside_path(given)
        return _print_paths(client, selector, one, given["attempt"])
    if given["follow"]:
        streams.end_with_reader()
    if one is None:
        return _print_many(client, selector, given)
    request = Output(id=one or None, attempt=given["attempt"], tail=given["lines"])
    if given["merged"]:
        return _print_attempts(client, request, given)
    return _print_one(client, request, given["pattern"], follow=given["follow"])


def _refuse_beside_path(given: dict[str, Any]) -> None:
    """What is about lines. Raises: click.UsageError."""
    for name, option in _OF_LINES.items():
        if given[name] is not None and given[name] is not False:
            raise click.UsageError(f"--path prints no output; {option} does not go with it")


def _only_one(selector: Selector) -> int | None:
    """The id where a single job is named, 0 where nothing is: the one started last."""
    if not selector.named:
        return 0
    if selector.filtered or len(selector.ids) != 1:
        return None
    ((first, last),) = selector.ids
    return first if first == last else None


class _Printed:
    """The output of one job on its way to stdout, and what is said beside it."""

    def __init__(self, pattern: re.Pattern[bytes] | None) -> None:
        self._lines = None if pattern is None else Lines(prefix=False, pattern=pattern)
        self._job = self._attempt = 0
        self._last = b"\n"
        """The last byte that was printed."""
        self.is_told = False
        """Something was printed, or why it was not."""

    def add(self, piece: Piece) -> None:
        if piece.attempt != self._attempt:
            self.end()
            self._job, self._attempt = piece.id, piece.attempt
        if piece.clipped:
            output_notices.clipped(piece)
        if piece.lost:
            output_notices.lost(piece)
        if piece.anew:
            output_notices.anew(piece, self._last)
            self._last = b"\n"
        if piece.data:
            self._show(piece)
        self.is_told = self.is_told or bool(piece.data or piece.lost or piece.anew)

    def _show(self, piece: Piece) -> None:
        self._last = piece.data[-1:]
        if self._lines is None:
            streams.raw(piece.data)
        else:
            self._lines.add(piece.id, piece.data)

    def end(self) -> None:
        """Nothing more comes of this attempt."""
        if self._lines is not None:
            self._lines.end(self._job)


def _print_one(
    client: Client, request: Output, pattern: re.Pattern[bytes] | None, *, follow: bool
) -> int:
    from jobd.client import outputs

    printed = _Printed(pattern)
    for piece in outputs.output(client, request, follow=follow):
        printed.add(piece)
        printed.is_told = printed.is_told or output_notices.nothing(piece, follow=follow)
    printed.end()
    return 0


def _print_attempts(client: Client, request: Output, given: dict[str, Any]) -> int:
    """Of a single job."""
    from jobctl.actions import many_logs
    from jobd.client import outputs

    printed, last = _Printed(given["pattern"]), client.output(Output(id=request.id, tail=0))
    if given["follow"]:
        printed.is_told = not last.attempt and output_notices.nothing(last, follow=True)
        pieces = outputs.all_output(client, last.id)
    else:
        found = many_logs.standing(client, [last.id], given["lines"], merged=True)
        pieces = (chunk.piece for chunk in found)
    for piece in pieces:
        printed.add(piece)
        last = piece
    printed.end()
    if not printed.is_told:
        output_notices.nothing(last, follow=False)
    return 0


def _print_many(client: Client, selector: Selector, given: dict[str, Any]) -> int:
    from jobctl.actions import many_logs
    from jobd.client import follow as following

    lines = Lines(prefix=not given["no_prefix"], pattern=given["pattern"])
    tail, merged = given["lines"], given["merged"]
    ids: Sequence[int] = ()
    if given["follow"]:
        jobs = many_logs.Following(client, selector, tail, merged=merged)
        after, missing, is_empty = jobs.begin(), jobs.missing, jobs.is_empty
        if jobs.is_waiting:
            output_notices.some_not_started()
        chunks = jobs.chunks(after)
        lines.expect(jobs.known)
    else:
        ids, missing = following.ids_of(client, selector)
        lines.expect(ids)
        is_empty = not ids
        chunks = many_logs.standing(client, ids, tail, merged=merged)
    code = notices.missing(missing)
    if is_empty:
        return code or notices.nothing_selected(why_none(selector))
    silent = dict.fromkeys(ids)
    for chunk in chunks:
        if chunk.piece.data or chunk.piece.behind:
            silent.pop(chunk.job, None)
        if chunk.piece.lost:
            output_notices.lost(chunk.piece)
        if chunk.piece.anew:
            output_notices.anew(chunk.piece, b"\n")
        lines.add(chunk.job, chunk.piece.data)
        if chunk.over:
            lines.end(chunk.job)
    output_notices.none_of([*silent])
    return code


def _print_paths(client: Client, selector: Selector, one: int | None, attempt: int | None) -> int:
    """Of several those that have one."""
    if one is not None:
        piece = client.output(Output(id=one or None, attempt=attempt, tail=0))
        if not piece.path:
            raise JobdError(f"job {piece.id} has no output yet: it has not started")
        data.path(piece.path, piece.path_bytes)
        return 0
    from jobd.client import follow as following

    ids, missing = following.ids_of(client, selector)
    code = notices.missing(missing)
    if not ids:
        return code or notices.nothing_selected(why_none(selector))
    without = []
    for job in ids:
        piece = client.output(Output(id=job, tail=0))
        if piece.path:
            data.path(piece.path, piece.path_bytes)
        else:
            without.append(job)
    output_notices.none_of(without)
    return code
