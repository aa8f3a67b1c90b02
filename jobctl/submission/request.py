"""The request of `submit`, from what was asked for: here every client gets it, whatever it shows.

Nothing is printed, and nothing is sent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from jobctl.submission.environment import (
    Missing,
    clean,
    environment,
    missing_of,
    umask,
    working_directory,
)
from jobd.contract.errors import JobdError, WrongUsage
from jobd.contract.models import Command, Options, Recipe, Submit


class Asked(Struct, frozen=True, kw_only=True):
    """What was written of a job, in one place."""

    options: dict[str, Any] = {}
    """Fields of `Options`."""
    cwd: str | None = None
    variables: dict[bytes, bytes] = {}
    clean: bool = False
    array: list[tuple[int, int]] = []

    def over(self, below: Asked) -> Asked:
        """What stands here wins over what stands below; variables add up."""
        hidden = {"at", "delay"} if {"at", "delay"} & set(self.options) else set()
        kept = {field: value for field, value in below.options.items() if field not in hidden}
        return Asked(
            options={**kept, **self.options},
            cwd=below.cwd if self.cwd is None else self.cwd,
            variables={**below.variables, **self.variables},
            clean=self.clean or below.clean,
            array=self.array or below.array,
        )

    def environment(self) -> dict[bytes, bytes]:
        """Of this process, with what was written."""
        inherited = clean(os.environb) if self.clean else environment(os.environb)
        return {**inherited, **self.variables}


def submit_of(commands: Sequence[Command], asked: Asked, like: Recipe | None = None) -> Submit:
    """The request, with the directory, umask and environment of this process.

    `like`: of another job, what stands in for what was not asked for; its command, too, where
    there is none. Raises: WrongUsage.
    """
    cwd = None
    options = Options(**asked.options)
    if like is not None:
        commands = commands or [like.command]
        cwd = like.cwd if asked.cwd is None else None
        options = _over(like.options, asked.options)
    if not commands:
        raise WrongUsage("give a command, -c LINE, --file, --script, --manifest or --like")
    if options.shell and "shell" in asked.options and not commands[0].shell:
        raise WrongUsage("--shell runs a shell line, and this is none; write -c LINE")
    return Submit(
        commands=list(commands),
        options=options,
        cwd=working_directory(os.environb, asked.cwd) if cwd is None else cwd,
        umask=umask(),
        environment=asked.environment(),
        array=asked.array,
    )


def _over(options: Options, written: dict[str, Any]) -> Options:
    """What was written instead of what another job has."""
    fields = {name: getattr(options, name) for name in Options.__struct_fields__}
    if written.get("retries") == 0:
        fields |= {name: getattr(Options(), name) for name in ("retry_delay", "retry_on")}
    return Options(**{**fields, **written})


def missing_in(request: Submit) -> Missing:
    """What its first job would not find. A job that it waits for may make it."""
    options = request.options
    program = missing_of(request.commands[0], options, request.environment, request.cwd)
    waits = options.after or options.after_any
    lacks = bool(options.stdin) and not waits and not os.path.exists(options.stdin)
    return Missing(
        programs=[] if program is None else [program],
        files=[os.fsdecode(options.stdin)] if options.stdin and lacks else [],
    )


# --- commands -----------------------------------------------------------------------------


def command_of(words: Sequence[bytes], *, argv: bool) -> Command:
    """One word is a shell line, unless `argv` says that it is none. Raises: WrongUsage (empty)."""
    if len(words) == 1 and not argv:
        return shell_line(words[0])
    if not words[0]:
        raise WrongUsage("the command's first word is empty")
    return Command(argv=list(words))


def shell_line(line: bytes) -> Command:
    """Raises: WrongUsage (it is empty)."""
    if not line.strip():
        raise WrongUsage("the command is empty")
    return Command(argv=[line], shell=True)  # noqa: S604 # a record, no call


def read_lines(file: str) -> list[Command]:
    """The shell lines of a file (`-`: stdin), without blank ones and `#` lines.

    Raises: JobdError (unreadable, no line at all), WrongUsage (a NUL in a line).
    """
    lines = [line.strip() for line in read_file(file).split(b"\n")]
    for number, line in enumerate(lines, start=1):
        if b"\0" in line:
            raise WrongUsage(f"{file}, line {number}: a command cannot contain NUL")
    commands = [shell_line(line) for line in lines if line and not line.startswith(b"#")]
    if not commands:
        raise JobdError(f"{file}: no commands in it, nothing submitted")
    return commands


def read_file(file: str, most: int = -1) -> bytes:
    """The first `most` bytes of a file, -1 for all; `-` is stdin. Raises: JobdError."""
    try:
        if file == "-":
            return sys.stdin.buffer.read(most)
        with open(file, "rb") as stream:
            return stream.read(most)
    except OSError as error:
        name = "stdin" if file == "-" else file
        raise JobdError(f"cannot read {name}: {error.strerror}") from error
