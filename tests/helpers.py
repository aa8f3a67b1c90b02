"""What tests share: waiting for a condition, and finding what a test left behind."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Final, TypeVar

import pytest
from _pytest.mark import ParameterSet

from jobd.contract.directories import Directory, File

T = TypeVar("T")

MARK: Final = "JOBD_TEST_SESSION"
"""An environment variable that every process of the tests carries and hands on."""
_FIRST_WAIT: Final = 0.001
_LONGEST_WAIT: Final = 0.05


def wait_until(
    condition: Callable[[], T], timeout: float = 10.0, message: str | Callable[[], str] = ""
) -> T:
    """The first true value of the condition. Raises: AssertionError (not within the timeout)."""
    deadline = time.monotonic() + timeout
    pause = _FIRST_WAIT
    while not (value := condition()):
        if time.monotonic() > deadline:
            told = message() if callable(message) else message
            raise AssertionError(told or f"not so within {timeout} s: {condition}")
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_WAIT)
    return value


def whole_table(rows: Iterable[T], always: Collection[T]) -> list[ParameterSet]:
    """The rows for `parametrize`: some always, the others where the whole table is asked for, by
    `scripts/test-slow`. Raises: AssertionError (one of `always` is no row).
    """
    every = list(rows)
    assert set(always) <= set(every), set(always) - set(every)
    return [
        pytest.param(
            *(row if isinstance(row, tuple) else (row,)),
            marks=() if row in always else pytest.mark.slow,
        )
        for row in every
    ]


def record_syncs(
    monkeypatch: pytest.MonkeyPatch, also: Callable[[], object] | None = None
) -> list[str]:
    """What is synchronised from now on, by its name, in order; `also`: called before each."""
    seen: list[str] = []

    def wrapped(real: Callable[[int], None]) -> Callable[[int], None]:
        def sync(descriptor: int) -> None:
            if also is not None:
                also()
            seen.append(os.readlink(f"/proc/self/fd/{descriptor}"))
            real(descriptor)

        return sync

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, wrapped(getattr(os, name)))
    return seen


class Gate:
    """Jobs that `read _ < path` wait here; each `open` lets so many of them go on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def open(self, jobs: int = 1) -> None:
        os.write(self._descriptor, b"\n" * jobs)

    def close(self) -> None:
        os.close(self._descriptor)


def free_port() -> int:
    """Of 127.0.0.1, that nobody listens at just now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def own(path: Path | str) -> File:
    """The file at a path, as the daemon reaches it."""
    return Directory(os.path.dirname(path)).file(os.path.basename(path))


def descriptors(pid: int | str = "self") -> dict[str, str]:
    """What this process, or another, has open: number and target of each."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[name] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue  # that of the directory itself
    return found


def processes_with(entry: str) -> dict[int, str]:
    """Other living processes whose environment has this `NAME=VALUE`: pid and what it runs."""
    found = {pid: environ for pid in _pids() if (environ := _read(pid, "environ"))}
    return {
        pid: f"{_command(pid)} {_test_of(environ)}".rstrip()
        for pid, environ in found.items()
        if pid != os.getpid() and entry in environ.split("\0")
    }


def connections_at(socket: str | Path) -> int:
    """How many clients are connected to a Unix socket: what is accepted bears its path."""
    path = os.fsencode(socket)
    return sum(1 for row in _connected_sockets() if row[7:] == [path])


def is_connected(pid: int) -> bool:
    """Whether a process is connected to anybody by a Unix socket of its own."""
    connected = {f"socket:[{row[6].decode()}]" for row in _connected_sockets()}
    return not connected.isdisjoint(descriptors(pid).values())


def _connected_sockets() -> list[list[bytes]]:
    """As the kernel's table (unix(7)) has those of all programs.

    Their paths are any bytes: one with a line's end makes a line that is no row.
    """
    rows = [row.split(None, 7) for row in Path("/proc/net/unix").read_bytes().splitlines()]
    return [row for row in rows if row[5:6] == [b"03"] and len(row) > 6]


def _command(pid: int) -> str:
    return _read(pid, "cmdline").replace("\0", " ").strip()


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return os.fsdecode(file.read())
    except OSError:
        return ""  # it has ended, or is another user's


def _test_of(environ: str) -> str:
    """The test that was running when the process was started."""
    name = "PYTEST_CURRENT_TEST="
    return next((f"[{e[len(name) :]}]" for e in environ.split("\0") if e.startswith(name)), "")
