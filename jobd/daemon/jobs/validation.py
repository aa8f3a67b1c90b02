"""What no queue could accept: each check raises BadRequest, which names the field."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from jobd.contract import destinations
from jobd.contract.destinations import Scope, WhenAll
from jobd.contract.errors import BadRequest, NotFound, Refused
from jobd.contract.models import (
    DEFAULT_RETRY_DELAY,
    MAX_ARGUMENT,
    MAX_ARRAY,
    MAX_COMMANDS,
    TOO_LONG,
    Command,
    Graph,
    Node,
    Options,
    Submit,
)
from jobd.contract.ranges import Ranges
from jobd.core.cycles import circle
from jobd.core.progress.user_pattern import compile_rule
from jobd.daemon.jobs.bundles import Commands

_JUST_NOW_S: Final = 60.0
"""Seconds by which a time may be over that a person has written down to the minute."""
_MAX_ARGUMENTS: Final = 6 * 1024 * 1024
"""Bytes of all arguments: three quarters of _STK_LIM, execve(2)."""


# --- whole requests -------------------------------------------------------------------------------


def check_submit(request: Submit, commands: Commands) -> None:
    """`commands`: all that the request has."""
    if not 1 <= len(commands) <= MAX_COMMANDS:
        raise BadRequest(f"commands: between 1 and {MAX_COMMANDS:,} are needed")
    if request.array and len(commands) > 1:
        raise BadRequest("--array: it goes with one command, not with several")
    if request.options.key is not None and (request.array or len(commands) > 1):
        raise BadRequest("--key: it names one job; it does not go with --file or --array")
    check_options(request.options)
    check_cwd(request.cwd)
    for command in commands:
        check_command(command)
    check_environment(request.environment)
    _check_array(request.array)
    _check_when_all(request.when_all, [request.options])


def _check_array(array: Ranges) -> None:
    count = 0
    for first, last in array:
        if last < first:
            raise BadRequest(f"--array: {first}-{last}: the lower index comes first")
        count += last - first + 1
        if count > MAX_ARRAY:
            raise BadRequest(f"--array: more than {MAX_ARRAY:,} elements")
    ordered = sorted(array)
    for (_, last), (first, _) in pairwise(ordered):
        if first <= last:
            raise BadRequest(f"--array: index {first} comes twice")


def check_graph(request: Graph) -> None:
    """Also names the node."""
    count = len(request.nodes)
    for place, node in enumerate(request.nodes):
        with of_node(place):
            _check_node(node, count)
    taken: dict[str, int] = {}
    for place, node in enumerate(request.nodes):
        key = node.options.key
        if key is not None and (other := taken.setdefault(key, place)) != place:
            raise BadRequest(
                f"job {place + 1} of the graph: --key: {key!r} is that of job {other + 1}, too"
            )
    check_environment(request.environment)
    _check_when_all(request.when_all, [node.options for node in request.nodes])
    round_about = circle([[*node.parents, *node.parents_any] for node in request.nodes])
    if round_about is not None:
        way = " → ".join(str(place + 1) for place in [*round_about, round_about[0]])
        raise BadRequest(f"the jobs of the graph wait for each other in a circle: {way}")


def _check_when_all(wanted: Iterable[WhenAll], options: Iterable[Options]) -> None:
    destinations.check("--notify-when-all", wanted)
    if any(one.of is Scope.TAG for one in wanted) and not any(one.tags for one in options):
        raise BadRequest(
            "--notify-when-all: tag: is about jobs with the same --tag, and there is none"
        )


def _check_node(node: Node, count: int) -> None:
    check_options(node.options)
    check_cwd(node.cwd)
    check_command(node.command)
    check_environment(node.variables)
    for parent in (*node.parents, *node.parents_any):
        if parent >= count:
            raise BadRequest(f"parents: there is no place {parent}")


@contextmanager
def of_node(place: int) -> Iterator[None]:
    """Errors say which node of the graph they are about."""
    try:
        yield
    except (BadRequest, NotFound, Refused) as error:
        raise type(error)(f"job {place + 1} of the graph: {error.message}") from None


# --- parts of them --------------------------------------------------------------------------------


def check_options(options: Options) -> None:
    check_text("--name", options.name)
    check_tags(options.tags)
    check_text("--key", options.key or "")
    if options.key == "":
        raise BadRequest("--key: it is empty")
    try:
        compile_rule(options.progress)
    except ValueError as error:
        raise BadRequest(f"--progress: {error}") from None
    if options.at is not None and options.delay is not None:
        raise BadRequest("--at and --delay exclude each other")
    if options.retry_on and not options.retries:
        raise BadRequest("--retry-on: it needs --retries")
    if options.retry_delay != DEFAULT_RETRY_DELAY and not options.retries:
        raise BadRequest("--retry-delay: it needs --retries")
    destinations.check("--notify", options.notify)
    for option, path in (("--stdin", options.stdin), ("--shell", options.shell)):
        if path and (not os.path.isabs(path) or b"\0" in path):
            raise BadRequest(f"{option}: an absolute path without NUL bytes is needed")


def check_at(at: float | None, now: int) -> None:
    """`at` in seconds, `now` in microseconds since the epoch."""
    if at is not None and at < now / 1e6 - _JUST_NOW_S:
        then = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
        raise BadRequest(f"--at: {then} is in the past; leave out --at to start at once")


def check_text(option: str, text: str) -> None:
    if not text.isprintable():
        raise BadRequest(f"{option}: control characters and line breaks are not allowed")


def check_tags(tags: Iterable[str]) -> None:
    for tag in tags:
        check_text("--tag", tag)


def check_cwd(cwd: bytes) -> None:
    if not os.path.isabs(cwd) or b"\0" in cwd:
        raise BadRequest("--cwd: an absolute path without NUL bytes is needed")


def check_environment(environment: Mapping[bytes, bytes]) -> None:
    for name, value in environment.items():
        if not name or b"=" in name or b"\0" in name or b"\0" in value:
            raise BadRequest(f"--env: {name!r} cannot be a variable of the environment")
        if len(name) + len(value) + 1 > MAX_ARGUMENT:
            raise BadRequest(f"--env: {name!r} is longer than {MAX_ARGUMENT:,} bytes")


def check_command(command: Command) -> None:
    if command.shell and len(command.argv) != 1:
        raise BadRequest("command: a shell line is exactly one text")
    _check_argv(command.argv)
    if command.script and command.shell:
        raise BadRequest("--script: a shell line cannot be one")


def _check_argv(argv: Sequence[bytes]) -> None:
    if not argv[0]:
        raise BadRequest("command: it is empty")
    for number, word in enumerate(argv):
        if b"\0" in word:
            raise BadRequest(f"command: argument {number} holds a NUL byte")
        if len(word) > MAX_ARGUMENT:
            raise BadRequest(f"command: argument {number} is {TOO_LONG}")
    if sum(map(len, argv)) > _MAX_ARGUMENTS:
        raise BadRequest(
            f"command: its arguments have more than {_MAX_ARGUMENTS:,} bytes in all, the most "
            "that Linux passes to a program; put them into a file"
        )
