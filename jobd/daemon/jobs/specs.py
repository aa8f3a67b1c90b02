"""From what a client asks of new jobs to what is stored of them: checks, spec and terms."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from jobd.contract.errors import BadRequest
from jobd.contract.models import (
    DEFAULT_RETRY_DELAY,
    MAX_COMMANDS,
    MAX_PARENTS,
    Command,
    Options,
    Recipe,
    Submit,
)
from jobd.core.progress.user_pattern import compile_rule
from jobd.core.ready_queue import Entry
from jobd.store.records import JobRow, Policy, Spec, Terms

TOO_MANY_PARENTS: Final = (
    f"more than {MAX_PARENTS:,} jobs; let it wait for jobs that wait for a part of them each"
)
_JUST_NOW_S: Final = 60.0
"""Seconds by which a time may be over that a person has written down to the minute."""
_MAX_ARGUMENT: Final = 131_071
"""Bytes of one argument or variable, MAX_ARG_STRLEN of execve(2) without its NUL."""

_MAX_ARGUMENTS: Final = 6 * 1024 * 1024
"""Bytes of all arguments: three quarters of _STK_LIM, execve(2)."""


# --- checks: each raises BadRequest, naming the field -----------------------------------------


def check_submit(request: Submit) -> None:
    if not 1 <= len(request.commands) <= MAX_COMMANDS:
        raise BadRequest(f"commands: between 1 and {MAX_COMMANDS:,} are needed")
    if request.array and len(request.commands) > 1:
        raise BadRequest("--array: it goes with one command, not with several")
    if request.options.key is not None and (request.array or len(request.commands) > 1):
        raise BadRequest("--key: it names one job; it does not go with --file or --array")
    check_options(request.options)
    check_cwd(request.cwd)
    for command in request.commands:
        check_argv(command.argv, shell=command.shell)
        if command.script and command.shell:
            raise BadRequest("--script: a shell line cannot be one")
    check_environment(request.environment)


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
    for option, path in (("--stdin", options.stdin), ("--shell", options.shell)):
        if path and (not os.path.isabs(path) or b"\0" in path):
            raise BadRequest(f"{option}: an absolute path without NUL bytes is needed")


def check_at(at: float | None, now: int) -> None:
    """`at` in seconds, `now` in microseconds since the epoch."""
    if at is not None and at < now / 1e6 - _JUST_NOW_S:
        then = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
        raise BadRequest(f"--at: {then} is over; leave it out to start at once")


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
        if len(name) + len(value) + 1 > _MAX_ARGUMENT:
            raise BadRequest(f"--env: {name!r} is longer than {_MAX_ARGUMENT:,} bytes")


def check_argv(argv: list[bytes], *, shell: bool) -> None:
    if shell and len(argv) != 1:
        raise BadRequest("command: a shell line is exactly one text")
    if not argv[0]:
        raise BadRequest("command: it is empty")
    for number, word in enumerate(argv):
        if b"\0" in word:
            raise BadRequest(f"command: argument {number} holds a NUL byte")
        if len(word) > _MAX_ARGUMENT:
            raise BadRequest(
                f"command: argument {number} is longer than {_MAX_ARGUMENT:,} bytes, the most "
                "that Linux passes to a program; put it into a file"
            )
    if sum(map(len, argv)) > _MAX_ARGUMENTS:
        raise BadRequest(
            f"command: its arguments have more than {_MAX_ARGUMENTS:,} bytes in all, the most "
            "that Linux passes to a program; put them into a file"
        )


# --- what is stored -----------------------------------------------------------------------------


def spec_of(command: Command, options: Options, *, cwd: bytes, umask: int) -> Spec:
    return Spec(
        argv=command.argv,
        shell=command.shell,
        cwd=cwd,
        umask=umask,
        requeue=options.requeue,
        nice=options.nice,
        interpreter=options.shell,
        stdin=options.stdin,
        progress=options.progress,
        max_output=options.max_output,
        packed_script=zlib.compress(command.script) if command.script else b"",
    )


def recipe_of(row: JobRow) -> Recipe:
    """The opposite, but for what was meant for that one submit: key, times, dependencies."""
    spec, policy = row.spec, row.policy
    return Recipe(
        command=spec.command,
        cwd=spec.cwd,
        options=Options(
            name=row.name,
            tags=row.tags,
            priority=row.priority,
            group=row.group,
            slots=row.slots,
            gpus=row.gpus,
            time_limit=policy.time_limit,
            retries=policy.retries,
            retry_delay=policy.retry_delay,
            retry_on=list(policy.retry_on),
            requeue=spec.requeue,
            nice=spec.nice,
            shell=spec.interpreter,
            stdin=spec.stdin,
            progress=spec.progress,
            max_output=spec.max_output,
        ),
    )


def terms_of(options: Options, user: str, environment: int, now: int) -> Terms:
    """`now`: microseconds since the epoch, from which a delay counts."""
    return Terms(
        user=user,
        environment=environment,
        name=options.name,
        priority=options.priority,
        group=options.group,
        slots=options.slots,
        gpus=options.gpus,
        tags=tuple(dict.fromkeys(options.tags)),
        held=options.hold,
        due=due_of(options.at, options.delay, now),
        due_fixed=options.at is not None,
        policy=policy_of(options),
        key=options.key,
    )


def due_of(at: float | None, delay: float | None, now: int) -> int | None:
    """Not before when, in microseconds since the epoch; None: at once."""
    due = now + int((delay or 0) * 1e6) if at is None else int(at * 1e6)
    return due if due > now else None


def policy_of(options: Options) -> Policy:
    return Policy(options.time_limit, options.retries, options.retry_delay, tuple(options.retry_on))


def entry_of(job: int, options: Options) -> Entry:
    return Entry(job, options.priority, options.group, options.slots, options.gpus)


def same_submit(spec: Spec | None, wanted: Spec) -> bool:
    """Whether what is stored under a key is the command that is asked for again."""
    return spec is not None and (spec.argv, spec.shell, spec.cwd, spec.packed_script) == (
        wanted.argv, wanted.shell, wanted.cwd, wanted.packed_script,
    )  # fmt: skip
