"""Real second users, made for a run of the tests and taken away after it; only root can.

`owner`, `viewer` and `stranger` are three users of no special rights, each with a group and a home
of its own. `as_user` runs a command as one of them.
"""

from __future__ import annotations

import atexit
import contextlib
import grp
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers import wait_until

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0
"""Seconds that a command may take on a busy machine."""
_SETPRIV = shutil.which("setpriv")
_SETPRIV_NOBODY = (_SETPRIV, "--reuid=65534", "--regid=65534", "--clear-groups", "--")
_USERADD = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
_USERDEL = shutil.which("userdel", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class User(NamedTuple):
    """One of those that were made."""

    name: str
    uid: int
    gid: int
    home: Path

    def command(self, *groups: str) -> list[str]:
        """What to put before a command so that this user runs it, with these groups beside."""
        numbers = ",".join(str(grp.getgrnam(group).gr_gid) for group in groups)
        more = ["--groups", numbers] if groups else ["--clear-groups"]
        assert _SETPRIV is not None
        return [_SETPRIV, f"--reuid={self.uid}", f"--regid={self.gid}", *more, "--"]

    def environment(self, **more: str) -> dict[str, str]:
        """What a login of this user would have, and the mark of the tests."""
        kept = {k: v for k, v in os.environ.items() if k.startswith(("JOBD_TEST", "PYTEST"))}
        return {
            **kept, "HOME": str(self.home), "USER": self.name, "LOGNAME": self.name,
            "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **more,
        }  # fmt: skip

    def run(
        self, *command: str | Path, code: int | None = None, env: dict[str, str] | None = None,
        groups: tuple[str, ...] = (), timeout: float = PATIENCE,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a command as this user; `code`: the exit code that it must have."""
        done = subprocess.run(
            [*self.command(*groups), *map(str, command)],
            env=self.environment(**(env or {})), cwd="/", capture_output=True, text=True,
            timeout=timeout, check=False, stdin=subprocess.DEVNULL, errors="replace",
        )  # fmt: skip
        if code is not None:
            assert done.returncode == code, (command, done)
        return done

    def jobd(self, *args: str, **options: object) -> subprocess.CompletedProcess[str]:
        return self.run(BIN / "jobd", *args, **options)  # type: ignore[arg-type]

    def jobctl(self, *args: str, **options: object) -> subprocess.CompletedProcess[str]:
        return self.run(BIN / "jobctl", *args, **options)  # type: ignore[arg-type]


def _works_for_others(program: Path) -> bool:
    # By way of a shell: what setpriv itself runs it still may run with the rights of root.
    command = [*_SETPRIV_NOBODY, "sh", "-c", '"$0" --version', program]
    return subprocess.run(command, check=False, capture_output=True, cwd="/").returncode == 0


def _programs() -> Path | None:
    """A directory with `jobd` and `jobctl` that other users can run; None: there is none.

    The Python of this checkout may lie in a private directory. Another of the same version, that
    everybody can run, then finds our modules and libraries where they are.
    """
    own = Path(sys.executable).parent
    if _works_for_others(own / "jobctl"):
        return own
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for directory in ("/usr/bin", "/usr/local/bin"):
        python = Path(directory) / name
        if python.exists():
            made = _wrapped(python)
            if _works_for_others(made / "jobctl"):
                return made
    return None


def _wrapped(python: Path) -> Path:
    """Both programs, run by another Python."""
    directory = Path(tempfile.mkdtemp(prefix="jp-", dir="/tmp"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    directory.chmod(0o755)
    found = entry_points(group="console_scripts")
    for name in ("jobd", "jobctl"):
        module = next(iter(found.select(name=name))).module
        line = f"import sys; sys.argv[0] = '{name}'; from {module} import main; sys.exit(main())"
        file = directory / name
        file.write_text(
            f"#!/bin/sh\nPYTHONPATH={ROOT}:{sysconfig.get_path('purelib')}\nexport PYTHONPATH\n"
            f'exec {python} -P -c "{line}" "$@"\n'
        )
        file.chmod(0o755)
    return directory


def _found() -> tuple[Path, str | None]:
    """Where the programs of other users are, or why no users can be made here."""
    none = Path("/nonexistent")
    if os.geteuid() != 0:
        return none, "only root can make other users"
    if _SETPRIV is None or _USERADD is None or _USERDEL is None:
        return none, "setpriv, useradd and userdel are needed"
    programs = _programs()
    if programs is None:
        return none, "other users can run no Python that has what this checkout needs"
    return programs, None


BIN, _WHY_NOT = _found()
"""`jobd` and `jobctl` as other users can run them."""
needs_users = pytest.mark.skipif(_WHY_NOT is not None, reason=_WHY_NOT or "")


def _make(name: str, base: Path) -> User:
    assert _USERADD is not None
    home = base / name
    # Another run of the tests may just be changing the list of users.
    wait_until(
        lambda: subprocess.run(
            [_USERADD, "--user-group", "--no-create-home", "--home-dir", home, name],
            check=False, capture_output=True,
        ).returncode == 0,
        timeout=PATIENCE,
    )  # fmt: skip
    entry = pwd.getpwnam(name)
    home.mkdir(mode=0o755)
    os.chown(home, entry.pw_uid, entry.pw_gid)
    return User(name, entry.pw_uid, entry.pw_gid, home)


def _remove(user: User) -> None:
    assert _USERDEL is not None
    with contextlib.suppress(subprocess.SubprocessError):
        subprocess.run(["pkill", "-KILL", "-u", str(user.uid)], check=False, timeout=PATIENCE)
    wait_until(
        lambda: subprocess.run(
            [_USERDEL, user.name], check=False, capture_output=True
        ).returncode in (0, 6),
        timeout=PATIENCE,
    )  # fmt: skip


class Users(NamedTuple):
    owner: User
    viewer: User
    stranger: User


@pytest.fixture(scope="session")
def _made() -> Iterator[Users]:
    base = Path(tempfile.mkdtemp(prefix="ju-", dir="/tmp"))
    base.chmod(0o755)
    made: list[User] = []
    try:
        # Names that two runs at the same time do not share.
        made.extend(_make(f"jt{os.getpid()}{letter}", base) for letter in "ovs")
        yield Users(*made)
    finally:
        for user in made:
            _remove(user)
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def users(_made: Users) -> Iterator[Users]:
    """Three users with empty homes."""
    yield _made
    for user in _made:
        for entry in user.home.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
