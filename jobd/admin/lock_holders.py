"""Who holds the lock of an instance: asked of the kernel, never of a pid that a file names.

The lock belongs to an open file that supervisor and daemon share, so whoever has that file open
and locked is one of the two (proc_pid_fdinfo(5)). Only processes that are wholly ours count, since
what is found is signalled, and what it was started with is started again: all of their user ids
are our own, so neither another user's processes do nor a program that runs with our rights for
another (credentials(7)). Each is looked at through one descriptor of its directory in /proc, and
signalled through a pidfd: a pid that is used anew is never hit.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from jobd.contract.ownership import login
from jobd.system import handover

_SUPERVISOR: Final = b"jobd.supervisor"
_PROGRAMS: Final = (_SUPERVISOR, b"jobd.daemon")
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class Holder(NamedTuple):
    """One of the processes of a running instance of ours."""

    pid: int
    parent: int
    supervises: bool
    halted: bool
    """SIGSTOP, or a debugger's doing."""
    plan: handover.Plan
    """What a daemon was started with; nothing of a supervisor."""
    pidfd: int

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def kill(self, patience: float) -> bool:
        """KILL; whether it has ended within so many seconds."""
        self.send(signal.SIGKILL)
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(int(patience * 1000)))


@contextmanager
def holders(lock: Path) -> Iterator[list[Holder]]:
    """Those of ours, parents first."""
    with ExitStack() as stack:
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            # A process may have ended meanwhile, or is not ours to look into.
            with contextlib.suppress(OSError, ValueError):
                holder = _holder(int(name), lock)
                if holder is not None:
                    stack.callback(os.close, holder.pidfd)
                    found.append(holder)
        pids = {holder.pid for holder in found}
        yield sorted(found, key=lambda holder: holder.parent in pids)


def held_by_others(lock: Path) -> str:
    """What is said of a lock that no process of ours holds: nothing is done to whoever does."""
    who = _stranger(lock)
    if who is None:
        return (
            "somebody who cannot be seen from here (another container, another user?) holds "
            f"{lock} and does not answer; see: jobd log"
        )
    return (
        f"{who} holds {lock}, and is no jobd of yours. It is left alone; once it has ended: "
        "jobd start"
    )


def _stranger(lock: Path) -> str | None:
    """As far as the kernel tells (proc_locks(5)): who has locked the file, and may since have
    handed it on and be gone.
    """
    with contextlib.suppress(OSError):
        found = os.stat(lock, follow_symlinks=False)
        device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
        for line in Path("/proc/locks").read_text("ascii").splitlines():
            _, kind, *_, pid, file, _, _ = line.split()
            if kind == "FLOCK" and file == f"{device}:{found.st_ino}":
                return f"process {pid} of user {login(os.stat(f'/proc/{pid}').st_uid)}"
    return None


def _holder(pid: int, lock: Path) -> Holder | None:
    """Raises: OSError, ValueError (it cannot be told whether it is one)."""
    with ExitStack() as stack:
        process = os.open(f"/proc/{pid}", _DIRECTORY)
        stack.callback(os.close, process)
        if os.fstat(process).st_uid != os.geteuid():
            return None  # most of them: no need to look closer
        pidfd = os.pidfd_open(pid)
        shut = stack.enter_context(ExitStack())
        shut.callback(os.close, pidfd)
        # From here on: if the directory still tells anything, the pid was not another's meanwhile.
        program, word = _program(process)
        if program is None or not _holds(process, lock):
            return None
        status = _status(process)
        if {int(number) for number in status[b"Uid"].split()} != {os.geteuid()}:
            return None
        supervises = program == _SUPERVISOR
        plan = {} if supervises else _plan(process, word)
        halted = status[b"State"][:1] in (b"T", b"t")
        shut.pop_all()
        return Holder(pid, int(status[b"PPid"]), supervises, halted, plan, pidfd)


def _program(process: int) -> tuple[bytes | None, bytes]:
    """Which of the two it is, and the argument that leads to its plan."""
    words = _read(process, "cmdline").split(b"\0")
    for option, program, word in zip(words, words[1:], words[2:], strict=False):
        if option == b"-m" and program in _PROGRAMS:
            return program, word
    return None, b""


def _plan(process: int, word: bytes) -> handover.Plan:
    descriptor = handover.descriptor_in(os.fsdecode(word))
    return handover.parse(word if descriptor is None else _read(process, f"fd/{descriptor}"))


def _status(process: int) -> dict[bytes, bytes]:
    """The fields of proc_pid_status(5)."""
    pairs = (line.partition(b":\t") for line in _read(process, "status").splitlines())
    return {name: value for name, _, value in pairs}


def _holds(process: int, lock: Path) -> bool:
    wanted = os.stat(lock, follow_symlinks=False)
    descriptors = os.open("fd", _DIRECTORY, dir_fd=process)
    try:
        for name in os.listdir(descriptors):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                if os.path.samestat(os.stat(name, dir_fd=descriptors), wanted):
                    locks = _read(process, f"fdinfo/{name}")
                    return b"FLOCK" in locks and b"WRITE" in locks
    finally:
        os.close(descriptors)
    return False


def _read(process: int, name: str) -> bytes:
    """A file of the directory in /proc. Raises: OSError."""
    with open(os.open(name, _FILE, dir_fd=process), "rb") as file:
        return file.read()
