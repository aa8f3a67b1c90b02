"""The systemd unit of jobd, as text (systemd.service(5), systemd.exec(5)).

`KillMode=process`: systemd ends the supervisor alone and never a job. When the supervisor dies, the
daemon takes its place with all jobs, and the next start of the service adopts it. So `systemctl
restart` replaces both and no job ends; `systemctl stop` waits for jobs, and ends them after a
while.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

NAME: Final = "jobd.service"
STOP_WITHIN_S: Final = 60
"""Seconds that `systemctl stop`, and a shutdown of the machine, give running jobs."""
_GRACE_S: Final = 30
"""Seconds on top of that for those that are ended, until systemd ends jobd itself."""
_WATCHDOG_S: Final = 180
_START_LIMIT_S: Final = 60
"""Five starts within this, and systemd gives up (systemd.unit(5)). Within its own 10 seconds a slow
machine gets through fewer that are refused, and would begin anew for ever.
"""
_STOPPED_FOR_RESTART: Final = "SIGUSR2"
"""What `jobd service-stop` ends the supervisor with for a restart; that is no failure."""
_ROOT: Final = "root"
_HOME: Final = "JOBD_HOME"
_OF_CALLER: Final = ("XDG_CONFIG_HOME", "XDG_STATE_HOME")
"""Where the instance is; a service would not find it without. The second are the caller's own."""

_OF_USER: Final = """\
# A user's own manager can protect little without taking sudo from the jobs, too.
UMask=0077
"""
_OF_SYSTEM: Final = """\
# All of this holds for the jobs, too. Those that need sudo: NoNewPrivileges=no, and take out what
# implies it (the lines from CapabilityBoundingSet on).
UMask=0077
ProtectSystem=full
ProtectControlGroups=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectHostname=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
"""


class Unit(Struct, frozen=True, kw_only=True):
    """What is to be said of the service."""

    program: str
    """Where jobd lies, absolute."""
    user: str | None
    """Whose jobs it runs, where it is a service of the system; None: a service of the user."""
    environ: Mapping[str, str]

    def text(self) -> str:
        """All of it. Raises: ValueError (a word cannot stand in a unit)."""
        jobd = _called(self.program)
        system = self.user is not None
        lines = [
            "# Made by jobd install-service; your own changes: systemctl edit jobd",
            "[Unit]",
            "Description=jobd, a local job queue",
            *(["After=network.target remote-fs.target"] if system else []),
            f"StartLimitIntervalSec={_START_LIMIT_S}",
            "",
            "[Service]",
            "Type=notify",
            "NotifyAccess=main",
            *([f"User={self.user}"] if self.user is not None else []),
            *[f"Environment={_quoted(f'{name}={value}')}" for name, value in self._passed_on()],
            f"ExecStart={jobd} start --foreground",
            f"ExecStop={jobd} service-stop{' --system' if system else ''}",
            f"ExecReload={jobd} reload",
            "KillMode=process",
            f"SuccessExitStatus={_STOPPED_FOR_RESTART}",
            f"TimeoutStopSec={STOP_WITHIN_S + _GRACE_S}",
            "TimeoutStartSec=300",
            f"WatchdogSec={_WATCHDOG_S}",
            "Restart=on-failure",
            "RestartSec=1",
            "",
            self._hardening(),
            "",
            "[Install]",
            f"WantedBy={'multi-user.target' if system else 'default.target'}",
        ]
        return "\n".join(lines) + "\n"

    def _hardening(self) -> str:
        if self.user is None:
            return _OF_USER.rstrip("\n")
        # Root without its capabilities may do less than anybody else.
        kept = [
            line
            for line in _OF_SYSTEM.splitlines()
            if self.user != _ROOT or not line.startswith("CapabilityBoundingSet")
        ]
        return "\n".join(kept)

    def _passed_on(self) -> list[tuple[str, str]]:
        names = (_HOME,) if self.user is not None else (_HOME, *_OF_CALLER)
        found = [(name, self.environ[name]) for name in names if self.environ.get(name)]
        return [(name, os.path.abspath(value)) for name, value in found]


def _quoted(word: str) -> str:
    """As systemd.syntax(7) reads it back. Raises: ValueError (a line break, or another control)."""
    if not word.isprintable():
        raise ValueError(f"{word!r} cannot stand in a unit of systemd")
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{plain}"' if plain != word or " " in word or "'" in word else word


def _called(program: str) -> str:
    """The same in a command line, where a dollar would begin a variable."""
    return _quoted(program).replace("$", "$$")
