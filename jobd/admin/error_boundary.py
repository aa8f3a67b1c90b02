"""The error boundary of the command `jobd`: what is foreseeable is a line and an exit code."""

from __future__ import annotations

import errno
import inspect
import sys
from typing import Any, Final

import click

from jobd.admin import streams
from jobd.contract.errors import JobdError, NotPermitted, shortage
from jobd.contract.inherited import restore_environment
from jobd.contract.wording import closest, no_option

_EXAMPLE: Final = "\b\nExample:\n"
MEANT: Final = {
    "kill": "jobd stop --now",
    "quit": "jobd stop",
    "exit": "jobd stop",
    "shutdown": "jobd stop",
    "run": "jobd start (a job: jobctl submit)",
    "logs": "jobd log",
    "tail": "jobd log -f",
    "info": "jobd status",
    "ps": "jobctl ls",
    "list": "jobctl ls",
    "queue": "jobctl ls",
    "add": "jobctl submit",
    **{
        name: f"jobctl {name}"
        for name in ("submit", "ls", "show", "watch", "wait", "rm", "hold", "pause", "workers")
    },
}
"""What people type who come from elsewhere, or mean the other program."""


class Group(click.Group):
    """The commands; what can be foreseen is one line on stderr and an exit code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as click has it
        super().__init__(*args, **kwargs)
        _end_with_example(self)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        _end_with_example(cmd)
        super().add_command(cmd, name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As they were added: first what is needed first, as in jobctl."""
        del ctx
        return [*self.commands]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if word not in self.commands and not word.startswith("-"):
            close = closest(word, self.commands)
            meant = MEANT.get(word) or (f"jobd {close}" if close else "")
            hint = f"; did you mean: {meant}" if meant else "; see: jobd --help"
            raise click.UsageError(f"no command {word!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as click has it
        streams.prepare()
        restore_environment()
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
            sys.exit(code if isinstance(code, int) else 0)
        except click.Abort:
            sys.exit(130)
        except click.ClickException as error:
            _wrong(error)
            sys.exit(error.exit_code)
        except JobdError as error:
            streams.error(error.message)
            sys.exit(error.exit_code)
        except BrokenPipeError:
            streams.abandon_stdout()
            sys.exit(0)
        except OSError as error:
            sys.exit(_refused(error))
        except (MemoryError, RuntimeError) as error:
            lacks = shortage(error)
            if lacks is None:
                raise
            streams.error(lacks)
            sys.exit(1)


def _end_with_example(command: click.Command) -> None:
    """The example at the end of its docstring stands behind the options, as in jobctl."""
    text, found, lines = inspect.cleandoc(command.help or "").partition(_EXAMPLE)
    if found:
        command.help = text
        command.epilog = _EXAMPLE + "\n".join(f"  {line.strip()}" for line in lines.split("\n"))


def _refused(error: OSError) -> int:
    """What the machine does not let us do, in words. Gives the exit code."""
    if isinstance(error.filename, str):
        streams.error(f"{error.filename}: {(error.strerror or '').lower()}")
        return NotPermitted.exit_code if isinstance(error, PermissionError) else 1
    if error.errno == errno.ENOENT:
        streams.error("the current directory is gone; go to another one")
        return 1
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF):
        raise error
    streams.abandon_stdout()
    streams.error(f"cannot write: {error.strerror}")
    return 1


def _wrong(error: click.ClickException) -> None:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    said = error.format_message()
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        params = error.ctx.command.get_params(error.ctx)
        said = no_option(error.option_name, [name for param in params for name in param.opts])
    if isinstance(error, click.MissingParameter):  # what may stand there is a list of lines
        said = " ".join(said.split())
    streams.error(said)
