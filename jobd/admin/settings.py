"""`jobd reload` and `jobd config`: what `config.toml` says, and what of it holds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from msgspec import Struct

from jobd.admin import render, streams
from jobd.admin.here import instance
from jobd.contract.errors import BadRequest, JobdError, NotRunning
from jobd.contract.models import Holding, Setting
from jobd.contract.paths import HOME_VARIABLE, Paths
from jobd.contract.states import Source


class Shown(Struct, frozen=True, kw_only=True):
    """What `jobd config --json` prints."""

    running: bool
    """Whether it is what a daemon goes by; else it is what one would that is started now."""
    file: str
    file_source: Source
    """Whence it is that this file is read."""
    settings: list[Setting]


class Checked(Struct, frozen=True, kw_only=True):
    """What `jobd config --check --json` prints."""

    file: str
    error: str | None
    """None: a daemon can go by it."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def reload(*, as_json: bool) -> None:
    """Read config.toml again, without touching jobs.

    Says line by line what has changed, and whether that counts now or after jobd restart. If the
    file is wrong, nothing changes. What was set by jobctl workers or groups stays, unless the file
    now says something else. SIGHUP to the supervisor does the same; the log has the result.

    \b
    Example:
        jobd config --check config.toml && jobd reload
    """
    from jobd.client.client import Client
    from jobd.contract.configured import change_text

    try:
        with Client(instance().socket) as client:
            found = client.reload()
    except NotRunning:
        raise NotRunning(
            "jobd is not running; config.toml is read when it starts: jobd start"
        ) from None
    if as_json:
        streams.json_line(found)
        return
    for change in found.changes:
        streams.done(change_text(change))
    if not found.changes:
        streams.notice(f"{found.file}: nothing has changed")


@click.command()
@click.option(
    "--check", "file", metavar="FILE", type=click.Path(path_type=Path),
    help="Check FILE, and do nothing else.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def config(*, file: Path | None, as_json: bool) -> None:
    """Print what is configured, and where it comes from.

    That is the default, the file, an option of jobd start, or a command such as jobctl workers.
    If the daemon is not running: what it would use if it were started now. Of URLs and passwords
    it only says that they are there. With --check: exit code 1 if the file is wrong; the error
    names line and key.

    \b
    Example:
        jobd config | grep -v default
    """
    if file is not None:
        _check(file, as_json=as_json)
        return
    shown = _shown(instance())
    if as_json:
        streams.json_line(shown)
        return
    for line in render.configuration_lines(shown.file, shown.file_source, shown.settings):
        streams.line(line)
    if not shown.running:
        streams.notice("jobd is not running; this is what it would go by")


def _shown(paths: Paths) -> Shown:
    from jobd.client.client import Client

    running = True
    try:
        with Client(paths.socket) as client:
            found = client.configuration()
    except NotRunning:
        running, found = False, _to_come(paths)
    is_usual = found.file == render.path_text(paths.config)
    is_named = HOME_VARIABLE in os.environ or "XDG_CONFIG_HOME" in os.environ
    usual = Source.ENVIRONMENT if is_named else Source.DEFAULT
    return Shown(
        running=running, file=found.file, settings=found.settings,
        file_source=usual if is_usual else Source.OPTION,
    )  # fmt: skip


def _to_come(paths: Paths) -> Holding:
    from jobd.admin.plan import StartOptions, configured
    from jobd.contract.configured import keys_of, settings_of

    loaded = configured(paths, StartOptions())
    sources = {key: loaded.source(key) for key in keys_of(loaded.config)}
    return Holding(
        file=render.path_text(paths.config),
        settings=settings_of(loaded.config, sources, loaded.config, {}),
    )


def _check(file: Path, *, as_json: bool) -> None:
    from jobd.contract import config_file
    from jobd.engines import configuration

    wrong = None
    try:
        if file.is_dir() or not file.exists():
            why = "is a directory" if file.is_dir() else "does not exist"
            raise BadRequest(f"--check: {file} {why}")
        configuration.check(config_file.load(file, required=True), file)
    except JobdError as error:
        if not as_json:
            raise
        wrong = error
    name = render.path_text(file)
    if as_json:
        streams.json_line(Checked(file=name, error=None if wrong is None else wrong.message))
    else:
        streams.line(f"{name}: a daemon can go by it")
    sys.exit(0 if wrong is None else 1)
