"""`jobctl submit`: put commands into the queue."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.options import PRIORITY, as_json
from jobctl.render import data, notices
from jobctl.surroundings import environment, missing_program, umask, working_directory
from jobd.contract.errors import JobdError
from jobd.contract.models import Command, List, Options, Selector, Submit, Submitted

if TYPE_CHECKING:
    from jobctl.client import Client


_WITH_MANIFEST: Final = frozenset({"manifest", "cwd", "env", "wait", "as_json", "color"})
"""What may stand beside it; everything else the file says itself."""


class _Submit(click.Command):
    """Remembers whether `--` stood before the command; click swallows it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        rest = super().parse_args(ctx, args)
        before = given[: len(given) - len(ctx.params["words"])]
        # As the value of an option (`-n --`) it ends nothing.
        ctx.meta["argv"] = before[-1:] == ["--"] and "--" not in ctx.params.values()
        return rest


def _parse_variables(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[bytes, bytes]:
    del ctx, param
    found = {}
    for value in values:
        key, equals, content = os.fsencode(value).partition(b"=")
        if not key or not equals:
            raise click.BadParameter(f"{value!r} is not K=V")
        found[key] = content
    return found


@click.command(
    "submit",
    epilog=example(
        "jobctl submit python train.py --lr 1e-3",
        "jobctl submit 'make data && make plots'",
        "jobctl submit -p high -n eval -- ./eval.sh",
        "ids=$(jobctl submit --file jobs.txt)",
        "jobctl submit --manifest pipeline.toml",
        "jobctl submit --progress 'step ([0-9]+)/([0-9]+)' ./train",
    ),
    cls=_Submit,
    context_settings={"allow_interspersed_args": False},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[--] COMMAND [ARG]...")
@click.option("-c", "line", metavar="LINE", help="A shell line (sh -c).")
@click.option("--file", metavar="FILE", help="One shell line a job; - is stdin. All or none.")
@click.option("--manifest", metavar="FILE", help="Jobs that wait for each other; see below.")
@click.option(
    "-p",
    "--priority",
    type=PRIORITY,
    default="regular",
    show_default=True,
    metavar="P",
    help="high, regular, low or an integer; higher first.",
)
@click.option("-n", "--name", default="", help="A name to recognise it by.")
@click.option("-C", "--cwd", metavar="DIR", help="Where it runs (default: here).")
@click.option(
    "-e",
    "--env",
    multiple=True,
    metavar="K=V",
    callback=_parse_variables,
    help="Set a variable; repeatable.",
)
@click.option("-w", "--wait", is_flag=True, help="Show its output, exit with its exit code.")
@click.option(
    "--progress",
    default="auto",
    show_default=True,
    metavar="auto|none|REGEX",
    help="Read it off the output: as tools print it, not at all, or where one group of REGEX"
    " finds a percentage, or two find n and m.",
)
@click.option("--requeue", is_flag=True, help="Run again if it is interrupted or its end is lost.")
@as_json
@click.pass_context
@pass_client
def command(client: Client, ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 # as click has it
    """Put a command into the queue and print its id.

    Options end at the first word of the command. Several words are run exactly as given,
    without a shell; one word is a shell line; after -- it is never a shell line. The job
    gets this directory, environment and umask.

    A manifest is TOML or JSON: jobs by name, options by their long names, in [defaults] those
    of all jobs. They are submitted all or none, and wait for each other by name:

    \b
      [jobs.fetch]
      command = "curl -O https://example.org/data"   # a text is a shell line
      [jobs.build]
      command = ["make", "-j4"]                      # a list is an argv
      after = ["fetch"]                              # numbers: jobs that exist
      time-limit = "1h"
      env = {CC = "clang"}

    Exit code with --wait: the job's own; 128+N when signal N killed it, 143 when it was
    stopped, 127 or 126 when it could not start. Ctrl-C leaves the job running.
    """
    if given["wait"] and given["as_json"]:
        raise click.UsageError("--wait gives stdout to the job; --json does not go with it")
    names: Sequence[str] = ()
    if given["manifest"] is not None:
        submitted, names = _submit_manifest(client, ctx, given)
    else:
        request = _request(given, argv=ctx.meta["argv"])
        _warn(request)
        submitted = client.submit(request)
    if given["wait"]:
        from jobctl.awaiting import wait_for

        return wait_for(client, submitted)
    if given["as_json"]:
        return _print_jobs(client, submitted, many=bool(given["file"] or names))
    notices.submitted(submitted)
    notices.names(names, submitted)
    return 0


def _submit_manifest(
    client: Client, ctx: click.Context, given: dict[str, Any]
) -> tuple[Submitted, Sequence[str]]:
    """What was submitted, and what the file calls it."""
    from jobctl import graphing

    for param in ctx.command.params:
        written = ctx.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE
        if written and param.name == "words":
            raise click.UsageError("give either a command or --manifest FILE")
        if written and param.name not in _WITH_MANIFEST:
            name = param.opts[-1]
            raise click.UsageError(
                f"{name} does not go with --manifest; an option of all its jobs: [defaults]"
            )
    found = graphing.read(given["manifest"], working_directory(os.environb, given["cwd"]))
    variables = {**environment(os.environb), **given["env"]}
    return graphing.submit(client, found, variables), found.names


def _request(given: dict[str, Any], *, argv: bool) -> Submit:
    return Submit(
        commands=_commands(given, argv=argv),
        options=Options(
            name=given["name"],
            priority=given["priority"],
            requeue=given["requeue"],
            progress=given["progress"],
        ),
        cwd=working_directory(os.environb, given["cwd"]),
        umask=umask(),
        environment={**environment(os.environb), **given["env"]},
    )


def _commands(given: dict[str, Any], *, argv: bool) -> list[Command]:
    words, line, file = given["words"], given["line"], given["file"]
    if bool(words) + (line is not None) + (file is not None) != 1:
        raise click.UsageError("give either a command, or -c LINE, or --file FILE")
    if file is not None:
        return read_lines(file)
    if line is not None:
        return [_shell(os.fsencode(line))]
    return [command_of([os.fsencode(word) for word in words], argv=argv)]


def command_of(words: list[bytes], *, argv: bool) -> Command:
    """One word is a shell line unless `--` stood before it."""
    if len(words) == 1 and not argv:
        return _shell(words[0])
    if not words[0]:
        raise click.UsageError("the command's first word is empty")
    return Command(argv=words)


def _shell(line: bytes) -> Command:
    if not line.strip():
        raise click.UsageError("the command is empty")
    return Command(argv=[line], shell=True)  # noqa: S604 # a record, no call


def read_lines(file: str) -> list[Command]:
    """The shell lines of a file, without blank ones and `#` lines.

    Raises: JobdError (unreadable, no line at all), click.UsageError (a NUL in a line).
    """
    try:
        with click.open_file(file, "rb") as stream:
            text: bytes = stream.read()
    except OSError as error:
        raise JobdError(f"cannot read {file}: {error.strerror}") from error
    lines = [line.strip() for line in text.split(b"\n")]
    for number, line in enumerate(lines, start=1):
        if b"\0" in line:
            raise click.UsageError(f"{file}, line {number}: a command cannot contain NUL")
    commands = [_shell(line) for line in lines if line and not line.startswith(b"#")]
    if not commands:
        raise JobdError(f"{file}: no commands in it, nothing submitted")
    return commands


def _warn(request: Submit) -> None:
    first = request.commands[0]
    if first.shell:
        return
    program = missing_program(first.argv, request.environment, request.cwd)
    if program is not None:
        notices.not_found(program)


def _print_jobs(client: Client, submitted: Submitted, *, many: bool) -> int:
    if not many:
        data.job(client.show(submitted.first).job)
        return 0
    from jobctl.follow import pages

    chosen = Selector(ids=[(submitted.first, submitted.last)])
    return notices.missing(data.array(pages(client, List(selector=chosen))))
