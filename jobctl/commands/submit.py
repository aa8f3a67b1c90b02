"""`jobctl submit`: put commands into the queue."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from jobctl.context import LINE, connecting, may_be_quiet, pass_client
from jobctl.examples import example
from jobctl.parsing.param_types import COMMAND, as_json
from jobctl.parsing.texts import as_bytes
from jobctl.render import data, notices, streams
from jobctl.submission import job_options
from jobctl.submission import request as requests
from jobctl.submission.environment import Missing, working_directory
from jobctl.submission.job_options import Option
from jobctl.submission.request import Asked
from jobd.contract.errors import JobdError, WrongUsage
from jobd.contract.models import Command, List, Selector, Submit, Submitted

if TYPE_CHECKING:
    from jobctl.submission import advice
    from jobd.client.client import Client


_WITH_MANIFEST: Final = frozenset(
    {
        "manifest",
        "cwd",
        "env",
        "clean_env",
        "notify_when_all",
        "wait",
        "stop_on_interrupt",
        "quiet",
        "as_json",
        "color",
    }
)
"""What may stand beside it; everything else the file says itself."""
_TEN: Final = (
    "name", "priority", "tags", "group", "after", "array", "time_limit", "retries", "file", "wait",
)  # fmt: skip
"""The options in the short help, in its order."""
_SUMMARY: Final = """
  Put a command into the queue and print its id. Several words are run exactly
  as given; one word is a shell line. Options end at the first word.
"""
_FURTHER: Final = "  All options: --help-all. More: jobctl help script, jobctl help manifest\n"


@contextmanager
def _usage_of(ctx: click.Context) -> Iterator[None]:
    """What makes no request is wrong usage of this command."""
    try:
        yield
    except WrongUsage as error:
        raise click.UsageError(error.message, ctx) from error


class _Submit(click.Command):
    """Remembers whether `--` stood before the command; click swallows it."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 # as click has it
        with _usage_of(ctx):
            return super().invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = ctx.meta[LINE] = list(args)
        with _usage_of(ctx):
            rest = super().parse_args(ctx, args)
        if ctx.resilient_parsing:  # a shell asks what may stand there
            return rest
        before = given[: len(given) - len(ctx.params["words"])]
        _doubt(before)
        ctx.meta["argv"] = before[-1:] == ["--"] and self._are_whole(ctx, before[:-1])
        return rest

    def _are_whole(self, ctx: click.Context, options: list[str]) -> bool:
        """Whether none of them lacks its value: then what follows is none (as in `-n --`)."""
        try:
            self.make_parser(ctx).parse_args(options)
        except click.BadOptionUsage:
            return False
        return True

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One screen: what most people look for. `--help-all` has everything."""
        self.format_usage(ctx, formatter)
        formatter.write(_SUMMARY)
        records = {p.name: p.get_help_record(ctx) for p in self.get_params(ctx)}
        with formatter.section("Common options"):
            formatter.write_dl([record for name in _TEN if (record := records[name]) is not None])
        self.format_epilog(ctx, formatter)
        formatter.write(_FURTHER)

    def whole_help(self, ctx: click.Context) -> str:
        """With all options."""
        formatter = ctx.make_formatter()
        super().format_help(ctx, formatter)
        return formatter.getvalue().rstrip("\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Section by section, those first that a newcomer looks for."""
        for name, rows in self.sections(ctx).items():
            with formatter.section(name):
                formatter.write_dl(rows)

    def sections(self, ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
        """All options and what they do, by the headings of the help, in its order."""
        found: dict[str, list[tuple[str, str]]] = {name: [] for name in job_options.SECTIONS}
        for param in self.get_params(ctx):
            record = None if param.name == "words" else param.get_help_record(ctx)
            if record is not None:
                name = param.section if isinstance(param, Option) else job_options.TRACK
                found[name].append(record)
        return found


def _print_whole_help(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:  # noqa: FBT001 # as click has it
    if asked and not ctx.resilient_parsing:
        assert isinstance(ctx.command, _Submit)
        for line in ctx.command.whole_help(ctx).split("\n"):
            streams.line(line)
        ctx.exit()


@click.command(
    "submit",
    epilog=example(
        "jobctl submit python train.py --lr 1e-3",
        "jobctl submit 'make data && make plots'",
        "jobctl submit -n eval --after 1 -- ./eval.sh",
        "jobctl submit --array 1-10 'train --fold $JOBD_ARRAY_INDEX'",
    ),
    cls=_Submit,
    params=[*job_options.of_job(), *job_options.of_submit()],
    context_settings={"allow_interspersed_args": False},
)
@click.argument("words", nargs=-1, type=COMMAND, metavar="[--] COMMAND [ARG]...")
@may_be_quiet("Say nothing but errors beside the id, or with --wait the output.")
@as_json
@click.option(
    "--help-all",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_whole_help,
    help="Show all options, not only the common ones.",
)
@click.pass_context
@pass_client
def command(client: Client, ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 # as click has it
    """Put a command into the queue and print its id.

    Options end at the first word of the command. Several words are run exactly as given,
    without a shell; one word is a shell line; after -- it is never a shell line. The job
    gets this directory, environment and umask.

    Exit code with --wait: the job's own; 128+N when signal N killed it, 143 when it was
    stopped, 127 or 126 when it could not start. Ctrl-C leaves the job running.

    What a script may say at its head: jobctl help script. What stands in a manifest: jobctl help
    manifest.
    """
    _check(given)
    if given["manifest"] is not None:
        with notices.unsure_when_interrupted():
            submitted, names = _submit_manifest(client, ctx, given)
        many = True
    else:
        request = _request(client, ctx, given)
        _warn(requests.missing_in(request))
        _advise(given, partial(requests.cases_of, request, partial(_shell, client)))
        with notices.unsure_when_interrupted():
            submitted, names = client.submit(request), ()
        many = given["file"] is not None or bool(request.array)
        if request.options.at is not None:
            notices.not_before(request.options.at)
    if given["wait"]:
        if not many and request.options.hold:
            notices.held(submitted)
        return _wait(client, submitted, stop=given["stop_on_interrupt"])
    if given["as_json"]:
        return _print_jobs(client, submitted, many=many)
    notices.submitted(submitted)
    if streams.on_terminal() and (many or request.options.at is None):
        notices.prospect(submitted, _look(client, submitted))
    notices.names(names, submitted)
    return 0


def _wait(client: Client, submitted: Submitted, *, stop: bool) -> int:
    """Stay with it, and say on a terminal how far it is, as long as it prints nothing there."""
    from jobctl.actions.wait import wait_for
    from jobctl.render.waiting import Printed

    if not streams.can_draw_over():
        return wait_for(client, submitted, Printed(), stop=stop)
    from jobctl.actions.how_far import Looking
    from jobctl.render.how_far import Line

    chosen = Selector(ids=[(submitted.first, submitted.last)])
    with (
        Line("Ctrl-C stops it" if stop else "Ctrl-C only ends the waiting") as line,
        Looking(connecting(), chosen, line),
    ):
        return wait_for(client, submitted, Printed(line.close), stop=stop)


def _doubt(options: Sequence[str]) -> None:
    """To a person: what the habits of another queue may have meant otherwise."""
    if options and streams.tells_person():
        from jobctl.parsing import option_hints

        for doubt in option_hints.doubts(options):
            streams.plain_hint(doubt)


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
    asked = job_options.asked(ctx)
    environment = asked.environment()
    _warn(manifest_submit.missing_in(found, environment))
    _advise(given, partial(manifest_submit.cases_of, found, environment, partial(_shell, client)))
    submitted = manifest_submit.submit(client, found, environment, asked.when_all)
    return submitted, found.names


def _warn(missing: Missing) -> None:
    for program in missing.programs:
        notices.not_found(program)
    for directory in missing.directories:
        notices.no_directory(directory)
    for file, why in missing.files.items():
        notices.no_file(file, why)


def _advise(given: dict[str, Any], cases: Callable[[], Iterable[advice.Case]]) -> None:
    """To a person, of what may have been meant otherwise."""
    if given["as_json"] or not streams.tells_person():
        return
    from jobctl.submission import advice

    found = advice.of(cases())
    if "-" not in (given["file"], given["script"], given["manifest"]) and not given.get("stdin"):
        found += filter(None, [advice.of_unread_input()])
    for said in found:
        streams.plain_hint(f"warning: {said}")


def _shell(client: Client) -> bytes:
    """What runs shell lines, as far as we are told."""
    from jobd.contract.config import DaemonConfig

    try:
        settings = client.configuration().settings
    except JobdError:  # a viewer, or a daemon of an earlier version
        settings = []
    named = next((each.value for each in settings if each.key == "daemon.shell"), None)
    return os.fsencode(str(named or DaemonConfig().shell))


# --- one command, or many -----------------------------------------------------------------


def _request(client: Client, ctx: click.Context, given: dict[str, Any]) -> Submit:
    """The command line over the script over the job that it is to be like."""
    asked = job_options.asked(ctx)
    commands, from_script = _commands(given, argv=ctx.meta["argv"])
    if from_script is not None:
        asked = asked.over(from_script)
    like = None if given["like"] is None else requests.like(client, given["like"])
    return requests.submit_of(commands, requests.settled(client, asked), like)


def _commands(given: dict[str, Any], *, argv: bool) -> tuple[list[Command], Asked | None]:
    """None at all is left to `--like`; beside them what a script asks for."""
    words = _words(given["words"])
    line, file, script = given["line"], given["file"], given["script"]
    ways = (bool(words) and script is None) + sum(way is not None for way in (line, file, script))
    if ways > 1:
        cpus = f"; for {line.decode()} CPUs: --slots {line.decode()}" if _is_number(line) else ""
        raise click.UsageError(f"give one of: a command, -c LINE, --file FILE, --script FILE{cpus}")
    if script is not None:
        from jobctl.submission import script as scripts

        found = scripts.read(script, words)
        notices.left_out(script, found.left_out)
        return [found.command], found.asked
    if file is not None:
        return requests.read_lines(file), None
    if line is not None:
        return [requests.shell_line(line)], None
    return [requests.command_of(words, argv=argv)] if words else [], None


def _is_number(line: bytes | None) -> bool:
    """To other queues -c is a number of CPUs."""
    return line is not None and re.fullmatch(rb"[0-9]{1,4}", line) is not None


def _words(written: Sequence[str]) -> list[bytes]:
    """Raises: click.UsageError."""
    try:
        return [as_bytes(word) for word in written]
    except ValueError as error:
        raise click.UsageError(f"the command: {error}") from error


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
        job = client.show(submitted.first).job
        with notices.telling_anyhow(submitted):
            data.job(job)
        return 0
    from jobctl.actions.listed import Listed
    from jobd.client.follow import pages

    chosen = Selector(ids=[(submitted.first, submitted.last)])
    listed = Listed(pages(client, List(selector=chosen)))
    with notices.telling_anyhow(submitted):
        data.array(listed)
    return notices.missing(listed.missing)
