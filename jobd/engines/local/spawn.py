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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from jobd.contract.directories import File
from jobd.contract.ownership import NotOurs, open_owned
from jobd.engines.base import CannotStart, Launch, NoResources
from jobd.system import linux, spawning

_DEFAULT_PATH: Final = b"/usr/local/bin:/usr/bin:/bin"
_PRIVATE: Final = 0o077
_FOLDER_TRIES: Final = 5
_own = threading.local()
T = TypeVar("T")


def has_own_directory() -> bool:
    """Whether this thread's directory and umask are its own; made so at the first call."""
    try:
        return bool(_own.yes)
    except AttributeError:
        _own.yes = linux.unshare_fs()
        return bool(_own.yes)


def find_program(name: bytes, environment: Mapping[bytes, bytes]) -> bytes:
    """As execvp(3) would find it in the job's own PATH; the directory is already the job's.

    Raises: CannotStart (not found, or not to be executed; of one that was named by its path the
    kernel says that).
    """
    if b"/" in name:
        # A dead file server holds this thread here, and not the others when it has its turn.
        _look(name)
        return name
    denied = False
    for directory in environment.get(b"PATH", _DEFAULT_PATH).split(b":"):
        path = os.path.join(directory or b".", name)
        if os.path.isfile(path):
            if os.access(path, os.X_OK):
                return path
            denied = True
    raise CannotStart(_about(name, "permission denied" if denied else "not found"))


def _refuse(path: bytes) -> None:
    """In words, what keeps it from being executed, if it is the file itself.

    Raises: CannotStart.
    """
    if stat.S_ISDIR(_look(path).st_mode):
        raise CannotStart(_about(path, "is a directory"))
    if not os.access(path, os.X_OK):
        raise CannotStart(_about(path, "permission denied"))


def _look(path: bytes) -> os.stat_result:
    """Raises: CannotStart."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        raise CannotStart(_about(path, "not found")) from None
    except OSError as error:
        raise CannotStart(_about(path, _reason(error))) from None


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


def leave() -> None:
    """Be done with the directory and the umask of a job: an idle worker must not keep a file system
    from being unmounted, and what it writes next is ours.
    """
    os.chdir("/")
    os.umask(_PRIVATE)


def open_output(file: File) -> int:
    """A descriptor that appends; private whatever the umask of the last job was here.

    Raises: OSError.
    """
    flags = os.O_WRONLY | os.O_APPEND
    if has_own_directory():
        os.umask(_PRIVATE)
    for _ in range(_FOLDER_TRIES):
        # The last job of its folder may be deleted just now, and the folder with it.
        with contextlib.suppress(FileNotFoundError):
            return file.make(flags)
    return file.make(flags)


def open_stdin(path: bytes) -> int:
    """A file to read from. A pipe is refused: nobody could stop a job that waits for its writer.

    Raises: CannotStart.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise CannotStart(f"stdin: {_about(path, _reason(error))}") from None
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
        os.close(descriptor)
        raise CannotStart(f"stdin: {_about(path, 'is no file')}")
    os.set_blocking(descriptor, True)
    return descriptor


class Program(NamedTuple):
    """A script that was written."""

    path: str
    written: os.stat_result

    def refuse_replaced(self) -> None:
        """It is executed by its path, since the interpreter in its first line opens it once more.

        Raises: CannotStart (the path leads elsewhere by now, or others can change the way).
        """
        try:
            found = open_owned(Path(self.path), os.O_PATH)
        except NotOurs as error:
            raise CannotStart(f"script: {error.message}") from error
        except OSError as error:
            raise CannotStart(f"script: {_reason(error)}") from error
        try:
            if not os.path.samestat(os.fstat(found), self.written):
                raise CannotStart(f"script: {self.path} was replaced")
        finally:
            os.close(found)


def write_program(file: File, content: bytes) -> Program:
    """Ours alone, to be executed. Raises: OSError."""
    with open(file.make(os.O_WRONLY | os.O_TRUNC, 0o700), "wb", buffering=0) as program:
        program.write(content)
        return Program(file.path, os.fstat(program.fileno()))


def in_own_thread(action: Callable[[], T]) -> T:
    """In a thread that ends with it: what it changes about itself, no other job inherits.

    Raises: NoResources (the machine gives no thread), and what `action` raises.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="nice") as pool:
        try:
            future = pool.submit(action)
        except RuntimeError as error:
            raise NoResources(f"no thread for it: {error}") from error
        return future.result()


def _be_nice(nice: int) -> None:
    """Of the calling thread (setpriority(2) on Linux) and what it spawns. Raises: CannotStart."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    except OSError as error:
        raise CannotStart(f"nice {nice}: {_reason(error)}") from None


Spawn = Callable[[], int]


def prepare(launch: Launch, script: bytes | None, stdin: int, output: int, mark: int) -> Spawn:
    """All that may block or fail early; the answer then does the spawn itself and gives the pid.

    `script`: where its script lies, if it has one. `mark`: as for `spawning.spawn`.

    Raises: CannotStart. The answer raises OSError and CannotStart.
    """
    if launch.nice:
        _be_nice(launch.nice)
    argv, environment = launch.argv, launch.environment
    if not has_own_directory():
        return lambda: _popen(launch, script, stdin, output, mark)
    enter(launch.cwd)
    os.umask(launch.umask)
    program = script or find_program(argv[0], environment)

    def spawn(program: bytes = program, argv: list[bytes] = argv) -> int:
        try:
            return spawning.spawn(program, argv, environment, stdin, output, mark)
        except OSError as error:
            _refuse(program)
            if error.errno == errno.ENOENT:
                # The program is there. What its first line names is not.
                raise CannotStart(_about(argv[0], "its interpreter was not found")) from None
            if error.errno != errno.ENOEXEC:
                raise
        # A script without a first line that names its interpreter, as execvp(3) does it.
        return spawn(b"/bin/sh", [b"/bin/sh", program, *argv[1:]])

    return spawn


def _popen(launch: Launch, script: bytes | None, stdin: int, output: int, mark: int) -> int:
    # Too early, but never too late.
    os.ftruncate(mark, 0)
    # The daemon's threads have signals blocked, and the job would inherit that. Not for longer
    # than it takes: a TERM for the daemon must find no thread that dies of it.
    before = signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        process = subprocess.Popen(
            launch.argv, executable=script, env=launch.environment, cwd=launch.cwd,
            umask=launch.umask, stdin=stdin, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    process.returncode = 0  # its status is ours to take, not Popen's
    return process.pid
