"""`jobctl submit`: put commands into the queue."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.parsing.param_types import as_json
from jobctl.render import data, notices, streams
from jobctl.submission import job_options
from jobctl.submission.environment import clean, environment, missing_of, umask, working_directory
from jobctl.submission.job_options import Asked, Option
from jobd.contract.errors import JobdError
from jobd.contract.models import Command, List, Options, Selector, Submit, Submitted

if TYPE_CHECKING:
    from jobd.client.client import Client


_WITH_MANIFEST: Final = frozenset(
    {"manifest", "cwd", "env", "clean_env", "wait", "stop_on_interrupt", "as_json", "color"}
)
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

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Section by section, those first that a newcomer looks for."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = None if param.name == "words" else param.get_help_record(ctx)
            if record is not None:
                name = param.section if isinstance(param, Option) else job_options.TRACK
                sections.setdefault(name, []).append(record)
        for name in job_options.SECTIONS:
            with formatter.section(name):
                formatter.write_dl(sections[name])


@click.command(
    "submit",
    epilog=example(
        "jobctl submit python train.py --lr 1e-3",
        "jobctl submit 'make data && make plots'",
        "jobctl submit -p high -n eval --after 1 -- ./eval.sh",
        "ids=$(jobctl submit --file jobs.txt)",
        "jobctl submit --script nightly.sh --fast",
        "jobctl submit --manifest pipeline.toml",
        "jobctl submit --array 1-10 'train --fold $JOBD_ARRAY_INDEX'",
    ),
    cls=_Submit,
    params=[*job_options.of_job(), *job_options.of_submit()],
    context_settings={"allow_interspersed_args": False},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[--] COMMAND [ARG]...")
@as_json
@click.pass_context
@pass_client
def command(client: Client, ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 # as click has it
    """Put a command into the queue and print its id.

    Options end at the first word of the command. Several words are run exactly as given,
    without a shell; one word is a shell line; after -- it is never a shell line. The job
    gets this directory, environment and umask.

    A script may say at its head what it wants; the command line wins:

    \b
      #!/bin/sh
      #JOBCTL --priority high --time-limit 1h

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
    _check(given)
    if given["manifest"] is not None:
        with notices.unsure_when_interrupted():
            submitted, names = _submit_manifest(client, ctx, given)
        many = True
    else:
        request = _request(client, ctx, given)
        _warn(request)
        with notices.unsure_when_interrupted():
            submitted, names = client.submit(request), ()
        many = given["file"] is not None or bool(request.array)
        if request.options.at is not None:
            notices.not_before(request.options.at)
    if given["wait"]:
        from jobctl.actions.wait import wait_for

        if not many and request.options.hold:
            notices.held(submitted)
        return wait_for(client, submitted, stop=given["stop_on_interrupt"])
    if given["as_json"]:
        return _print_jobs(client, submitted, many=many)
    notices.submitted(submitted)
    if streams.on_terminal() and (many or request.options.at is None):
        notices.prospect(submitted, _look(client, submitted))
    notices.names(names, submitted)
    return 0


def _check(given: dict[str, Any]) -> None:
    if given["wait"] and given["as_json"]:
        raise click.UsageError("--wait gives stdout to the job; --json does not go with it")
    if given["stop_on_interrupt"] and not given["wait"]:
        raise click.UsageError("--stop-on-interrupt goes with --wait")


def _submit_manifest(
    client: Client, ctx: click.Context, given: dict[str, Any]
) -> tuple[Submitted, Sequence[str]]:
    """What was submitted, and what the file calls it."""
    from jobctl.submission import manifest_submit

    for param in ctx.command.params:
        written = job_options.is_written(ctx, str(param.name))
        if written and param.name == "words":
            raise click.UsageError("give either a command or --manifest FILE")
        if written and param.name not in _WITH_MANIFEST:
            name = param.opts[-1]
            where = manifest_submit.place_of(name.removeprefix("--"))
            raise click.UsageError(f"{name} does not go with --manifest; {where}")
    found = manifest_submit.read(given["manifest"], working_directory(os.environb, given["cwd"]))
    return manifest_submit.submit(client, found, _environment(job_options.asked(ctx))), found.names


# --- one command, or many -----------------------------------------------------------------


def _request(client: Client, ctx: click.Context, given: dict[str, Any]) -> Submit:
    """The command line over the script over the job that it is to be like."""
    asked = job_options.asked(ctx)
    commands, from_script = _commands(given, argv=ctx.meta["argv"])
    if from_script is not None:
        asked = asked.over(from_script)
    cwd = None
    if given["like"] is not None:
        recipe = client.recipe(given["like"])
        commands = commands or [recipe.command]
        cwd = recipe.cwd if asked.cwd is None else None
        options = _over(recipe.options, asked.options)
    else:
        options = Options(**asked.options)
    if not commands:
        raise click.UsageError("give a command, -c LINE, --file, --script, --manifest or --like")
    if options.shell and "shell" in asked.options and not commands[0].shell:
        raise click.UsageError("--shell runs a shell line, and this is none; write -c LINE")
    return Submit(
        commands=commands,
        options=options,
        cwd=working_directory(os.environb, asked.cwd) if cwd is None else cwd,
        umask=umask(),
        environment=_environment(asked),
        array=asked.array,
    )


def _over(options: Options, written: dict[str, Any]) -> Options:
    """What was written instead of what another job has."""
    fields = {name: getattr(options, name) for name in Options.__struct_fields__}
    if written.get("retries") == 0:
        fields |= {name: getattr(Options(), name) for name in ("retry_delay", "retry_on")}
    return Options(**{**fields, **written})


def _environment(asked: Asked) -> dict[bytes, bytes]:
    inherited = clean(os.environb) if asked.clean else environment(os.environb)
    return {**inherited, **asked.variables}


def _commands(given: dict[str, Any], *, argv: bool) -> tuple[list[Command], Asked | None]:
    """None at all is left to `--like`; beside them what a script asks for."""
    words = [os.fsencode(word) for word in given["words"]]
    line, file, script = given["line"], given["file"], given["script"]
    ways = (bool(words) and script is None) + sum(way is not None for way in (line, file, script))
    if ways > 1:
        raise click.UsageError("give one of: a command, -c LINE, --file FILE, --script FILE")
    if script is not None:
        from jobctl.submission import script as scripts

        command, asked = scripts.read(script, words)
        return [command], asked
    if file is not None:
        return read_lines(file), None
    if line is not None:
        return [_shell(os.fsencode(line))], None
    return [command_of(words, argv=argv)] if words else [], None


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
    """Of what is not there now. A job that it waits for may make it."""
    options = request.options
    program = missing_of(request.commands[0], options, request.environment, request.cwd)
    if program is not None:
        notices.not_found(program)
    waits = options.after or options.after_any
    if options.stdin and not waits and not os.path.exists(options.stdin):
        notices.no_file(os.fsdecode(options.stdin))


# --- the answer ---------------------------------------------------------------------------


def _look(client: Client, submitted: Submitted) -> Any:  # noqa: ANN401 # a job or None
    """The job itself where the answer alone does not say what becomes of it; None elsewhere."""
    if submitted.starts_now or submitted.first != submitted.last:
        return None
    try:
        return client.show(submitted.first).job
    except JobdError:
        return None


def _print_jobs(client: Client, submitted: Submitted, *, many: bool) -> int:
    if not many:
        data.job(client.show(submitted.first).job)
        return 0
    from jobd.client.follow import pages

    chosen = Selector(ids=[(submitted.first, submitted.last)])
    return notices.missing(data.array(pages(client, List(selector=chosen))))
