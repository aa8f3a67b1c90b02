"""What Linux is asked that Python's library does not offer. Standard library only.

Used by the supervisor too, which imports nothing else of this project.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import stat
import struct
import sys
import time
from typing import Final, NamedTuple

_libc: Final = ctypes.CDLL(None, use_errno=True)
_PR_SET_CHILD_SUBREAPER: Final = 36
_CLONE_FS: Final = 0x00000200
_P_PID: Final = 1
_CLD_EXITED: Final = 1
_SYS_WAITID: Final = {
    "x86_64": 247, "aarch64": 95, "riscv64": 95, "ppc64le": 272, "s390x": 281, "loongarch64": 95,
}.get(platform.machine())  # fmt: skip
_RAW_WAITID: Final = _SYS_WAITID is not None and sys.maxsize > 2**32
_PIDFD_GET_INFO: Final = (3 << 30) | (64 << 16) | (0xFF << 8) | 11
"""_IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info) of <linux/pidfd.h>, first version."""
_PIDFD_INFO_EXIT: Final = 1 << 3
_MFD_CLOEXEC: Final = 0x01
_MFD_NOEXEC_SEAL: Final = 0x08
"""Of <linux/memfd.h>."""
SHORTAGES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors that say nothing of what was asked, but that nothing can be asked just now."""
TICKS: Final = os.sysconf("SC_CLK_TCK")
"""Clock ticks in a second, the unit of a process's start time in /proc/PID/stat."""


_Info: Final = ctypes.c_char * 128
"""siginfo_t of <signal.h>."""
_ENDED: Final = struct.Struct("8xi4xi4xi")
"""Of it: how a child has ended, which one, and its status."""
_Usage: Final = ctypes.c_char * 288
"""More than struct rusage of <sys/resource.h>."""
_USED: Final = struct.Struct("5l")
"""Of it: user time and system time, each in seconds and microseconds, and the peak of memory."""


class Exit(NamedTuple):
    """How a process ended; plain numbers, so that it travels as JSON."""

    pid: int
    exit_code: int | None
    signal: int | None
    cpu_s: float | None
    max_rss_kb: int | None


class Stat(NamedTuple):
    """The fields of proc_pid_stat(5) that tell who a process is."""

    pid: int
    state: str
    ppid: int
    pgrp: int
    session: int
    start: int
    """Ticks from boot to its start."""


def set_child_subreaper() -> None:
    """prctl(2): orphans below us become our children. Survives exec, is not inherited."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def unshare_fs() -> bool:
    """unshare(2): give this thread a working directory and a umask of its own.

    False where a sandbox forbids it.
    """
    return bool(_libc.unshare(_CLONE_FS) == 0)


def look(pid: int, *, block: bool) -> Exit | None:
    """How a child of ours ended, leaving it in the kernel (waitid(2) with WNOWAIT).

    None: it still runs (only without `block`). Raises: ChildProcessError (no child of ours).
    """
    flags = os.WEXITED | os.WNOWAIT | (0 if block else os.WNOHANG)
    if not _RAW_WAITID:
        found = os.waitid(os.P_PID, pid, flags)
        return None if found is None else _exit(pid, found.si_code, found.si_status, None)
    info, usage = _Info(), _Usage()
    while _libc.syscall(_SYS_WAITID, _P_PID, pid, info, flags, usage) != 0:
        code = ctypes.get_errno()
        if code != errno.EINTR:
            raise ChildProcessError(code, os.strerror(code))
    how, found_pid, status = _ENDED.unpack_from(info)
    return _exit(pid, how, status, _USED.unpack_from(usage)) if found_pid else None


def _exit(pid: int, how: int, status: int, usage: tuple[int, ...] | None) -> Exit:
    cpu = rss = None
    if usage is not None:
        cpu = usage[0] + usage[2] + (usage[1] + usage[3]) / 1e6
        rss = usage[4]
    exited = how == _CLD_EXITED
    return Exit(pid, status if exited else None, None if exited else status, cpu, rss)


def reap(pid: int) -> None:
    """Let the kernel forget a child that has ended."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def exit_of(pidfd: int) -> Exit | None:
    """How a process ended that is not our child (ioctl PIDFD_GET_INFO, Linux 6.15).

    None where the kernel does not tell.
    """
    buffer = bytearray(64)
    struct.pack_into("Q", buffer, 0, _PIDFD_INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, buffer)
    except OSError:
        return None
    (mask,) = struct.unpack_from("Q", buffer, 0)
    (pid,) = struct.unpack_from("I", buffer, 16)
    (status,) = struct.unpack_from("i", buffer, 60)
    if not mask & _PIDFD_INFO_EXIT:
        return None
    if os.WIFSIGNALED(status):
        return Exit(pid, None, os.WTERMSIG(status), None, None)
    return Exit(pid, os.WEXITSTATUS(status), None, None, None)


def sync_file_system(descriptor: int) -> None:
    """syncfs(2): all that was written to the file system of this file is on the disk.

    Raises: OSError (also of what others have written there, Linux 5.8).
    """
    checked(_libc.syncfs(descriptor))


def memory_file(name: bytes, content: bytes) -> int:
    """memfd_create(2): a descriptor (close-on-exec) of a file without a path.

    Not one that could be executed: some machines allow no other (`vm.memfd_noexec`).

    Raises: OSError.
    """
    descriptor = _libc.memfd_create(name, _MFD_CLOEXEC | _MFD_NOEXEC_SEAL)
    if descriptor < 0 and ctypes.get_errno() == errno.EINVAL:
        descriptor = _libc.memfd_create(name, _MFD_CLOEXEC)  # before Linux 6.3
    checked(descriptor)
    try:
        while content:
            content = content[os.write(descriptor, content) :]
    except OSError:
        os.close(descriptor)
        raise
    return int(descriptor)


def nice_session(pid: int, nice: int) -> None:
    """Where sessions compete as wholes (sched(7), the autogroup feature), also its session's.

    The niceness of a process then counts inside its session alone. As far as the kernel lets us:
    it takes only some ten of these a second.
    """
    try:
        with open(f"/proc/{pid}/autogroup", "wb", buffering=0) as file:
            file.write(b"%d" % nice)
    except OSError:
        return


def stat_of(pid: int) -> Stat | None:
    """None: there is no such process, or none that we may see.

    Raises: OSError (no descriptor or memory is left to look with: it may well live).
    """
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            text = file.read(1024)
    except OSError as error:
        if error.errno in SHORTAGES:
            raise
        return None
    # The name stands in parentheses and may itself hold parentheses and spaces.
    fields = text[text.rfind(b")") + 2 :].split()
    if len(fields) < 20:
        return None
    state = fields[0].decode()
    if state == "Z" and int(fields[17]) > 1:
        state = "S"  # only its first thread has ended, the others live on
    return Stat(pid, state, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def ticks() -> int:
    """Now, in the unit and on the clock of a process's start time (proc_pid_stat(5))."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * TICKS)


def age_of(pid: int) -> float | None:
    """Seconds since its start, whatever the wall clock did meanwhile; None: it is gone."""
    stat = stat_of(pid)
    return None if stat is None else time.clock_gettime(time.CLOCK_BOOTTIME) - stat.start / TICKS


def processes() -> list[Stat]:
    """All there are, as far as they can be seen."""
    found = (stat_of(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [stat for stat in found if stat is not None]


def children_of(pid: int) -> list[Stat]:
    """Also those that have ended and are not reaped."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb", buffering=0) as file:
            pids = [int(child) for child in file.readall().split()]
    except (OSError, AttributeError):
        return [stat for stat in processes() if stat.ppid == pid]
    found = (stat_of(child) for child in pids)
    return [stat for stat in found if stat is not None]


def open_lock(path: str | os.PathLike[str]) -> int:
    """The file of a lock, made if it is not there (0600). A link in its place is not followed.

    Raises: OSError (also where it is no file, or another user's, who could hold it for ever).
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        os.close(descriptor)
        raise PermissionError(errno.EPERM, "is not a file of yours", os.fspath(path))
    return descriptor


def boot_id() -> str:
    """Another one after each boot of the machine (random(4))."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def checked(result: int) -> int:
    """What a function of the C library gave. Raises: OSError (it failed, and errno says why)."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
