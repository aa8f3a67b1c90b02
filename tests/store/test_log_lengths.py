"""A log of any length up to two frames, beside any index: what was confirmed is there, or told."""

import shutil
import sqlite3
import struct
import tempfile
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from jobd.contract.errors import StoreFailed
from jobd.contract.paths import Paths
from jobd.store.database import open_writer
from jobd.store.obstacles import StartConditions, obstacles, refuse
from jobd.store.readonly import open_untouched

SALT, HEADER = 24, 32
"""Bytes of a log up to the end of its salt, and of its header."""
PAGES = (512, 4096)
"""Bytes of a page: of small ones every length is tried, of the usual ones those that matter."""
KINDS = (
    "gone", "empty", "zeros", "cut", "half written", "of one frame", "of two frames",
    "of two frames that are in the database",
)  # fmt: skip


class Index(NamedTuple):
    """What lies there as `-shm`, and how many confirmed frames it vouches for."""

    content: bytes | None
    frames: int = 0


class Made(NamedTuple):
    home: Path
    frame: int
    log: bytes
    indexes: dict[str, Index]

    def lengths(self) -> list[int]:
        whole = len(self.log)
        if self.frame == 24 + PAGES[0]:
            return list(range(whole + 1))
        edges = (0, 24, HEADER, HEADER + 24, HEADER + self.frame, HEADER + self.frame + 24, whole)
        near = {edge + step for edge in edges for step in (-2, -1, 0, 1, 2)}
        return sorted(length for length in near | set(range(0, whole, 512)) if 0 <= length <= whole)

    def frames(self, length: int) -> int:
        """How many whole ones are in a log of this length."""
        return max(0, (length - HEADER) // self.frame)


@pytest.fixture(scope="module", params=PAGES)
def made(request):
    """A database, and the log of two transactions of a frame each that no checkpoint has seen."""
    home = Path(tempfile.mkdtemp(prefix="jl-", dir="/tmp"))
    home.chmod(0o700)
    database = home / "jobd.db"
    open_writer(database).close()  # its log becomes a part of it
    with closing(sqlite3.connect(database)) as other:
        other.executescript(f"""
            PRAGMA journal_mode = DELETE; PRAGMA page_size = {request.param}; VACUUM;
            PRAGMA journal_mode = WAL;
        """)
    kept = []
    with closing(open_writer(database)) as writer:
        for count in (1, 2):
            writer.execute(f"INSERT OR REPLACE INTO settings VALUES ('count', '{count}')")
            kept.append((home / "jobd.db-shm").read_bytes())
        shutil.copyfile(database, home / "whole.db")
        log = (home / "jobd.db-wal").read_bytes()
    assert len(log) == HEADER + 2 * (24 + request.param), "each transaction is one frame"
    shutil.copyfile(home / "whole.db", database)
    one, two = kept
    contents = (
        Index(None), Index(b""), Index(bytes(len(two))), Index(two[:99]),
        Index(two[:48] + one[48:]), Index(one, 1), Index(two, 2),
        Index(two[:96] + struct.pack("=I", 2) + two[100:]),
    )  # fmt: skip
    yield Made(home, 24 + request.param, log, dict(zip(KINDS, contents, strict=True)))
    shutil.rmtree(home)


def put(made: Made, length: int, index: Index) -> Paths:
    (made.home / "jobd.db-wal").write_bytes(made.log[:length])
    shm = made.home / "jobd.db-shm"
    shm.unlink(missing_ok=True)
    if index.content is not None:
        shm.write_bytes(index.content)
    return Paths(made.home, made.home / "config.toml")


def counted(paths: Paths, *, same_boot: bool) -> int | None:
    """How many transactions a daemon would find that starts there; None: it refuses."""
    found = list(obstacles(StartConditions(paths=paths, same_boot=same_boot, is_private=True)))
    if found:
        return None
    with open_untouched(paths.database, running=False) as connection:
        row = connection.execute("SELECT value FROM settings WHERE name = 'count'").fetchone()
    return int(row[0]) if row else 0


@pytest.mark.parametrize("same_boot", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_at_every_length_nothing_that_the_index_vouches_for_is_missing_silently(
    made, kind, same_boot
):
    """The rest is taken for what it holds, and keeps no daemon from starting."""
    index = made.indexes[kind]
    all_of_them = same_boot and kind in ("gone", "of two frames")
    for length in made.lengths()[:: 1 if all_of_them else 7]:
        paths, frames = put(made, length, index), made.frames(length)
        # After another boot the index of an earlier log may lie there: its salt tells.
        is_of_this_log = same_boot or length >= SALT
        expected = None if frames < index.frames and is_of_this_log else frames
        assert counted(paths, same_boot=same_boot) == expected, length


@pytest.mark.parametrize("kind", KINDS)
def test_a_writer_finds_what_was_found_without_touching_a_byte(made, kind):
    index, before = made.indexes[kind], (made.home / "whole.db").read_bytes()
    for length in made.lengths()[::11]:
        paths = put(made, length, index)
        found = counted(paths, same_boot=True)
        if found is None:
            with pytest.raises(StoreFailed, match="the end of its log is missing"):
                refuse(StartConditions(paths=paths, same_boot=True, is_private=True))
            continue
        with closing(open_writer(paths.database)) as writer:
            row = writer.execute("SELECT value FROM settings WHERE name = 'count'").fetchone()
            assert (int(row[0]) if row else 0) == found, length
            writer.execute("INSERT OR REPLACE INTO settings VALUES ('more', '1')")
        (made.home / "jobd.db").write_bytes(before)
