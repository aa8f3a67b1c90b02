"""`jobd install-service`, `uninstall-service`: jobd as a service of systemd, started at boot."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from jobd.admin import streams, unit
from jobd.admin.here import instance
from jobd.contract.errors import BadRequest, JobdError

_SYSTEM_UNITS: Final = Path("/etc/systemd/system")
_LINGERS: Final = Path("/var/lib/systemd/linger")
_MAIN: Final = "MAINPID"
_WITHIN_S: Final = 60.0
"""Seconds for a command of systemctl(1) that waits for no job."""


class _Manager(Struct, frozen=True):
    """One of the two managers of units."""

    system: bool

    @property
    def file(self) -> Path:
        if self.system:
            return _SYSTEM_UNITS / unit.NAME
        config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
        return Path(config, "systemd/user", unit.NAME)

    @property
    def systemctl(self) -> list[str]:
        return ["systemctl"] if self.system else ["systemctl", "--user"]

    def said(self, *words: str) -> str:
        return " ".join([*self.systemctl, *words])

    def manage(self, *words: str, wait: bool = False) -> bool:
        """Whether systemctl did it; what it complains of is on stderr."""
        with suppress(OSError, subprocess.TimeoutExpired):
            limit = None if wait else _WITHIN_S
            command = [*self.systemctl, *words]
            return subprocess.run(command, timeout=limit, check=False).returncode == 0
        return False


def _manager(*, user: bool, system: bool) -> _Manager:
    """Root's own is the system, everybody else's their own manager. Raises: BadRequest."""
    if user and system:
        raise BadRequest("--user and --system: a service is one of the two")
    return _Manager(system or (not user and os.geteuid() == 0))


def _which(command: click.decorators.FC) -> click.decorators.FC:
    for option in (
        click.option("--dry-run", is_flag=True, help="Tell what would be done; do nothing."),
        click.option(
            "--system", is_flag=True, help="A service of the system; the default for root."
        ),
        click.option(
            "--user", is_flag=True, help="A service of your own; it ends with your last session."
        ),
    ):
        command = option(command)
    return command


@click.command("install-service")
@_which
@click.option("--run-as", metavar="LOGIN", help="The user whose jobs a service of the system runs.")
def install_service(user: bool, system: bool, dry_run: bool, run_as: str | None) -> None:  # noqa: FBT001 - click
    """Let systemd start jobd when the machine starts.

    Writes a unit and enables it. The service has the instance of JOBD_HOME, or of the user that it
    runs as: with --system, under sudo, whoever called that.

    \b
    Example:
        jobd install-service --user && systemctl --user start jobd
    """
    manager = _manager(user=user, system=system)
    if run_as is not None and not manager.system:
        raise BadRequest("--run-as: only a service of the system (--system) runs as somebody else")
    login = _login(run_as) if manager.system else None
    text = _text(login)
    if dry_run:
        streams.notice(f"would write {manager.file} and run: {manager.said('enable', unit.NAME)}")
        streams.lines(text)
        return
    _write(manager.file, text)
    streams.done(f"{manager.file} written")
    if manager.manage("daemon-reload") and manager.manage("enable", unit.NAME):
        streams.notice(
            f"it starts with the machine; start it now with: {manager.said('start jobd')}"
        )
    else:
        streams.notice(f"systemd does not answer here; later: {manager.said('enable --now jobd')}")
    streams.notice("a jobd that runs already is to be ended before: jobd stop")
    _tell_of_lingering(manager)


def _login(named: str | None) -> str:
    """Raises: BadRequest (there is no such user)."""
    login = named or os.environ.get("SUDO_USER") or pwd.getpwuid(os.geteuid()).pw_name
    try:
        pwd.getpwnam(login)
    except KeyError:
        raise BadRequest(f"--run-as: there is no user {login!r}") from None
    return login


def _text(login: str | None) -> str:
    try:
        return unit.Unit(program=_program(), user=login, environ=os.environ).text()
    except ValueError as error:
        raise JobdError(f"{error}; install jobd, or put its home, elsewhere") from None


def _program() -> str:
    """Where this very jobd lies: another one may stand before it in PATH by then."""
    called = Path(sys.argv[0]).absolute()
    beside = Path(sys.executable).with_name("jobd")
    found = next((file for file in (beside, called) if os.access(file, os.X_OK)), None)
    if found is None:
        raise JobdError("where jobd lies cannot be told; call it by its path")
    return str(found)


def _write(file: Path, text: str) -> None:
    """Raises: JobdError."""
    fresh = file.with_name(f".{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(text, "utf-8")
        fresh.chmod(0o644)
        fresh.replace(file)
    except OSError as error:
        hint = (
            "; a service of the system is root's: sudo"
            if isinstance(error, PermissionError)
            else ""
        )
        raise JobdError(f"cannot write {file}: {error.strerror}{hint}") from error


def _tell_of_lingering(manager: _Manager) -> None:
    login = pwd.getpwuid(os.geteuid()).pw_name
    if not manager.system and not (_LINGERS / login).exists():
        streams.notice(
            "it ends with your last session, and does not start before your first, unless you "
            f"linger: loginctl enable-linger {login}"
        )


@click.command("uninstall-service")
@_which
def uninstall_service(user: bool, system: bool, dry_run: bool) -> None:  # noqa: FBT001 - click
    """Stop and remove the service; the queue stays.

    It waits for running jobs as systemctl stop does. Queue, history and output stay.

    \b
    Example:
        jobd uninstall-service --user
    """
    manager = _manager(user=user, system=system)
    if not manager.file.exists():
        raise JobdError(f"there is no {manager.file}")
    if dry_run:
        streams.line(f"would stop and disable {unit.NAME}, and delete {manager.file}")
        return
    stopped = manager.manage("disable", "--now", unit.NAME, wait=True)
    try:
        manager.file.unlink()
    except OSError as error:
        raise JobdError(f"cannot delete {manager.file}: {error.strerror}") from error
    manager.manage("daemon-reload")
    streams.done(f"{manager.file} deleted")
    if not stopped:
        streams.notice("systemd does not answer here; a jobd that still runs ends with: jobd stop")


@click.command("service-stop", hidden=True)
@click.option("--system", is_flag=True)
def service_stop(system: bool) -> None:  # noqa: FBT001 - click
    """What the service does to end: for a restart replace daemon and supervisor, else stop.

    \b
    Example:
        ExecStop=jobd service-stop
    """
    from jobd.admin import control, leaving

    if _MAIN not in os.environ:
        # The supervisor has ended already (systemd.exec(5)). If the daemon goes on, it shall.
        return
    paths = instance()
    if _is_restarted(_Manager(system)):
        control.make_way(paths, streams.notice)
    elif control.stop(paths, streams.notice, now=False, timeout=unit.STOP_WITHIN_S) is not None:
        leaving.wait_gone(paths, streams.notice, lambda _: None)


def _is_restarted(manager: _Manager) -> bool:
    """Whether systemd is to start the service again at once: it says what it is about to do.

    Users other than root ask it by way of D-Bus, which a small system may lack.
    """
    try:
        done = subprocess.run(
            [*manager.systemctl, "list-jobs", "--no-legend", "--plain"],
            capture_output=True, text=True, timeout=_WITHIN_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        why = (getattr(error, "stderr", None) or str(error)).strip()
        streams.notice(f"whether this is a restart cannot be told, so jobs are to end: {why}")
        return False
    rows = [line.split() for line in done.stdout.splitlines()]
    return any(row[1:3] == [unit.NAME, "restart"] for row in rows)
