"""Room in the log that nobody else can take, for what must be saved on a full disk."""

import errno
import os
from contextlib import closing

import pytest

from jobd.contract.errors import StoreFailed
from jobd.store.database import Anchor, open_writer
from jobd.store.reserve import Reserve
from jobd.system import file_space


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobd.db"


@pytest.fixture
def log(path):
    return path.with_name("jobd.db-wal")


@pytest.fixture
def anchor(path):
    anchor = Anchor(path)
    yield anchor
    anchor.close()


@pytest.fixture
def writer(path, anchor):
    with closing(open_writer(path)) as connection:
        yield connection


@pytest.fixture
def make(path, anchor, writer):
    made = []

    def make():
        made.append(Reserve(path, anchor.descriptor, writer))
        return made[-1]

    yield make
    for reserve in made:
        reserve.close()


@pytest.fixture
def reserve(make):
    made = make()
    look(made)
    if not made._possible:
        pytest.skip("this file system allocates nothing ahead")
    return made


def look(reserve):
    reserve.look(os.fstat(reserve._database))


def allocated(path):
    return path.stat().st_blocks * 512


def write(writer, count):
    writer.execute("INSERT OR REPLACE INTO settings VALUES ('a', ?)", ("x" * count,))


def test_ahead_of_the_end_of_log_and_database_there_is_always_room(reserve, writer, path, log):
    for number in range(6):
        (pages,) = writer.execute("PRAGMA page_count").fetchone()
        assert allocated(log) >= log.stat().st_size + reserve.size
        assert allocated(path) >= pages * 4096 + reserve.size
        write(writer, number * reserve.size // 2)
        look(reserve)
    assert not reserve.in_use


def test_a_log_that_is_made_shorter_gets_its_reserve_again(reserve, writer, log):
    write(writer, reserve.size)
    look(reserve)
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert allocated(log) == 0
    look(reserve)
    assert allocated(log) >= reserve.size


def test_on_a_full_disk_it_is_in_use_until_there_is_space(reserve, writer, monkeypatch):
    allocate, asked = file_space.allocate, []

    def full(*where):
        asked.append(where)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(file_space, "allocate", full)
    for _ in range(4):
        look(reserve)  # there is more than must be
    assert not reserve.in_use
    assert not asked
    write(writer, reserve.size + 20_000)
    look(reserve)
    assert reserve.in_use
    assert reserve.trouble.startswith("no space left on the disk of the database: jobs are")
    with pytest.raises(StoreFailed, match=r"no space left.*Nothing was changed"):
        reserve.refuse()
    look(reserve)
    assert len(asked) > 1
    monkeypatch.setattr(file_space, "allocate", allocate)
    look(reserve)
    reserve.refuse()
    assert reserve.trouble is None


def test_where_nothing_can_be_allocated_all_is_as_without_it(make, monkeypatch):
    def cannot(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(file_space, "allocate", cannot)
    reserve = make()
    look(reserve)
    look(reserve)
    assert reserve.trouble is None


def test_what_a_killed_daemon_had_allocated_is_known(reserve, make, monkeypatch):
    monkeypatch.setattr(file_space, "allocate", lambda *_: pytest.fail("it is there"))
    after = make()
    look(after)
    assert not after.in_use
