"""Opening the database: pragmas, the schema's version, and what is refused."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing, suppress
from importlib import resources
from pathlib import Path
from typing import Final

from jobd.contract.errors import StoreFailed, StoreGone
from jobd.contract.paths import identity
from jobd.store.command_lines import command_of

_BUSY_MS: Final = 5000
"""How long to wait for another program that holds the database, in milliseconds."""
SEE_CHECK: Final = "Nothing was changed; see what is wrong with it: jobd check"
_SAVES: Final = 6
"""Tries to bring the log into the database, each as long as `_BUSY_MS`."""
_WAL_FRAMES: Final = 3500
"""After so many the log is brought into the database. With what is reserved behind it (`reserve`)
that makes fewer than 4062: the first piece of its index has room for so many, and on a full disk
there is no other.
"""
_WAL_BYTES: Final = 16 * 1024 * 1024
"""What the write-ahead log keeps of the disk once it has been copied into the database."""


def open_writer(path: Path, *, durable: bool = True) -> sqlite3.Connection:
    """The one connection that writes; brings the schema up to date.

    Raises: StoreFailed (unreadable, damaged, or written by a newer version), OSError.
    """
    try:
        create(path)
        if durable:
            _sync_log(path)
        connection = connect(path, "rw")
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    try:
        _prepare(connection, path, durable=durable)
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error):
            raise unreadable(path, error) from error
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, *, durable: bool) -> None:
    """Raises: StoreFailed, sqlite3.Error."""
    # Before anything is written: a database of a newer version stays as it is.
    _refuse_newer(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_FRAMES}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    connection.execute("PRAGMA cache_size = -8192")
    _migrate(connection)


def create(path: Path) -> None:
    """A new database, where there is none. Raises: OSError, sqlite3.Error.

    Under its name it is whole or not there: an empty file is never taken for a new database.
    """
    if path.exists():
        return
    made = path.with_name(f"{path.name}.new")
    made.unlink(missing_ok=True)
    os.close(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    with closing(connect(made, "rw")) as connection:
        # Counts for a new database alone, and only before anything else is written to it.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _migrate(connection)
    os.replace(made, path)
    # A log whose database is missing would be taken for what is left of one that was deleted.
    sync(path.parent)


def _sync_log(path: Path) -> None:
    """A daemon that was killed may have left frames in it that are not on the disk yet. The first
    connection notes them in the index as confirmed, and a power cut could keep the note alone.
    """
    with suppress(FileNotFoundError):
        sync(Path(f"{path}-wal"))


def sync(path: Path) -> None:
    """Bring a file, or the names in a directory, to the disk. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Anchor:
    """Holds the database for one daemon, and knows whether it is still what its path leads to.

    The lock of an instance is a file that somebody may delete: a second daemon would then run jobs
    twice. And what is written into a deleted database seems to be saved, and is gone with the
    daemon.
    """

    def __init__(self, path: Path) -> None:
        """Before the first connection is made; a database that is not there is made.

        Raises: StoreFailed (another daemon has it), OSError.
        """
        self._path = path
        self._beside: dict[str, tuple[int, int] | None] = {}
        try:
            create(path)
        except sqlite3.Error as error:
            raise unreadable(path, error) from error
        # Never closed while a connection is open: SQLite's own locks would go with it (fcntl(2)).
        self.descriptor: Final = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._opened: Final = os.fstat(self.descriptor)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self.descriptor)
            raise StoreFailed(
                f"another jobd has the database {path} open{_holder(path)}, though its lock was "
                "deleted. End that one first; nothing was changed"
            ) from None
        except OSError:
            # A file system without such locks.
            return

    def check(self) -> os.stat_result:
        """Gives what the database is like now. Raises: StoreGone."""
        found = self._found()
        if found is None:
            raise StoreGone(f"the database {self._path} was deleted or moved while the daemon runs")
        return found

    def holds(self) -> bool:
        """It is what its path leads to."""
        return self._found() is not None

    def _found(self) -> os.stat_result | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found if os.path.samestat(found, self._opened) else None

    def opened(self) -> None:
        """The writer has opened the database: from now on its log and index are those of now."""
        self._beside = {path: identity(path) for path in self._logs()}

    def has_log(self) -> bool:
        """Log and index are still those that the writer has open.

        Whoever opens the database anew, as readers do, makes new ones in the place of deleted ones.
        """
        return all(identity(path) == found for path, found in self._beside.items())

    def _logs(self) -> list[str]:
        return [f"{self._path}{suffix}" for suffix in ("-wal", "-shm")]

    def is_deleted(self) -> bool:
        """It has no name any more, and so cannot come back."""
        return os.fstat(self.descriptor).st_nlink == 0

    def close(self) -> None:
        """After the last connection."""
        os.close(self.descriptor)


def save_log(connection: sqlite3.Connection) -> None:
    """Bring all that is in the log into the database, for when the log itself is deleted.

    Waits for readers. Raises: StoreFailed (they kept it from that).
    """
    try:
        for _ in range(_SAVES):
            busy, frames, saved = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
            if not busy and frames == saved:
                return
    except sqlite3.Error as error:
        raise StoreFailed(f"the log of the database could not be saved: {error}") from error
    raise StoreFailed("the log of the database could not be saved: somebody reads it without end")


def _holder(path: Path) -> str:
    """Its pid, by proc_locks(5), where that says it."""
    try:
        inode = os.stat(path).st_ino
        with open("/proc/locks", encoding="ascii") as file:
            for line in file:
                words = line.split()
                if words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
                    return f" (pid {words[4]})"
    except (OSError, IndexError):
        pass
    return ""


def open_reader(path: Path) -> sqlite3.Connection:
    connection = connect(path, "ro")
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA cache_size = -2048")
    except BaseException:
        connection.close()
        raise
    return connection


def checkpoint(path: Path) -> None:
    """Bring what is in the write-ahead log into the database, as far as nobody has to wait for it.

    Raises: StoreFailed.
    """
    try:
        connection = connect(path, "rw")
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: sqlite3.Error) -> StoreFailed:
    return StoreFailed(f"the database {path} cannot be used: {error}. {SEE_CHECK}")


def is_full(error: Exception) -> bool:
    """Whether there was no space left."""
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_FULL")


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """`mode` as in sqlite.org/uri.html, other parameters behind it. Raises: sqlite3.Error."""
    # The path is quoted as a URI, so that '?' and '#' in a directory's name stay what they are; and
    # of no host, which the first name of a path with two slashes before it would be.
    host = "//" if path.is_absolute() else ""
    uri = f"file:{host}{_quoted(path)}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        connection.create_function("command_of", 1, command_of, deterministic=True)
    except BaseException:
        connection.close()
        raise
    return connection


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(os.fsencode(path))


def _scripts() -> list[tuple[int, str]]:
    """The numbered scripts with their numbers, in order."""
    folder = resources.files("jobd.store") / "schema"
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return sorted((int(entry.name[:3]), entry.read_text("utf-8")) for entry in found)


def known_version() -> int:
    """The schema that this code reads and writes."""
    return _scripts()[-1][0]


def version_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _refuse_newer(connection: sqlite3.Connection, path: Path) -> None:
    known, found = known_version(), version_of(connection)
    if found > known:
        raise StoreFailed(
            f"the database {path} has schema {found}, written by a newer jobd; this one knows "
            f"schema {known}. Install the newer version again; nothing was changed"
        )


def _migrate(connection: sqlite3.Connection) -> None:
    current = version_of(connection)
    for number, script in _scripts():
        if number > current:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
