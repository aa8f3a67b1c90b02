"""Starting a program in a directory, with a umask and an environment, without holding others up.

The calling thread gets a working directory and umask of its own (CLONE_FS), changes into the
job's directory there, where a dead file server blocks this thread alone, and uses posix_spawn.
Where a sandbox forbids unshare(2), `Popen` does it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import subprocess
import threading
from collections.abc import Callable, Mapping
from typing import Final

from jobd import kernel
from jobd.engines.base import CannotStart

_DEFAULT_PATH: Final = b"/usr/local/bin:/usr/bin:/bin"
_PRIVATE: Final = 0o077
_FOLDER_TRIES: Final = 5
_own = threading.local()


def has_own_directory() -> bool:
    """Whether this thread's directory and umask are its own; made so at the first call."""
    if not hasattr(_own, "yes"):
        _own.yes = kernel.unshare_fs()
    return bool(_own.yes)


def find_program(name: bytes, environment: Mapping[bytes, bytes]) -> bytes:
    """As execvp(3) would find it in the job's own PATH; the directory is already the job's.

    Raises: CannotStart (not found, or not to be executed).
    """
    if b"/" in name:
        _check_executable(name)
        return name
    denied = False
    for directory in environment.get(b"PATH", _DEFAULT_PATH).split(b":"):
        path = os.path.join(directory or b".", name)
        if os.path.isfile(path):
            if os.access(path, os.X_OK):
                return path
            denied = True
    raise CannotStart(_about(name, "permission denied" if denied else "not found"))


def _check_executable(path: bytes) -> None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise CannotStart(_about(path, "not found")) from None
    except OSError as error:
        raise CannotStart(_about(path, _reason(error))) from None
    if stat.S_ISDIR(found.st_mode):
        raise CannotStart(_about(path, "is a directory"))
    if not os.access(path, os.X_OK):
        raise CannotStart(_about(path, "permission denied"))


def _about(name: bytes, what: str) -> str:
    return f"{name.decode('utf-8', 'replace')}: {what}"


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def enter(directory: bytes) -> None:
    """Raises: CannotStart (no such directory, or not permitted)."""
    try:
        os.chdir(directory)
    except OSError as error:
        raise CannotStart(_about(directory, f"directory: {_reason(error)}")) from None


def open_output(path: str) -> int:
    """A descriptor that appends; private whatever the umask of the last job was here.

    Raises: OSError.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    if has_own_directory():
        os.umask(_PRIVATE)
    for _ in range(_FOLDER_TRIES):
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, flags, 0o600)
        # The first job of its folder; or the last one of it was deleted just now.
        with contextlib.suppress(FileExistsError):
            os.makedirs(os.path.dirname(path), mode=0o700)
    return os.open(path, flags, 0o600)


Spawn = Callable[[], int]


def prepare(
    argv: list[bytes],
    environment: Mapping[bytes, bytes],
    cwd: bytes,
    umask: int,
    stdin: int,
    output: int,
) -> Spawn:
    """All that may block or fail early; the answer then does the spawn itself and gives the pid.

    Raises: CannotStart. The answer raises OSError.
    """
    if not has_own_directory():
        return lambda: _popen(argv, environment, cwd, umask, stdin, output)
    enter(cwd)
    os.umask(umask)
    program = find_program(argv[0], environment)

    def spawn(program: bytes = program, argv: list[bytes] = argv) -> int:
        try:
            return kernel.spawn(program, argv, environment, stdin, output)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
        # A script without a first line that names its interpreter, as execvp(3) does it.
        return spawn(b"/bin/sh", [b"/bin/sh", program, *argv[1:]])

    return spawn


def _popen(
    argv: list[bytes],
    environment: Mapping[bytes, bytes],
    cwd: bytes,
    umask: int,
    stdin: int,
    output: int,
) -> int:
    # The daemon's threads have signals blocked, and the job would inherit that.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    process = subprocess.Popen(
        argv, env=environment, cwd=cwd, umask=umask, stdin=stdin, stdout=output, stderr=output,
        start_new_session=True,
    )  # fmt: skip
    process.returncode = 0  # its status is ours to take, not Popen's
    return process.pid
