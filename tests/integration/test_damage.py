"""A damaged database is refused and left as it is; no acknowledged job is missing silently."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import pytest

from jobd.admin.check import check
from jobd.admin.restore import restore
from jobd.client import follow
from jobd.contract.errors import StoreFailed
from jobd.contract.models import List
from jobd.contract.paths import Paths
from jobd.store import damage, obstacles
from jobd.store.backup import backup
from jobd.store.inspection import Fault, Inspection
from jobd.store.readonly import open_untouched
from tests.helpers import wait_until
from tests.integration.inside import Inside

PAGE = 4096


def hashes(paths):
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(paths.state.glob("jobd.db*"))
    }


@pytest.fixture(scope="module")
def killed():
    """The state directory as a daemon leaves it that is killed: database, log and index."""
    base = Path(tempfile.mkdtemp(prefix="jd-", dir="/tmp"))
    daemon = Inside(base / "h", workers=1)
    try:
        submit_some(daemon, 40)
        assert daemon.sql("PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 0
        submit_some(daemon, 20)
        shutil.copytree(base / "h", base / "late", ignore=lambda *_: ["jobd.sock"])
    finally:
        daemon.close()
    yield base
    shutil.rmtree(base)


def submit_some(daemon, count):
    for _ in range(count):
        noise = os.urandom(1500).hex().encode()
        job = daemon.submit("true", environment={b"NOISE": noise})
    daemon.wait(job)


@pytest.fixture
def place(killed, home):
    """A copy of it, to be damaged."""
    shutil.copytree(killed / "late", home / "jobd")
    (home / "jobd").chmod(0o700)
    return Paths(home / "jobd", home / "jobd/config.toml")


def refused(paths):
    """The start is, and every byte is as it was; why."""
    said = refusal(paths)
    assert str(paths.database) in said
    return said


def refusal(paths):
    before = hashes(paths)
    with pytest.raises(StoreFailed) as caught:
        Inside(paths.state, workers=0)
    assert hashes(paths) == before
    said = caught.value.message
    assert "jobd check" in said
    _check_finds_it(paths, said)
    return said


def _check_finds_it(paths, said):
    """Whatever keeps a daemon from starting `jobd check` tells, too, in the same words."""
    told = [finding for finding in check(paths).findings if finding.kind == "database"]
    assert any(f.text in said and f.next_step[1:] in said for f in told), (said, told)


def started(paths):
    """The jobs that a daemon has which starts there, or None: it refuses, and changes nothing."""
    before, daemon = hashes(paths), None
    with suppress(StoreFailed):
        daemon = Inside(paths.state, workers=0)
    if daemon is None:
        assert hashes(paths) == before
        return None
    try:
        return sum(len(page.jobs) for page in follow.pages(daemon.client, List()))
    finally:
        daemon.close()


def opened(paths):
    """The same of the database alone: a daemon takes longer to start."""
    before, jobs = hashes(paths), None
    with suppress(StoreFailed):
        obstacles.refuse(obstacles.StartConditions(paths=paths, same_boot=True, is_private=True))
        with open_untouched(paths.database, running=False) as connection:
            jobs = Inspection(connection).jobs()
    assert hashes(paths) == before
    return jobs


def test_what_a_kill_leaves_is_whole(place):
    assert started(place) == 60


def test_what_a_kill_and_a_crash_of_the_machine_leave_is_whole(place):
    (place.state / "jobd.db-shm").unlink()
    place.run_table.unlink()
    (place.state / "jobd.boot").unlink()
    assert started(place) == 60


@pytest.mark.parametrize("size", [0, 1, 100, PAGE, 3 * PAGE])
def test_a_database_cut_off_is_refused(place, size):
    os.truncate(place.database, size)
    refused(place)


def test_one_that_is_none_is_refused(place):
    place.database.write_bytes(b"this is a letter to my aunt\n" * 500)
    refused(place)


@pytest.mark.parametrize("with_log", [True, False])
def test_a_database_that_is_gone_is_not_replaced_by_an_empty_one(place, with_log):
    place.database.unlink()
    if not with_log:
        (place.state / "jobd.db-wal").unlink()
        (place.state / "jobd.db-shm").unlink()
    assert "it is missing, and what belongs to it is there" in refused(place)
    assert not place.database.exists()


def test_cut_at_any_page_and_zeroed_anywhere_no_job_is_missing_silently(place):
    """Either the start is refused, or all 60 jobs are there."""
    whole = place.database.read_bytes()
    outcomes = {"refused": 0, "whole": 0}
    for at in range(0, len(whole), PAGE):
        for damaged in (whole[:at], whole[:at] + bytes(PAGE) + whole[at + PAGE :]):
            place.database.write_bytes(damaged)
            jobs = opened(place)
            assert jobs in (None, 60), (at, len(damaged))
            outcomes["whole" if jobs else "refused"] += 1
    assert outcomes["refused"] > len(whole) // PAGE


def log_sizes(source):
    size = os.path.getsize(source / "jobd.db-wal")
    return [0, 16, 32, *range(32, size, max(1, size // 20)), size - 1]


def test_a_log_that_was_cut_off_is_refused(killed, home):
    source = killed / "late"
    index = damage._index_of(source / "jobd.db")
    needed = 32 + index.frames * (24 + index.page)
    assert index.frames > index.copied
    for size in log_sizes(source):
        place = Paths(home / f"cut{size}", home / "config.toml")
        shutil.copytree(source, place.state)
        place.state.chmod(0o700)
        os.truncate(place.state / "jobd.db-wal", size)
        if size < needed:
            assert "the end of its log is missing" in refused(place), size
        else:
            assert started(place) == 60
        shutil.rmtree(place.state)


def test_a_database_of_another_host_or_a_newer_version_is_told_by_check_as_by_start(place):
    for statement, found in (
        ("UPDATE settings SET value = '0123 old' WHERE name = 'host'", "by another host, old"),
        ("PRAGMA user_version = 900", "schema 900 was written by a newer jobd"),
    ):
        with closing(sqlite3.connect(place.database)) as database, database:
            database.execute(statement)
        assert found in refusal(place)


def test_the_way_out_names_the_backups_that_lie_there(killed, place, home):
    assert "restore a backup, if you have one: jobd restore FILE" in obstacle(place).step
    for name in ("older.db", "my newest.db", "deleted.db"):
        backup(place.database, home / name, running=False, force=False)
    (home / "deleted.db").unlink()
    os.utime(home / "older.db", (1, 1))
    said = obstacle(place).step
    assert f"jobd restore '{home}/my newest.db'; older ones: {home}/older.db. Or begin" in said
    assert f"mkdir -m 700 {place.state}/jobd.damaged && mv {place.database} " in said
    assert "all jobs, the waiting ones, too, and the history are gone" in said


def obstacle(paths):
    """What is said of it once its log is cut by one byte."""
    log = paths.state / "jobd.db-wal"
    whole = log.read_bytes()
    index = damage._index_of(paths.database)
    os.truncate(log, 32 + index.frames * (24 + index.page) - 1)
    (found,) = check(paths).findings
    assert found.next_step[1:] in refused(paths)
    log.write_bytes(whole)
    return Fault(found.text, found.next_step)


def test_the_way_out_leads_out(place, home):
    """Both of it: typed as it stands, a daemon starts."""
    backup(place.database, home / "copy.db", running=False, force=False)
    os.truncate(place.database, PAGE)
    step = check(place).findings[0].next_step
    begin_anew = step.partition("begin anew: ")[2].partition(" && jobd start.")[0]
    with pytest.raises(StoreFailed):
        Inside(place.state, workers=0)
    subprocess.run(begin_anew, shell=True, check=True)
    assert started(place) == 0
    with closing(sqlite3.connect(place.database)) as database:
        database.execute("DELETE FROM jobs")
    os.truncate(place.database, PAGE)
    assert restore(place, home / "copy.db").jobs == 60
    assert started(place) == 60


def test_a_log_that_is_gone_or_zeroed_in_the_middle_is_refused(place):
    log = place.state / "jobd.db-wal"
    whole = log.read_bytes()
    log.unlink()
    assert "the end of its log is missing" in refused(place)
    log.write_bytes(whole[:8192] + bytes(4096) + whole[12288:])
    assert "the end of its log is missing" in refused(place)
    log.write_bytes(whole)
    assert started(place) == 60


@pytest.fixture(scope="module")
def stopped(killed):
    """The state directory that was left in order, and beside it a log of its own database."""
    place = killed / "stopped"
    shutil.copytree(killed / "late", place)
    place.chmod(0o700)
    daemon = Inside(place, workers=0)
    daemon.submit("true")
    log = (place / "jobd.db-wal").read_bytes()
    daemon.close()
    assert not (place / "jobd.db-wal").exists()
    return place, log


def short_logs(log):
    """What may lie there of a log of which not one frame is whole."""
    for length in [*range(33), 33, 40, 32 + 24, 32 + 24 + PAGE // 2, 32 + 24 + PAGE - 1]:
        yield f"cut at {length}", log[:length]
    for length in [1, 31, 32, 33, 32 + 24 + PAGE, 32 + 10 * (24 + PAGE), 5_000_000]:
        yield f"{length} zeros", bytes(length)
    for place in range(32):
        wrong = bytes([*log[:place], log[place] ^ 0x10, *log[place + 1 : 32]])
        yield f"byte {place} of the header is wrong", wrong
        yield f"byte {place} is wrong, and no frame was written", wrong + bytes(24 + PAGE)


def test_a_log_that_holds_no_frame_keeps_nothing_from_starting(stopped, home):
    """A daemon that is killed between its first two writes leaves no more than the header."""
    source, log = stopped
    for what, content in short_logs(log):
        place = Paths(home / "jobd", home / "jobd/config.toml")
        shutil.copytree(source, place.state)
        place.state.chmod(0o700)
        place.state.joinpath("jobd.db-wal").write_bytes(content)
        place.state.joinpath("jobd.db-wal").chmod(0o600)
        assert opened(place) == 61, what
        assert check(place).findings == [], what
        shutil.rmtree(place.state)


@pytest.mark.parametrize("length", [0, 31, 32, 33])
@pytest.mark.parametrize("zeroed", [False, True])
def test_a_daemon_starts_beside_a_log_that_holds_no_frame(stopped, home, length, zeroed):
    source, log = stopped
    place = Paths(home / "jobd", home / "jobd/config.toml")
    shutil.copytree(source, place.state)
    place.state.chmod(0o700)
    content = bytes(4 * PAGE) if zeroed else log
    (place.state / "jobd.db-wal").write_bytes(content[:length] if length < 33 else content[:PAGE])
    assert started(place) == 61
    assert check(place).findings == []


@pytest.mark.parametrize("index", ["as it was", "gone", "of nothing"])
def test_a_log_whose_header_is_damaged_is_refused_where_frames_follow(place, index):
    """SQLite would pass over all of them: start and check say so, and nothing is changed."""
    log, whole = place.state / "jobd.db-wal", (place.state / "jobd.db-wal").read_bytes()
    if index == "gone":
        (place.state / "jobd.db-shm").unlink()
    elif index == "of nothing":
        os.truncate(place.state / "jobd.db-shm", 0)
    for at in range(32):
        log.write_bytes(bytes([*whole[:at], whole[at] ^ 0x10, *whole[at + 1 :]]))
        refused(place)
    log.write_bytes(bytes(32) + whole[32:])
    refused(place)
    log.write_bytes(whole)
    assert started(place) == 60


def test_a_large_database_is_looked_through_after_the_start(place, monkeypatch):
    monkeypatch.setattr(damage, "_AT_ONCE", 1000)
    assert started(place) == 60
    monkeypatch.setattr(
        "jobd.daemon.sweep.faults_meanwhile", lambda path: ["Tree 7 page 9:\nnot so good"]
    )
    daemon = Inside(place.state, workers=0)
    try:
        daemon.daemon.built.sweep.look_through()
        said = daemon.client.status().error
    finally:
        daemon.close()
    assert said == "the database is damaged (Tree 7 page 9: not so good): jobd check"


def test_looking_through_a_large_database_keeps_its_locks(place, monkeypatch):
    """Closing any descriptor of a file gives up all of a process's locks on it (fcntl(2))."""
    monkeypatch.setattr(damage, "_AT_ONCE", 1000)
    daemon = Inside(place.state, workers=0)
    try:
        wait_until(lambda: _locks_on(daemon.paths.database))
        before = _locks_on(daemon.paths.database)
        daemon.daemon.built.sweep.look_through()
        assert _locks_on(daemon.paths.database) == before
        assert daemon.client.status().error is None
    finally:
        daemon.close()


def _locks_on(path):
    """SQLite's own, of all connections of this process."""
    inode = f":{path.stat().st_ino}"
    lines = Path("/proc/locks").read_text().splitlines()
    mine = [line.split()[1:] for line in lines if f" {os.getpid()} " in line and inode in line]
    return [words for words in mine if words[0] == "POSIX"]
