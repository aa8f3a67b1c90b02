"""The request of `submit`, from what was asked for: here every client gets it, whatever it shows.

Nothing is printed, and nothing is sent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from jobctl.submission.environment import (
    Missing,
    clean,
    environment,
    missing_input,
    missing_of,
    umask,
    working_directory,
)
from jobd.contract import text_file
from jobd.contract.destinations import WhenAll
from jobd.contract.errors import JobdError, WrongUsage
from jobd.contract.models import MAX_ARGUMENT, TOO_LONG, Command, Options, Recipe, Submit

if TYPE_CHECKING:
    from jobctl.submission.advice import Case
    from jobd.client.client import Client

REPEATABLE: Final = frozenset({"tags", "after", "after_any", "notify"})
"""Fields of `Options` whose options may be written several times."""


class Asked(Struct, frozen=True, kw_only=True):
    """What was written of a job, in one place."""

    options: dict[str, Any] = {}
    """Fields of `Options`."""
    cwd: str | None = None
    variables: dict[bytes, bytes] = {}
    clean: bool = False
    array: list[tuple[int, int]] = []
    when_all: list[WhenAll] = []

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
            when_all=self.when_all or below.when_all,
        )

    def behind(self, earlier: Asked) -> Asked:
        """Both in one place: it wins over what stands earlier, but what may be repeated adds up."""
        both = {
            field: [*earlier.options[field], *value]
            for field, value in self.options.items()
            if field in REPEATABLE and field in earlier.options
        }
        whole = self.over(earlier)
        when_all = [*earlier.when_all, *self.when_all]
        return replace(whole, options={**whole.options, **both}, when_all=when_all)

    def environment(self) -> dict[bytes, bytes]:
        """Of this process, with what was written."""
        inherited = clean(os.environb) if self.clean else environment(os.environb)
        return {**inherited, **self.variables}


class Like(Struct, frozen=True):
    """Another job, as far as a new one takes after it."""

    recipe: Recipe
    variables: dict[bytes, bytes] = {}
    """Those that were set for it alone."""


def like(client: Client, job: int) -> Like:
    """Raises: NotFound, NotPermitted (we are a viewer)."""
    recipe = client.recipe(job)
    names = recipe.options.env
    found = (client.show(job, environment=True).environment if names else None) or {}
    # What the daemon leaves out of every environment is not there.
    return Like(recipe, {name: found[name] for name in names if name in found})


def settled(client: Client, asked: Asked) -> Asked:
    """The same, with ids of jobs where `last` and its like stood. Raises: NotFound."""
    fields = [name for name in ("after", "after_any") if name in asked.options]
    if not any(first < 0 for name in fields for first, _ in asked.options[name]):
        return asked
    from jobd.client.relative import absolute

    found = {name: absolute(client, asked.options[name]) for name in fields}
    return replace(asked, options={**asked.options, **found})


def submit_of(commands: Sequence[Command], asked: Asked, like: Like | None = None) -> Submit:
    """The request, with the directory, umask and environment of this process.

    `like`: of another job, what stands in for what was not asked for; its command, too, where
    there is none. Raises: WrongUsage.
    """
    cwd = None
    options = Options(**asked.options)
    if like is not None:
        commands = commands or [like.recipe.command]
        cwd = like.recipe.cwd if asked.cwd is None else None
        options = _over(like.recipe.options, asked.options)
        asked = asked.over(Asked(variables=like.variables))
    if not commands:
        raise WrongUsage("give a command, -c LINE, --file, --script, --manifest or --like")
    if options.shell and "shell" in asked.options and not commands[0].shell:
        raise WrongUsage("--shell runs a shell line, and this is none; write -c LINE")
    return Submit(
        commands=list(commands),
        options=replace(options, env=list(asked.variables)),
        cwd=working_directory(os.environb, asked.cwd) if cwd is None else cwd,
        umask=umask(),
        environment=asked.environment(),
        array=asked.array,
        when_all=asked.when_all,
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
    return Missing(
        programs=[] if program is None else [program],
        files={} if waits else missing_input(options),
    )


def cases_of(request: Submit, shell: Callable[[], bytes]) -> Iterator[Case]:
    """What advice may be given about; `shell`: what runs lines where the job names none."""
    from jobctl.submission.advice import Case

    options = request.options
    own = options.shell
    for command in request.commands:
        yield Case(
            command,
            request.environment,
            request.cwd,
            (lambda: own) if own else shell,
            waits=bool(options.after or options.after_any),
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

    Raises: JobdError (unreadable, no line at all), BadRequest (a line that can be no command).
    """
    name = name_of(file)
    lines = [line.strip() for line in text_file.plain(read_file(file), name).split(b"\n")]
    for number, line in enumerate(lines, start=1):
        if b"\0" in line:
            raise WrongUsage(f"{name}, line {number}: a command cannot contain NUL")
        if len(line) > MAX_ARGUMENT:
            raise WrongUsage(f"{name}, line {number}: {TOO_LONG}")
    commands = [shell_line(line) for line in lines if line and not line.startswith(b"#")]
    if not commands:
        raise JobdError(f"{name}: no commands in it, nothing submitted")
    return commands


def read_file(file: str, most: int = -1) -> bytes:
    """The first `most` bytes of a file, -1 for all; `-` is stdin. Raises: JobdError."""
    try:
        if file == "-":
            return sys.stdin.buffer.read(most)
        with open(file, "rb") as stream:
            return stream.read(most)
    except OSError as error:
        raise JobdError(f"cannot read {name_of(file)}: {error.strerror}") from error


def name_of(file: str) -> str:
    """How a message calls what is read."""
    return "stdin" if file == "-" else file
