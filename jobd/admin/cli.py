"""The command `jobd`: start, stop, restart, status, log, check, backup."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from jobd.contract.errors import BadRequest, JobdError, NotPermitted
from jobd.contract.models import DaemonStatus, State
from jobd.contract.paths import Paths, is_supervised, locate
from jobd.contract.version import VERSION
from jobd.contract.wording import closest, counted, no_option, printable, printable_json

if TYPE_CHECKING:
    from jobd.admin.check import Report

_LINES: Final = click.IntRange(min=0)
MEANT: Final = {
    "kill": "jobd stop --now",
    "quit": "jobd stop",
    "exit": "jobd stop",
    "shutdown": "jobd stop",
    "run": "jobd start",
    "reload": "jobd restart",
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


class _Group(click.Group):
    """The error boundary: what can be foreseen is one line on stderr and an exit code."""

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
        _prepare()
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
            sys.exit(code if isinstance(code, int) else 0)
        except click.Abort:
            sys.exit(130)
        except click.ClickException as error:
            _wrong(error)
            sys.exit(error.exit_code)
        except JobdError as error:
            _fail(error.message)
            sys.exit(error.exit_code)
        except BrokenPipeError:
            _abandon_stdout()
            sys.exit(0)
        except OSError as error:
            sys.exit(_refused(error))


def _refused(error: OSError) -> int:
    """What the machine does not let us do, in words. Gives the exit code."""
    if isinstance(error.filename, str):
        _fail(f"{error.filename}: {(error.strerror or '').lower()}")
        return NotPermitted.exit_code if isinstance(error, PermissionError) else 1
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        raise error
    _fail(f"cannot write: {error.strerror}")
    _abandon_stdout()
    return 1


def _abandon_stdout() -> None:
    """What is still in its buffer would fail once more when Python exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _wrong(error: click.ClickException) -> None:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    said = error.format_message()
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        params = error.ctx.command.get_params(error.ctx)
        said = no_option(error.option_name, [name for param in params for name in param.opts])
    _fail(said)


def _prepare() -> None:
    """Streams that never fail on a character, also where a parent closed them."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - kept
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say(text: str, *, err: bool = False) -> None:
    """A line, and nothing in it drives a terminal: it may quote paths, or whoever answered."""
    _write(printable(text), sys.stderr if err else sys.stdout)


def _write(text: str, stream: TextIO) -> None:
    """As it is: click would take UTF-8 for the encoding of a stream that has another one."""
    stream.write(f"{text}\n")
    stream.flush()


def _fail(message: str) -> None:
    """An error. What stands below its first line is the end of a log."""
    first, *rest = message.split("\n")
    _say(f"jobd: {first}", err=True)
    for line in rest:
        _say(f"    {line}", err=True)


def _say_json(value: object) -> None:
    import msgspec

    _write(printable_json(json.dumps(msgspec.to_builtins(value))), sys.stdout)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="jobd", message="%(prog)s %(version)s")
def main() -> None:
    """The daemon of a local job queue. It is used through jobctl.

    \b
    Example:
        jobd start && jobctl submit make -j4
    """


@main.command()
@click.option("--workers", type=int, help="How many jobs run at a time (3).")
@click.option("--engine", help="Where jobs run (local).")
@click.option("--foreground", is_flag=True, help="Stay in this terminal, log to stderr.")
@click.option("--ephemeral", is_flag=True, help="Keep queue and history in memory only.")
@click.option(
    "--config", type=click.Path(path_type=Path), help="Read this file instead of config.toml."
)
def start(
    workers: int | None,
    engine: str | None,
    foreground: bool,  # noqa: FBT001 - click
    ephemeral: bool,  # noqa: FBT001 - click
    config: Path | None,
) -> None:
    """Start the daemon in the background; returns once it answers.

    \b
    Example:
        jobd start --workers 4
    """
    from jobd.admin import control

    options = control.StartOptions(
        workers=workers, engine=engine, config=config, ephemeral=ephemeral
    )
    if foreground:
        found = control.start_foreground(_instance(), options)
        already = found is not None
    else:
        started = control.start(_instance(), options, _tell)
        found, already = started.status, started.already
    if found is not None:
        word = "is already running" if already else "started"
        workers_now = counted(found.workers, "worker")
        _say(f"jobd {found.version} {word}: pid {found.pid}, {workers_now}")
    if found is not None and found.draining:
        _tell("it is shutting down and takes no new jobs; start it again once it is down")
    elif already and options != control.StartOptions():
        _tell("its options stay as they were; workers: jobctl workers N")


@main.command()
@click.option("--now", is_flag=True, help="End the running jobs (TERM, then KILL) first.")
@click.option("--timeout", metavar="DURATION", help="After this, go on as with --now.")
def stop(now: bool, timeout: str | None) -> None:  # noqa: FBT001 - click
    """Accept no new jobs, start none, wait for the running ones, exit.

    \b
    Example:
        jobd stop --timeout 15m
    """
    from jobd.admin import control

    paths = _instance()
    waiting = control.stop(paths, _tell, now=now, timeout=_seconds(timeout))
    if waiting is None:
        _say("jobd is not running")
        return
    if waiting and not now:
        names = ", ".join(map(str, waiting[:20])) + (", …" if len(waiting) > 20 else "")
        _tell(f"waiting for {names}; new jobs are refused")
        _tell("Ctrl-C leaves it draining; jobd stop --now ends them")
    try:
        control.wait_gone(paths, _tell_trouble)
    except KeyboardInterrupt:
        _tell("")  # behind the ^C
        _tell("jobd goes on draining; jobd stop --now ends the running jobs")
        sys.exit(130)
    _say("jobd stopped")


def _tell(said: str) -> None:
    _say(said, err=True)


def _tell_trouble(error: str) -> None:
    _tell(
        f"jobd cannot end yet: {error}. How the jobs ended is kept until it can be recorded; "
        "it is tried again by itself"
    )


def _seconds(text: str | None) -> float | None:
    from jobd.contract.durations import parse

    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise BadRequest(f"--timeout: {error}") from None


@main.command()
def restart() -> None:
    """Replace the daemon by a fresh process; running jobs go on.

    It keeps what it was started with: changes of config.toml and options count at the next
    jobd start, that is after jobd stop.

    \b
    Example:
        pip install --upgrade jobctl && jobd restart
    """
    from jobd.admin import control

    found = control.restart(_instance(), _tell)
    went_on = f"{counted(found.busy, 'job')} running on"
    _say(f"jobd {found.version} restarted: pid {found.pid}, {went_on}")
    if found.draining:
        _tell("it goes on shutting down, as it was asked to")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def status(as_json: bool) -> None:  # noqa: FBT001 - click
    """Whether the daemon runs, and how it is. Exit code 0 running, 3 not running.

    \b
    Example:
        jobd status --json | jq .jobs.pending
    """
    from jobd.admin import control

    paths = _instance()
    found = control.running(paths, sizes=True) or DaemonStatus(
        running=False,
        socket=_text(paths.socket),
        database=_text(paths.database),
        log=_text(paths.log),
        state_dir=_text(paths.state),
        version=VERSION,
        jobs=dict.fromkeys(State, 0),
    )
    if as_json:
        _say_json(found)
    elif found.running:
        for line in _status_lines(found):
            _say(line)
    else:
        _say("jobd is not running. Start it with: jobd start")
    sys.exit(0 if found.running else 3)


def _status_lines(found: DaemonStatus) -> list[str]:
    draining = ", draining" if found.draining else ""
    memory = ", in memory only" if found.ephemeral else ""
    jobs = ", ".join(
        f"{found.jobs.get(state, 0)} {state}"
        for state in (
            State.RUNNING, State.PENDING, State.COMPLETED, State.FAILED, State.STOPPED,
        )
    )  # fmt: skip
    output = "" if found.output_bytes is None else f", output {_size(found.output_bytes)}"
    lines = [
        (
            f"jobd {found.version} running, pid {found.pid}, up {_duration(found.uptime_s)}, "
            f"engine {found.engine}{draining}{memory}"
        ),
        f"workers  {found.busy} of {found.workers} busy",
        f"jobs     {jobs}",
        f"state    {_tilde(found.state_dir)} ({_size(found.database_bytes)}{output})",
    ]
    if found.access_socket:
        lines.append(f"others   come in by {found.access_socket}")
    if found.error:
        lines.append(f"trouble  {found.error}; what waits is tried again by itself")
    return lines


def _text(path: Path) -> str:
    """What is not UTF-8 becomes U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")


def _size(count: int) -> str:
    from jobd.contract.sizes import text

    return text(count)


def _duration(seconds: float) -> str:
    from jobd.contract.durations import text

    return text(seconds)


def _tilde(path: str) -> str:
    home = os.path.expanduser("~")
    return f"~{path[len(home) :]}" if path.startswith(f"{home}/") else path


@main.command()
@click.option("-f", "--follow", is_flag=True, help="Go on as the log grows.")
@click.option("-n", "--lines", type=_LINES, metavar="N", default=50, help="The last N lines (50).")
def log(follow: bool, lines: int) -> None:  # noqa: FBT001 - click
    """The daemon's own log.

    \b
    Example:
        jobd log -f
    """
    path = _instance().log
    if not path.exists():
        raise JobdError(f"there is no log at {path} yet")
    try:
        for older, count in _older(path, lines):
            subprocess.run(["tail", "-n", str(count), "--", str(older)], check=True)
        # tail(1) follows a growing, replaced or truncated file better than we would.
        command = ["tail", "-n", str(lines), *(["-F"] if follow else []), "--", str(path)]
        sys.exit(subprocess.run(command, check=False).returncode)
    except (KeyboardInterrupt, subprocess.CalledProcessError):
        sys.exit(0)


def _older(path: Path, lines: int) -> list[tuple[Path, int]]:
    """Where the log has been begun anew: the old logs, and how much of each is still wanted."""
    from jobd.system.log_file import KEPT

    found: list[tuple[Path, int]] = []
    file = path
    for number in range(1, KEPT + 1):
        lines -= _lines_of(file)
        file = path.with_name(f"{path.name}.{number}")
        if lines <= 0 or not file.exists():
            break
        found.insert(0, (file, lines))
    return found


def _lines_of(file: Path) -> int:
    with file.open("rb") as stream:
        return sum(1 for _ in stream)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def check(as_json: bool) -> None:  # noqa: FBT001 - click
    """Verify store and output files; changes nothing.

    Also while the daemon is stopped. What is wrong is printed line by line, with what to do
    about it. Exit code 0: all is well. 1: something is not.

    \b
    Example:
        jobd check || jobd check --json | jq '.findings[].job'
    """
    from jobd.admin.check import check

    report = check(_paths_in_use())
    if as_json:
        _say_json(report)
    else:
        for finding in report.findings:
            _say(finding.text)
            _say(f"    next: {finding.next_step}")
        for note in report.notes:
            _tell(f"note: {note}")
        _say(_check_verdict(report), err=bool(report.findings))
    sys.exit(1 if report.findings else 0)


def _check_verdict(report: Report) -> str:
    if report.findings:
        found = counted(len(report.findings), "finding")
        return f"jobd: {found} in {_tilde(report.database)} and its output"
    return (
        f"all is well: {counted(report.jobs or 0, 'job')},"
        f" {counted(report.outputs, 'output file')}, schema {report.schema},"
        f" {_tilde(report.database)}"
    )


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def backup(file: Path, force: bool) -> None:  # noqa: FBT001 - click
    """Copy the database to FILE, running or stopped.

    The copy is the database as it is at one moment. Jobs, history and captured environments are
    in it (so FILE is yours alone, 0600); the output of the jobs is not. To restore it: jobd
    stop, move jobd.db, jobd.db-wal and jobd.db-shm away, copy FILE in the place of jobd.db,
    jobd start.

    \b
    Example:
        jobd backup "queue-$(date +%F).db"
    """
    from jobd.store.backup import backup

    paths = _paths_in_use()
    jobs = backup(paths.database, file.absolute(), running=is_supervised(paths.socket), force=force)
    _say(f"{file}: {counted(jobs, 'job')}, {_size(file.stat().st_size)}")


def _paths_in_use() -> Paths:
    """Where the running instance has its files: one in memory has them elsewhere."""
    from jobd.admin import control

    paths, found = _instance(), None
    with contextlib.suppress(JobdError):
        found = control.running(paths)
    if found is None or not found.ephemeral:
        return paths
    return _checked(Paths(paths.state, paths.config, ephemeral=True))


def _instance() -> Paths:
    """The one that the environment names. Raises: NotPermitted (it is not the caller's own)."""
    return _checked(locate())


def _checked(paths: Paths) -> Paths:
    from jobd.admin import own_instance

    own_instance.enter(paths, f"jobd {click.get_current_context().info_name}")
    return paths
