"""Where everything lies, and how to reach a socket whose path is too long for the kernel.

`JOBD_HOME=DIR` puts all of it under DIR; without it platformdirs says where state and config go.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from jobd.contract import peers
from jobd.contract.errors import BadRequest, JobdError, NotPermitted, NotRunning

HOME_VARIABLE: Final = "JOBD_HOME"
SOCKET_VARIABLE: Final = "JOBD_SOCKET"
LOCK_NAME: Final = "jobd.lock"
"""Held by the supervisor; lies beside the socket."""
JOB_VARIABLES: Final = (
    "JOBD_JOB_ID",
    "JOBD_ATTEMPT",
    "JOBD_GROUP",
    "JOBD_SLOT",
    "JOBD_ARRAY_INDEX",
    "JOBD_PROGRESS",
    "JOBD_RUN",
    "JOBD_SOCKET",
)
"""What a job finds in its environment and neither a daemon nor another job inherits."""
_SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 - a private directory is made in it
_SUN_PATH: Final = 107
"""Bytes of a Unix socket's path, without its final NUL (unix(7))."""
_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
"""Flags of open(2)."""


class Paths(Struct, frozen=True):
    """Every path of one instance."""

    state: Path
    config: Path
    ephemeral: bool = False
    """Jobs and history live in memory; only output goes to disk, apart from what is kept."""

    @property
    def socket(self) -> Path:
        return self.state / "jobd.sock"

    @property
    def database(self) -> Path:
        return (self.memory if self.ephemeral else self.state) / "jobd.db"

    @property
    def memory(self) -> Path:
        """A directory of the memory file system, so that a daemon that is killed loses nothing."""
        if not os.access(_SHARED_MEMORY, os.W_OK | os.X_OK):
            return self.data
        import hashlib  # OpenSSL comes with it, and most programs need no such name

        name = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:16]
        return Path(_SHARED_MEMORY) / f"jobd-{os.geteuid()}-{name}"

    @property
    def data(self) -> Path:
        return self.state / "ephemeral" if self.ephemeral else self.state

    @property
    def lock(self) -> Path:
        return self.socket.with_name(LOCK_NAME)

    @property
    def run_table(self) -> Path:
        return self.data / "running"

    @property
    def log(self) -> Path:
        return self.state / "jobd.log"

    @property
    def output(self) -> Path:
        return self.data / "output"

    @property
    def progress(self) -> Path:
        return self.data / "progress"

    @property
    def scripts(self) -> Path:
        """Copies of scripts, each for as long as its job runs."""
        return self.data / "scripts"

    def script_of(self, job: int, program: bytes) -> Path:
        """Named like the file that it was, since errors of the shell begin with it."""
        return self.scripts / f"{job}.{os.fsdecode(os.path.basename(program)[:100])}"

    def output_of(self, job: int, attempt: int) -> Path:
        return self.output / output_name(job, attempt)


def output_name(job: int, attempt: int) -> str:
    """Below `Paths.output`: a thousand jobs a folder, so that no folder grows without bound."""
    return f"{job // 1000}/{job}.{attempt}.log"


def locate(environ: Mapping[str, str] | None = None) -> Paths:
    """The paths of the instance that the environment names.

    Raises: BadRequest (it names none: there is no home directory, or one that is not absolute).
    """
    environ = os.environ if environ is None else environ
    home = environ.get(HOME_VARIABLE)
    if home:
        directory = absolute(Path(home), f"set {HOME_VARIABLE} to an absolute path")
        return Paths(directory, directory / "config.toml")
    import platformdirs

    try:
        state, config = platformdirs.user_state_path("jobd"), platformdirs.user_config_path("jobd")
    except (RuntimeError, KeyError):
        state = config = Path()
    if not (state.is_absolute() and config.is_absolute()):
        raise BadRequest(
            f"you have no home directory; set HOME, or {HOME_VARIABLE} to a directory for jobd"
        )
    return Paths(state, config / "config.toml")


def absolute(path: Path, instead: str) -> Path:
    """`instead`: what to do where a relative path leads nowhere.

    Raises: BadRequest (it is relative, and the current directory was deleted).
    """
    try:
        return Path(os.path.abspath(path))
    except OSError as error:
        raise BadRequest(f"{path}: the current directory is gone; {instead}") from error


def client_socket(environ: Mapping[str, str] | None = None) -> Path:
    """The socket that a client talks to: `JOBD_SOCKET` (set inside a job) before all else."""
    return named_socket(environ) or locate(environ).socket


def named_socket(environ: Mapping[str, str] | None = None) -> Path | None:
    """What `JOBD_SOCKET` says: perhaps the socket of somebody else."""
    named = (os.environ if environ is None else environ).get(SOCKET_VARIABLE)
    return Path(named) if named else None


def address_in(directory: int, name: str) -> str:
    """The address of a socket in a directory that is open: short, and its path may change."""
    return f"/proc/self/fd/{directory}/{name}"


@contextlib.contextmanager
def opened_directory(path: Path) -> Iterator[int]:
    """A descriptor to reach what lies in a directory, also where it may not be listed.

    Raises: OSError.
    """
    directory = os.open(path, _DIRECTORY)
    try:
        yield directory
    finally:
        os.close(directory)


class ShortAddress:
    """A context that gives an address for a socket however long its path is.

    Too long a path is reached through `/proc/self/fd/N/NAME`, N being its directory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._directory: int | None = None

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) <= _SUN_PATH:
            return str(self._path)
        self._directory = os.open(self._path.parent, _DIRECTORY)
        return address_in(self._directory, self._path.name)

    def __exit__(self, *_: object) -> None:
        if self._directory is not None:
            os.close(self._directory)


def connect(path: Path, *, owner: int | None = None) -> socket.socket:
    """A socket connected to a daemon of our own user, of root, or of `owner` (a user's number).

    Raises: NotRunning (nobody listens), NotPermitted (it cannot be reached, a stranger listens, or
    has made the way there; nothing was sent), JobdError (who listens takes no connection).
    """
    with connecting(path, "jobd is not running. Start it with: jobd start"):
        with ShortAddress(path) as address:
            sock = peers.connected(address)
        with closed_on_error(sock):
            peer = peers.peer_of(sock)
            peers.refuse_stranger(peer, path, owner)
            if peer.is_ours():
                peers.refuse_led(path)
    return sock


@contextlib.contextmanager
def connecting(path: Path, nobody: str) -> Iterator[None]:
    """What the kernel says of a connection to `path`, in words; `nobody`: that nobody listens.

    Raises: NotRunning, NotPermitted, JobdError.
    """
    try:
        yield
    except PermissionError as error:
        raise NotPermitted(f"not permitted to reach the daemon at {path}") from error
    except BlockingIOError as error:
        raise JobdError(
            f"who listens at {path} has taken no connection for {peers.CONNECT_WITHIN_S:.0f} s; "
            "if it is your daemon: jobd restart"
        ) from error
    except OSError as error:
        raise NotRunning(nobody) from error


@contextlib.contextmanager
def closed_on_error(sock: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        sock.close()
        raise


def identity(path: Path | str) -> tuple[int, int] | None:
    """Which file it is that a path leads to just now; None: none that can be seen."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_supervised(socket_path: Path) -> bool:
    """Whether somebody holds the lock beside a socket: if nobody answers there now, one will."""
    return is_locked(socket_path) is True


def is_locked(socket_path: Path) -> bool | None:
    """Whether somebody holds the lock beside a socket; None: no lock there tells us anything.

    Others may put into a directory of theirs what they like, to be opened or to be held: only in
    one of our own, and only of a file of ours or of root, is anything asked. Never blocks.
    """
    try:
        with opened_directory(socket_path.parent) as directory:
            if os.fstat(directory).st_uid != os.geteuid():
                return None
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            lock = os.open(LOCK_NAME, flags, dir_fd=directory)
        with open(lock, "rb") as file:
            found = os.fstat(lock)
            if not stat.S_ISREG(found.st_mode) or found.st_uid not in (0, os.geteuid()):
                return None
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False
