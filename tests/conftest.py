"""No test touches the real home, and none leaves a process behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.helpers import MARK, processes_with, wait_until
from tests.users import _made, users  # noqa: F401 - fixtures

_SETTLE = 5.0
"""Seconds that processes have at the end to leave by themselves."""
_base = Path(tempfile.mkdtemp(prefix="jt-", dir="/tmp"))
_FOREIGN = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES")


def _move_home(home: Path) -> dict[str, str]:
    """Every variable that leads to a home directory."""
    return {
        "HOME": str(home),
        "JOBD_HOME": str(home / "jobd"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_RUNTIME_DIR": str(home / "run"),
    }


def pytest_configure() -> None:
    """Before a test module is even imported: what it starts on import is isolated, too."""
    for name in [n for n in os.environ if n.startswith("JOBD_") or n in _FOREIGN]:
        del os.environ[name]
    os.environ.update(_move_home(_base / "session"))
    os.environ[MARK] = uuid.uuid4().hex
    # How long one example takes says more of the machine than of the code.
    settings.register_profile("jobctl", deadline=None)
    settings.load_profile("jobctl")
    (_base / "session").mkdir()
    # A run in the background ignores these (nohup(1)), and so would all that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def pytest_unconfigure() -> None:
    shutil.rmtree(_base, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def no_process_survives() -> Iterator[None]:
    yield
    entry = f"{MARK}={os.environ[MARK]}"
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not processes_with(entry), timeout=_SETTLE)
    survivors = processes_with(entry)
    for pid in survivors:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not survivors, f"processes outlived the tests: {survivors}"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of the test's own, with a path short enough for a Unix socket."""
    directory = Path(tempfile.mkdtemp(dir=_base))
    for name, value in _move_home(directory).items():
        monkeypatch.setenv(name, value)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def jobd_home(home: Path) -> Path:
    """The `JOBD_HOME` of this test; the daemon makes the directory itself."""
    return home / "jobd"
