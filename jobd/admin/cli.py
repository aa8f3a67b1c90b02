"""The command `jobd`: start, stop, restart, status, log, check, backup, restore, and others."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any, Final

import click

from jobd.admin import manual, render, settings, streams
from jobd.admin.completion import completion
from jobd.admin.error_boundary import Group
from jobd.admin.here import checked, instance
from jobd.admin.log import log
from jobd.admin.metrics import metrics
from jobd.admin.plan import StartOptions
from jobd.admin.service import install_service, service_stop, uninstall_service
from jobd.contract.errors import BadRequest, JobdError
from jobd.contract.models import DaemonStatus, Job
from jobd.contract.paths import Paths, absolute, is_supervised
from jobd.contract.states import State, how_to_end
from jobd.contract.version import VERSION
from jobd.contract.wording import counted, listed

_LINES: Final = click.IntRange(min=0)


class FileName(click.Path):
    """The name of a file; an empty one, as of an unset variable, would be that of a directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 # as click has it
        if value == "":
            self.fail("a name is needed; this one is empty", param, ctx)
        return super().convert(value, param, ctx)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, "-V", "--version", prog_name="jobd", message="%(prog)s %(version)s")
def main() -> None:
    """The daemon of a local job queue. It is used through jobctl.

    \b
    Example:
        jobd start && jobctl submit make -j4
    """


@main.command()
@click.option("--workers", type=int, metavar="N", help="How many jobs run at a time (3).")
@click.option("--engine", metavar="NAME", help="Where jobs run: local, or slurm (local).")
@click.option("--foreground", is_flag=True, help="Stay in this terminal, log to stderr.")
@click.option("--ephemeral", is_flag=True, help="Keep queue and history in memory only.")
@click.option(
    "--config", type=FileName(path_type=Path), metavar="FILE",
    help="Read this file instead of config.toml.",
)  # fmt: skip
def start(
    workers: int | None,
    engine: str | None,
    foreground: bool,  # noqa: FBT001 - click
    ephemeral: bool,  # noqa: FBT001 - click
    config: Path | None,
) -> None:
    """Start the daemon; returns once it answers.

    \b
    Example:
        jobd start --workers 4
    """
    from jobd.admin import control

    options = StartOptions(workers=workers, engine=engine, config=config, ephemeral=ephemeral)
    if foreground:
        found = control.start_foreground(instance(), options)
        already = found is not None
    else:
        started = control.start(instance(), options, streams.notice)
        found, already = started.status, started.already
    if found is not None:
        word = "is already running" if already else "started"
        workers_now = counted(found.workers, "worker")
        streams.done(f"jobd {found.version} {word}: pid {found.pid}, {workers_now}")
    if found is not None and found.draining:
        streams.notice("it is shutting down and takes no new jobs; start it again once it is down")
    elif already and options != StartOptions():
        streams.notice("its options stay as they were; workers: jobctl workers N")


@main.command()
@click.option("--now", is_flag=True, help="End the running jobs (TERM, then KILL) first.")
@click.option("--timeout", metavar="DURATION", help="After this, go on as with --now.")
def stop(now: bool, timeout: str | None) -> None:  # noqa: FBT001 - click
    """Take and start no jobs, wait for running ones, exit.

    \b
    Example:
        jobd stop --timeout 15m
    """
    from jobd.admin import control, leaving

    paths = instance()
    waiting = control.stop(paths, streams.notice, now=now, timeout=_seconds(timeout))
    if waiting is None:
        streams.done("jobd is not running")
        return
    if waiting and not now:
        names = ", ".join(map(str, waiting[:20])) + (", …" if len(waiting) > 20 else "")
        streams.notice(f"waiting for {names}; new jobs are refused")
        streams.notice("Ctrl-C leaves it draining; jobd stop --now ends them")
    unending: list[Job] = []
    try:
        leaving.wait_gone(paths, _tell_trouble, lambda job: _tell_unending(job, unending))
    except KeyboardInterrupt:
        streams.notice("")  # behind the ^C
        streams.notice("jobd goes on draining; jobd stop --now ends the running jobs")
        sys.exit(130)
    streams.done("jobd stopped")
    if left := [job.id for job in unending if leaving.lives_on(job)]:
        streams.error(f"left running: {listed(left)}; the next jobd looks after what it finds")
        sys.exit(1)


def _tell_unending(job: Job, told: list[Job]) -> None:
    told.append(job)
    streams.notice(f"job {job.id} {job.reason}; end that with: {how_to_end(job.reason)}")


def _tell_trouble(error: str) -> None:
    streams.notice(
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
    """Replace the daemon by a fresh one; jobs go on.

    It keeps the options that it was started with, and the configuration that jobd start or jobd
    reload has read last. What was changed since then takes effect at the next jobd start.

    \b
    Example:
        pip install --upgrade jobctl-queue && jobd restart
    """
    from jobd.admin import control

    found = control.restart(instance(), streams.notice)
    went_on = f"{counted(found.busy, 'job')} running on"
    streams.done(f"jobd {found.version} restarted: pid {found.pid}, {went_on}")
    if found.draining:
        streams.notice("it goes on shutting down, as it was asked to")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def status(as_json: bool) -> None:  # noqa: FBT001 - click
    """Whether the daemon runs, and how it is. Exit code 0 running, 3 not running.

    \b
    Example:
        jobd status --json | jq .jobs.pending
    """
    from jobd.admin import control

    paths = instance()
    found = control.running(paths, sizes=True) or DaemonStatus(
        running=False,
        socket=render.path_text(paths.socket),
        database=render.path_text(paths.database),
        log=render.path_text(paths.log),
        state_dir=render.path_text(paths.state),
        version=VERSION,
        jobs=dict.fromkeys(State, 0),
    )
    if as_json:
        streams.json_line(found)
    elif found.running:
        for line in render.status_lines(found):
            streams.line(line)
    else:
        streams.line("jobd is not running. Start it with: jobd start")
    sys.exit(0 if found.running else 3)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option("--forget-lost", is_flag=True, help="First forget what power cuts took.")
def check(as_json: bool, forget_lost: bool) -> None:  # noqa: FBT001 - click
    """Verify store, output and engines; changes nothing.

    Also while the daemon is stopped. Of an engine, whether jobs could run there now. What is
    wrong is printed line by line, with what to do about it. Exit code 0: all is well. 1: something
    is not.

    Output that was lost with the power is told, by logs, too, until --forget-lost or the next
    jobd start: what is left of it then counts as all of it.

    \b
    Example:
        jobd check || jobd check --json | jq '.findings[].job'
    """
    from jobd.admin.check import check

    if forget_lost:
        from jobd.admin import control

        lost = control.forget_lost(instance())
        streams.notice("note: there is nothing to forget" if lost is None else f"forgotten: {lost}")
    report = check(*_in_use())
    if as_json:
        streams.json_line(report)
    else:
        for finding in report.findings:
            streams.line(finding.text)
            streams.line(f"    next: {finding.next_step}")
        for note in report.notes:
            streams.notice(f"note: {note}")
        for sight in report.engines:
            streams.line(f"engine {sight.engine}: {sight.text}")
        say = streams.notice if report.findings else streams.line
        say(render.check_verdict(report))
    sys.exit(1 if report.findings else 0)


@main.command()
@click.argument("file", type=FileName(path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def backup(file: Path, force: bool) -> None:  # noqa: FBT001 - click
    """Copy the database to FILE, running or stopped.

    The copy is the database as it is at one moment. Jobs, history and captured environments are
    in it (so FILE is yours alone, 0600); the output of the jobs is not. It is put back with jobd
    restore FILE.

    \b
    Example:
        jobd backup "queue-$(date +%F).db"
    """
    from jobd.store.backup import backup

    target, (paths, _) = absolute(file, "write an absolute path"), _in_use()
    jobs = backup(paths.database, target, running=is_supervised(paths.socket), force=force)
    streams.done(f"{file}: {counted(jobs, 'job')}, {render.size(target.stat().st_size)}")


@main.command()
@click.argument("file", type=FileName(path_type=Path))
def restore(file: Path) -> None:
    """Put a backup in the place of the database.

    While jobd is stopped. What was there is kept beside it, under another name. Jobs are then as
    they were when the backup was made: those that were submitted later are not in it, and what has
    run since then and was waiting then runs again. Output files stay as they are, and ids go on
    behind all of them.

    \b
    Example:
        jobd stop && jobd restore queue-2026-11-26.db && jobd start
    """
    from jobd.admin.restore import restore

    found = restore(instance(), absolute(file, "write an absolute path"))
    if found.kept is not None:
        streams.notice(f"what was there is kept: {render.path_text(found.kept)}")
    streams.done(f"{file}: {counted(found.jobs, 'job')} restored. Go on with: jobd start")


for _command in (
    log, settings.config, settings.reload, metrics, install_service, uninstall_service,
    service_stop, completion, manual.help_, manual.version,
):  # fmt: skip
    main.add_command(_command)


def _in_use() -> tuple[Paths, str | None]:
    """Where the running instance has its files (one in memory elsewhere), and its engine."""
    from jobd.admin import control

    paths, found = instance(), None
    with contextlib.suppress(JobdError):
        found = control.running(paths)
    engine = found.engine if found is not None else None
    if found is None or not found.ephemeral:
        return paths, engine
    return checked(Paths(paths.state, paths.config, ephemeral=True)), engine
