"""What `submit` may be asked of a job: one table of options, in the sections of its `--help`.

The command line and the `#JOBCTL` lines of a script are both read with it. An option whose name is
that of a field of `Options` fills it; only what was written counts, so that what comes from a
script, from another job or by default can stand in for the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click
from click.core import ParameterSource

from jobctl.parsing.param_types import (
    BYTES,
    DIRECTORY,
    DURATION,
    EXPRESSION,
    GROUP,
    JOB,
    KEY,
    PATH,
    PRIORITY,
    TEXT,
    Number,
    Word,
    joined,
    parse_array,
    parse_codes,
    parse_engine_option,
    parse_ids,
    parse_tag,
    parse_time_limit,
)
from jobctl.parsing.texts import as_bytes, file_name, shown
from jobctl.parsing.times import parse_at
from jobctl.submission.environment import input_file, interpreter
from jobctl.submission.request import Asked
from jobd.contract import sizes
from jobd.contract.destinations import when_all, wish
from jobd.contract.errors import WrongUsage
from jobd.contract.models import MAX_RETRIES, MAX_WORKERS, Options
from jobd.contract.wording import no_option

COMMON: Final = "Common options"
WHAT: Final = "What runs"
WHERE: Final = "Where it runs"
WHEN: Final = "When it starts"
LONG: Final = "How long and how often"
TRACK: Final = "Keeping track"
SECTIONS: Final = (COMMON, WHAT, WHERE, WHEN, LONG, TRACK)
"""In the order of `--help`."""


class Option(click.Option):
    """One that stands in a section of the help."""

    def __init__(self, *names: str, section: str, **settings: Any) -> None:  # noqa: ANN401 # as click has it
        super().__init__(names, **settings)
        self.section = section


def _parse_variable(text: str) -> tuple[bytes, bytes]:
    """Raises: ValueError."""
    key, equals, content = as_bytes(text).partition(b"=")
    if not key or not equals:
        raise ValueError(f"{shown(text)} is not K=V")
    return key, content


_SPAN: Final = "DURATION"
_VARIABLE: Final = Word("variable", _parse_variable, str)


def _variables(
    ctx: click.Context, param: click.Parameter, values: tuple[tuple[bytes, bytes], ...]
) -> dict[bytes, bytes]:
    """Of several with the same name the last one counts."""
    del ctx, param
    return dict(values)


_PARENTS: Final[dict[str, Any]] = {
    "type": Word("selector", lambda text: parse_ids([text])),
    "multiple": True,
    "callback": joined,
    "metavar": "SELECTOR",
}


def of_job() -> list[Option]:
    """What may also stand in a `#JOBCTL` line; click wants each command to have its own."""
    return [*_of_command(), *_of_place(), *_of_course(), *_of_track()]


def _of_command() -> list[Option]:
    """What is run, and with what."""
    return [
        Option("-n", "--name", section=COMMON, type=TEXT, help="Name of the job."),
        Option(
            "-p", "--priority", section=COMMON, type=PRIORITY, metavar="P",
            help="high, regular, low or an integer; higher first.",
        ),
        Option("--after", section=COMMON, **_PARENTS, help="Start when all of these completed."),
        Option(
            "--array", section=WHAT, type=Word("indexes", parse_array), metavar="INDEXES",
            help="Run for each index, such as 1-10: $JOBD_ARRAY_INDEX.",
        ),
        Option(
            "--stdin", section=WHAT, type=Word("file", input_file, file_name), metavar="FILE",
            help="Its standard input (default: none).",
        ),
        Option(
            "--shell", section=WHAT, type=Word("program", interpreter, file_name), metavar="PATH",
            help="Runs the shell line, as PATH -c LINE (default: /bin/sh, or as configured).",
        ),
    ]  # fmt: skip


def _of_place() -> list[Option]:
    """Where it is run, and how much of it."""
    return [
        Option(
            "-C", "--cwd", section=WHERE, type=DIRECTORY, metavar="DIR",
            help="Run in DIR, not in the current directory.",
        ),
        Option(
            "-e", "--env", section=WHERE, multiple=True, type=_VARIABLE, metavar="K=V",
            callback=_variables, help="Set a variable; repeatable.",
        ),
        Option(
            "--clean-env", section=WHERE, is_flag=True,
            help="Of this environment keep only HOME, LANG, LC_*, LOGNAME, PATH, SHELL, TZ, USER.",
        ),
        Option(
            "--nice", section=WHERE, type=Number(-20, 19), metavar="N",
            help="Niceness; below 0 needs the permission.",
        ),
        Option(
            "-g", "--group", section=WHERE, type=GROUP, metavar="G", help="Put it into this group."
        ),
        Option(
            "--slots", section=WHERE, type=Number(1, MAX_WORKERS), metavar="N",
            help="Occupy N workers.",
        ),
        Option(
            "--engine-option", "engine_options", section=WHERE, multiple=True,
            type=Word("option", parse_engine_option), metavar="OPTION",
            help="Option of the engine, in one word: --engine-option=--mem=8G; repeatable.",
        ),
        Option(
            "--gpus", section=WHERE, type=Number(0, MAX_WORKERS), metavar="N",
            help="Reserve N GPUs; $CUDA_VISIBLE_DEVICES names them.",
        ),
    ]  # fmt: skip


def _of_course() -> list[Option]:
    """When it is run, for how long and how often."""
    return [
        Option("--after-any", section=WHEN, **_PARENTS, help="Start when all of these ended."),
        Option("--hold", section=WHEN, is_flag=True, help="Do not start before jobctl start ID."),
        Option(
            "--delay", section=WHEN, type=DURATION, metavar=_SPAN, help="Start after this delay."
        ),
        Option(
            "--at", section=WHEN, type=Word("time", parse_at), metavar="TIME",
            help="Start at 2026-12-24T18:00, or at 18:00 (the next one).",
        ),
        Option(
            "--time-limit", section=LONG, type=Word("duration", parse_time_limit), metavar=_SPAN,
            help="Limit of each attempt: 90s, 15m, 1h30m.",
        ),
        Option(
            "--retries", section=LONG, type=Number(0, MAX_RETRIES), metavar="N",
            help="Retries after a failure.",
        ),
        Option(
            "--retry-delay", section=LONG, type=DURATION, metavar=_SPAN,
            help="Delay before the first retry (1s); doubles each time.",
        ),
        Option(
            "--retry-on", section=LONG, type=Word("codes", parse_codes), metavar="CODE,...",
            help="Retry on these exit codes only (137: killed by KILL).",
        ),
        Option(
            "--requeue", section=LONG, is_flag=True,
            help="Run again if it is interrupted or its end is lost.",
        ),
    ]  # fmt: skip


def _of_track() -> list[Option]:
    """What is known of it, and who is told."""
    return [
        Option(
            "-t", "--tag", "tags", section=TRACK, multiple=True, type=Word("tag", parse_tag),
            metavar="TAG", help="A word to select it by; repeatable.",
        ),
        Option(
            "--key", section=TRACK, type=KEY, metavar="TEXT",
            help="The same key and command again give the same job.",
        ),
        Option(
            "--notify", section=TRACK, multiple=True, type=Word("destination", wish),
            metavar="[WHEN:]URL|CMD",
            help="Notify when it ends, by Apprise (mailto://…) or a command that gets it as JSON;"
            " failed,lost:URL: only then; repeatable.",
        ),
        Option(
            "--notify-when-all", section=TRACK, multiple=True, type=Word("destination", when_all),
            metavar="[group:|tag:]URL|CMD",
            help="Notify once all of this submission, of its group or with its tags has ended.",
        ),
        Option(
            "--progress", section=TRACK, type=EXPRESSION, metavar="auto|none|REGEX",
            help="How to read it off the output: as tools print it (the default), not at all, or"
            " by REGEX, with one group for a percentage or two for n and m.",
        ),
        Option(
            "--max-output", section=TRACK, type=Word("size", sizes.parse), metavar="SIZE",
            help="Keep this much of each attempt's output (50MB), half of its beginning and half of"
            " its end; 0: all.",
        ),
    ]  # fmt: skip


def of_submit() -> list[Option]:
    """All others but `--json`."""
    return [
        Option("-w", "--wait", section=COMMON, is_flag=True,
            help="Show its output, exit with its exit code."),
        Option("--file", section=COMMON, type=PATH, metavar="FILE",
            help="A job for each line of FILE; - is stdin. All or none."),
        Option("-c", "--line", section=WHAT, type=BYTES, metavar="LINE",
            help="A shell line (sh -c)."),
        Option("--script", section=WHAT, type=PATH, metavar="FILE",
            help="Run a copy of FILE as it is now; the words after it are its arguments."),
        Option("--manifest", section=WHAT, type=PATH, metavar="FILE",
            help="Jobs that wait for each other; see: jobctl help manifest."),
        Option("--like", section=WHAT, type=JOB, metavar="ID",
            help="Take command, directory and options from this job, unless they are given."),
        Option("--stop-on-interrupt", section=TRACK, is_flag=True,
            help="With --wait: Ctrl-C stops the job."),
    ]  # fmt: skip


def asked(ctx: click.Context) -> Asked:
    """What was written on the command line that this context has parsed."""
    given = {name: value for name, value in ctx.params.items() if is_written(ctx, name)}
    return Asked(
        options={
            field: _plain(given[field])
            for field in Options.__struct_fields__
            if field in given and field != "env"
        },
        cwd=given.get("cwd"),
        variables=given.get("env", {}),
        clean=given.get("clean_env", False),
        array=given.get("array", []),
        when_all=list(given.get("notify_when_all", ())),
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 # whatever the option is
    return list(value) if isinstance(value, tuple) else value


def is_written(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def parse(words: Sequence[str]) -> Asked:
    """The options of a `#JOBCTL` line. Raises: WrongUsage."""
    command = click.Command(
        "#JOBCTL", params=list[click.Parameter](of_job()), add_help_option=False
    )
    try:
        with command.make_context("#JOBCTL", list(words)) as ctx:
            return asked(ctx)
    except click.NoSuchOption as error:
        known = [name for param in command.params for name in param.opts]
        raise WrongUsage(no_option(error.option_name, known)) from error
    except click.UsageError as error:
        raise WrongUsage(error.format_message()) from error
