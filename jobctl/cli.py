"""`jobctl`: the group of commands, each loaded when it is used, and the error boundary."""

from __future__ import annotations

import errno
import gc
import importlib
import sys
from typing import TYPE_CHECKING, Final

import click

from jobctl import lean
from jobctl.context import name_owner
from jobctl.examples import example
from jobctl.render import streams
from jobd.contract.errors import JobdError, shortage
from jobd.contract.inherited import restore_environment
from jobd.contract.version import VERSION

if TYPE_CHECKING:
    from jobd.client.client import Client

COMMANDS: Final = (
    "submit",
    "ls",
    "show",
    "logs",
    "watch",
    "top",
    "status",
    "events",
    "history",
    "report",
    "wait",
    "hold",
    "start",
    "stop",
    "restart",
    "rm",
    "pause",
    "resume",
    "edit",
    "progress",
    "workers",
    "groups",
    "notify",
    "notifications",
    "completion",
    "help",
    "version",
)
"""In the order of `--help`; each is `jobctl/commands/NAME.py`, its `command` is the command."""
_UNWRITABLE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF)
"""What a write to stdout may fail with; the last where it is closed."""
_UNSEARCHED: Final = 50_000
"""Objects made until garbage in cycles is looked for. Most commands end before that, and looked
through what they had imported, again and again.
"""
HELP: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _colour(ctx: click.Context, param: click.Parameter, when: str | None) -> None:
    del ctx, param
    if when is not None:
        streams.use_colour(streams.Colour(when))


def colour_option(*, hidden: bool = False) -> click.Option:
    """`--color`, which stands before the command or, not shown in its help, behind it."""
    return click.Option(
        ["--color"],
        type=click.Choice([when.value for when in streams.Colour]),
        default=None if hidden else streams.Colour.AUTO.value,
        help="When to use colour (auto: on a terminal, unless NO_COLOR is set).",
        callback=_colour,
        expose_value=False,
        hidden=hidden,
    )


class LazyGroup(click.Group):
    """Imports a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        lean.msgspec()
        command: click.Command = importlib.import_module(f"jobctl.commands.{cmd_name}").command
        if not any(param.name == "color" for param in command.params):
            command.params.append(colour_option(hidden=True))
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {name for param in self.get_params(ctx) for name in param.opts}
        if args and args[0].startswith("-") and args[0] not in own:
            from jobctl.parsing import hints

            if hints.is_known(args[0]):
                raise click.UsageError(f"no option {args[0]}{_suggestion(args)}", ctx)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}{_suggestion(args)}", ctx)
        return super().resolve_command(ctx, args)


def _suggestion(args: list[str]) -> str:
    from jobctl.parsing import hints

    line = hints.of(args, COMMANDS, _takes)
    return f"; did you mean: {line}" if line else ""


def _takes(name: str, words: list[str]) -> bool:
    """Whether that command knows all options among these words; nothing is done."""
    root = click.Context(group, **group.context_settings)
    command = group.get_command(root, name)
    assert command is not None
    ctx = click.Context(command, parent=root, **command.context_settings)
    try:
        command.make_parser(ctx).parse_args(words)
    except click.UsageError:
        return False
    return True


EXAMPLE: Final = example(
    "jobctl submit python train.py --lr 1e-3",
    "jobctl ls",
    "jobctl logs -f 1",
    "jobctl wait 1 && ./publish",
)


@click.group(cls=LazyGroup, epilog=EXAMPLE, context_settings=HELP, invoke_without_command=True)
@click.version_option(
    VERSION, "-V", "--version", prog_name="jobctl", message="%(prog)s %(version)s"
)
@click.option(
    "--owner",
    metavar="USER",
    expose_value=False,
    callback=name_owner,
    help="Whose daemon may listen at JOBD_SOCKET, beside yours and root's: a login. "
    "(the owner of its directory)",
)
@click.pass_context
def group(ctx: click.Context) -> int | None:
    """Submit commands to jobd, watch them, and control them."""
    if ctx.invoked_subcommand is not None:
        return None
    for line in ctx.get_help().split("\n"):
        streams.line(line)
    return 2


group.params.append(colour_option())


def run(args: list[str], client: Client | None = None) -> int:
    """Run a command line and give its exit code; nothing but a defect in here raises."""
    try:
        code = _invoke(args, client)
        streams.flush()
    except BaseException as error:  # noqa: BLE001 # the boundary
        return _code_of(error)
    return code


def _invoke(args: list[str], client: Client | None) -> int:
    with group.make_context("jobctl", list(args), obj=client) as ctx:
        code = group.invoke(ctx)
    return code if isinstance(code, int) else 0


def _code_of(error: BaseException) -> int:
    """Foreseen: its message and code. Not foreseen: a log file, and where it lies."""
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case click.ClickException():
            return _usage(error)
        case JobdError():
            return _refused(error)
        case BrokenPipeError():
            streams.abandon_stdout()
            return 0
        case KeyboardInterrupt():
            return 130
        case Exception():
            return _unforeseen(error)
    raise error


def _refused(error: JobdError) -> int:
    from jobctl.render import text

    streams.error(text.localized(error.message))
    return error.exit_code


def _usage(error: click.ClickException) -> int:
    from jobctl.usage import said

    streams.error(said(error))
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    if ctx is not None:
        streams.plain_hint(f"see: {ctx.command_path} --help")
    return error.exit_code


def _unforeseen(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno in _UNWRITABLE:
        # First: what is still buffered would fail once more.
        streams.abandon_stdout()
        streams.error(f"cannot write: {error.strerror}")
        return 1
    lacks = shortage(error)
    if lacks is not None:
        streams.error(lacks)
        return 1
    from jobctl import crash_report as crashlog

    report = crashlog.report(error)
    path = crashlog.write(report)
    said = f"{type(error).__name__}: a defect in jobctl; please report it with"
    streams.error(f"{said} this:" if path is None else f"{said} {path}")
    for line in report if path is None else ():
        streams.notice(f"    {line}")
    return 1


def main() -> None:
    """The console script; leaves with the exit code."""
    gc.set_threshold(_UNSEARCHED)
    streams.prepare()
    restore_environment()
    code = run(sys.argv[1:])
    try:
        streams.flush()
    except OSError:
        streams.abandon_stdout()
        code = code or 1
    # All of it goes with the process: looked through first, it would take longer than the command.
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
