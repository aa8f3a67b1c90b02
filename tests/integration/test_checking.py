"""`jobd check` finds what is wrong and writes nothing; `jobd backup` copies whole or not at all."""

import fcntl
import hashlib
import os
import re
import shutil
import sqlite3
import stat
import threading
from contextlib import closing, contextmanager

import pytest

from jobd.admin.check import check
from jobd.admin.restore import restore
from jobd.contract import config_file
from jobd.contract.errors import JobdError, StoreFailed
from jobd.contract.ownership import NotOurs
from jobd.contract.paths import output_name
from jobd.contract.states import State
from jobd.engines.slurm.notes import instance_of
from jobd.store.backup import backup
from jobd.store.inspection import QUESTIONS
from tests.helpers import record_syncs, wait_until
from tests.integration.inside import Inside, ids


def texts(report):
    return [finding.text for finding in report.findings]


def hashes(paths):
    """Every file of the database, by its content."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in paths.database.parent.glob("jobd.db*")
    }


@pytest.fixture(autouse=True)
def private():
    """As the process of a daemon has it."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def stopped(make):
    """Its paths, and a function that changes the database behind the daemon's back."""
    daemon = make(workers=1)
    job = daemon.submit("echo one", "echo two; exit 3", "echo three")
    daemon.wait(job, job + 1, job + 2)
    daemon.close()

    def change(*statements):
        with closing(sqlite3.connect(daemon.paths.database)) as database, database:
            for statement in statements:
                database.execute(statement)

    return daemon.paths, change


def test_a_clean_end_leaves_one_file_and_nothing_to_find(stopped):
    paths, _ = stopped
    assert [file.name for file in paths.database.parent.glob("jobd.db*")] == ["jobd.db"]
    before = hashes(paths)
    report = check(paths)
    assert (report.findings, report.notes) == ([], [])
    assert (report.jobs, report.outputs, report.running) == (3, 3, False)
    assert hashes(paths) == before


def test_every_question_is_one_that_sqlite_understands(stopped):
    paths, _ = stopped
    with closing(sqlite3.connect(paths.database)) as database:
        for question in QUESTIONS:
            assert database.execute(question.sql).fetchall() == [], question.text


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE jobs SET state = 'sleeping' WHERE id = 1", "'sleeping', which does not exist"),
        (
            "UPDATE jobs SET state = 'running', finished_at = NULL WHERE id = 1",
            "job 1 runs, and its attempt 1 does not",
        ),
        ("UPDATE attempts SET state = 'running' WHERE job = 2", "of job 2 runs, and the job"),
        ("UPDATE jobs SET state = 'completed' WHERE id = 2", "job 2 is completed, and its"),
        (("INSERT INTO attempts (job, attempt, token, slot, host, state, started_at)"
         " VALUES (9, 1, 'x', 1, 'h', 'failed', 1)"), "attempt 1 belongs to job 9"),
        ("DELETE FROM attempts WHERE job = 3", "job 3 counts 1 attempts, and 0 are on record"),
        ("UPDATE jobs SET finished_at = NULL WHERE id = 1", "job 1 is completed, and the time"),
        (
            ("UPDATE jobs SET state = 'pending', reason = 'dependency', finished_at = NULL"
            " WHERE id = 1"), "job 1 is pending (dependency), and it should be: queued",
        ),
        (
            ("UPDATE jobs SET state = 'pending', reason = 'dependency', finished_at = NULL,"
            " unmet = 2 WHERE id = 1"), "jobs that job 1 waits for, 2 by its own",
        ),
        ("INSERT INTO dependencies VALUES (77, 1, 0, 0)", "what job 77 waits for is on record"),
        ("UPDATE jobs SET environment = 99 WHERE id = 1", "the environment of job 1 is missing"),
        ("UPDATE environments SET uses = 8", "environment 1, 8 by its own count, 3 on record"),
        ("UPDATE environments SET content = x'00'", "environment 1 is damaged; the first job"),
        ("UPDATE jobs SET array = 5 WHERE id = 2", "the command of array 5, that job 2 is of"),
        ("INSERT INTO arrays VALUES (50, 59, x'00', 10)", "jobs of array 50, 10 by its own"),
        ("INSERT INTO arrays VALUES (50, 59, x'00', 10)", "the command of array 50 is damaged"),
        ("UPDATE jobs SET spec = x'c1' WHERE id = 3", "the record of job 3 is damaged"),
        ("UPDATE sqlite_sequence SET seq = 2 WHERE name = 'jobs'", "the highest id that was given"),
        ("PRAGMA user_version = 900", "schema 900 was written by a newer jobd"),
        ("PRAGMA user_version = 0", "it is empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_true_is_found_and_left_as_it_is(stopped, statement, found):
    paths, change = stopped
    change("PRAGMA foreign_keys = OFF", statement)
    before = hashes(paths)
    report = check(paths)
    assert any(found in text for text in texts(report)), texts(report)
    assert all(finding.next_step for finding in report.findings)
    assert hashes(paths) == before


def test_a_job_that_would_wait_for_ever_is_found(make):
    daemon = make(workers=0)
    job = daemon.submit("true", "true")
    daemon.close()
    with closing(sqlite3.connect(daemon.paths.database)) as database, database:
        database.execute("INSERT INTO dependencies VALUES (?, ?, 0, 0)", (job + 1, job))
        database.execute(
            "UPDATE jobs SET unmet = 1, parents = 1, reason = 'dependency' WHERE id = ?", (job + 1,)
        )
    assert check(daemon.paths).findings == []
    with closing(sqlite3.connect(daemon.paths.database)) as database, database:
        database.execute("UPDATE jobs SET state = 'stopped', finished_at = 5 WHERE id = ?", (job,))
    assert f"job {job + 1} waits for job {job}, which has ended: it would wait for ever" in texts(
        check(daemon.paths)
    )


def test_output_of_an_attempt_whose_outcome_is_lost_counts(stopped):
    """It has no pid on record, and may have left a file; that it left none is no fault."""
    paths, change = stopped
    change("UPDATE attempts SET pid = NULL, state = 'failed', reason = 'lost' WHERE job = 2")
    change("UPDATE jobs SET state = 'failed', reason = 'lost' WHERE id = 2")
    report = check(paths)
    assert (report.findings, report.outputs) == ([], 2)
    change("UPDATE jobs SET output_bytes = 0 WHERE id = 2")
    paths.output_of(2, 1).unlink()
    assert check(paths).findings == []


def test_output_that_is_missing_cut_or_nobodys_is_found(stopped):
    paths, _ = stopped
    paths.output_of(1, 1).unlink()
    os.truncate(paths.output_of(2, 1), 2)
    paths.output_of(3, 7).write_text("whose?")
    (paths.output / "notes.txt").write_text("mine")
    report = check(paths)
    assert texts(report) == [
        f"the output of job 1 is missing: {paths.output_of(1, 1)}",
        "the output of job 2 was cut: 2 of 4 bytes",
        f"{paths.output_of(3, 7)} belongs to no job",
    ]
    assert report.notes == [f"1 file in {paths.output} of another name than jobd gives"]


def test_output_that_an_engine_keeps_elsewhere_is_looked_for_there(stopped, tmp_path):
    paths, change = stopped
    change("UPDATE attempts SET engine = 'slurm', engine_id = '7', pid = NULL WHERE job > 1")
    paths.config.write_text(f"[engine.slurm]\nshared_dir = '{tmp_path}'")
    root = tmp_path / f"slurm-{instance_of(paths.data)}/output"
    assert texts(check(paths)) == [
        f"all output of jobs on slurm is missing: {root}: No such file or directory"
    ]
    shutil.copytree(paths.output, root)
    paths.output_of(2, 1).unlink()
    found = check(paths)
    assert (found.findings, found.outputs) == ([], 3)
    there = [root / output_name(job, attempt) for job, attempt in ((2, 1), (3, 1), (3, 7))]
    there[0].unlink()
    os.truncate(there[1], 2)
    there[2].write_text("whose?")
    assert texts(check(paths)) == [
        f"the output of job 2 is missing: {there[0]}",
        "the output of job 3 was cut: 2 of 6 bytes",
        f"{there[2]} belongs to no job",
    ]
    paths.config.write_text("[engine.slurm]\nshared = 3")
    (finding,) = check(paths).findings
    assert finding.kind == "configuration", "where output lies is not known"


def test_where_a_file_server_does_not_answer_the_rest_is_checked(stopped, tmp_path, monkeypatch):
    paths, change = stopped
    change("UPDATE attempts SET engine = 'slurm', engine_id = '7', pid = NULL WHERE job > 1")
    paths.config.write_text(f"[engine.slurm]\nshared_dir = '{tmp_path}'")
    root = tmp_path / f"slurm-{instance_of(paths.data)}/output"
    shutil.copytree(paths.output, root)
    paths.output_of(1, 1).unlink()
    server, scan = threading.Event(), os.scandir
    monkeypatch.setattr("jobd.admin.check._PATIENCE_S", 0.05)
    monkeypatch.setattr(
        os, "scandir", lambda path: scan(path) if path != root else server.wait(30) and scan(path)
    )
    found = texts(check(paths))
    server.set()
    assert found[0] == f"no output of jobs on slurm was looked for: {root} does not answer"
    assert f"the output of job 1 is missing: {paths.output_of(1, 1)}" in found


def test_output_of_a_start_that_came_to_nothing_is_that_of_the_next_one(make):
    """A daemon is killed when it has made the file, and before there is a process."""
    daemon = make(workers=0)
    job = daemon.submit("true")
    daemon.close()
    daemon.paths.output_of(job, 1).parent.mkdir()
    daemon.paths.output_of(job, 1).touch()
    assert check(daemon.paths).findings == []
    daemon.paths.output_of(job, 2).touch()
    assert texts(check(daemon.paths)) == [f"{daemon.paths.output_of(job, 2)} belongs to no job"]


def test_output_of_jobs_that_the_database_never_heard_of_is_told(stopped):
    paths, _ = stopped
    paths.output_of(8, 1).write_text("it did run")
    assert texts(check(paths)) == [
        (
            "the database knows no job above 3, and there is output of job 8: "
            "what was submitted after it is missing"
        )
    ]


def test_what_others_may_read_is_told(stopped):
    paths, _ = stopped
    paths.database.chmod(0o644)
    paths.state.chmod(0o755)
    assert [finding.next_step for finding in check(paths).findings] == [
        f"chmod 700 {paths.state}",
        f"chmod 600 {paths.database}",
    ]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[daemon]\nwokers = 1", "line 2: [daemon] has no key wokers"),
        ("[daemon]\nengine = 'nomad'", "engine: there is no 'nomad'; known are: local"),
        ("[groups.a]\nengine = 'nomad'", "[groups.a] engine: there is no 'nomad'"),
        ("[engine.nomad]\nspeed = 3", "[engine.nomad]: there is no 'nomad'"),
        ("[engine.local]\nspeed = 3", "[engine.local] has no key speed; it takes none"),
    ],
)
def test_what_would_keep_it_from_starting_is_told(stopped, config, words):
    paths, _ = stopped
    paths.config.write_text(config)
    (finding,) = check(paths).findings
    assert (finding.kind, words in finding.text) == ("configuration", True), finding.text
    assert finding.next_step == f"mend it in {paths.config}"


def test_output_that_lies_with_another_engine_is_not_missed(stopped):
    paths, change = stopped
    change(
        "UPDATE attempts SET engine = 'cluster', pid = NULL WHERE job = 1",
        "UPDATE jobs SET output_bytes = 1000 WHERE id = 1",
    )
    paths.output_of(1, 1).unlink()
    assert texts(check(paths)) == []


def test_beside_a_daemon_at_work_nothing_is_found(make):
    daemon = make(workers=1)
    jobs = daemon.submit("exit 1", "true", "sleep 1000", "true")
    wait_until(lambda: daemon.job(jobs + 2).state is State.RUNNING)
    daemon.client.rm(ids(jobs))
    report = check(daemon.paths)
    assert report.findings == []
    assert (report.jobs, report.outputs) == (3, 1)


def test_a_database_left_with_its_log_is_read_without_touching_either(make, home):
    daemon = make(workers=0)
    daemon.submit("true", "true")
    for name in ("jobd.db", "jobd.db-wal", "jobd.db-shm"):
        (home / name).write_bytes((daemon.paths.state / name).read_bytes())
    daemon.close()
    paths = type(daemon.paths)(home / "copy", home / "config.toml")
    paths.output.mkdir(parents=True)
    for name in ("jobd.db", "jobd.db-wal", "jobd.db-shm"):
        (home / name).rename(paths.state / name)
        (paths.state / name).chmod(0o600)
    paths.state.chmod(0o700)
    paths.output.chmod(0o700)
    before = hashes(paths)
    assert (check(paths).findings, check(paths).jobs) == ([], 2)
    assert hashes(paths) == before
    (paths.state / "jobd.db-shm").unlink()
    before = hashes(paths)
    assert (check(paths).findings, check(paths).jobs) == ([], 2)
    assert hashes(paths) == before


def test_no_database_is_no_finding_but_an_error(make):
    daemon = make(workers=0)
    daemon.close()
    daemon.paths.database.unlink()
    with pytest.raises(StoreFailed, match="there is no database at"):
        check(daemon.paths)


def test_whatever_else_keeps_a_daemon_from_starting_is_found(stopped):
    """A configuration that cannot be read, a directory that others can write."""
    paths, _ = stopped
    paths.config.write_text("[daemon]\nworker = 3\n")
    paths.progress.chmod(0o777)
    with pytest.raises(JobdError) as caught:
        config_file.load(paths.config)
    found = check(paths).findings
    assert [finding.kind for finding in found] == ["configuration", "access"]
    assert found[0].text == caught.value.message
    with pytest.raises(NotOurs, match=re.escape(found[1].text)):
        Inside(paths.state)


# --- backup -------------------------------------------------------------------------------------


def rows(file):
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        return database.execute("SELECT id, state FROM jobs ORDER BY id").fetchall()


def test_a_backup_is_one_private_file_of_one_moment(make, home):
    daemon = make(workers=0)
    daemon.submit("true", "true")
    target = home / "copy.db"
    assert backup(daemon.paths.database, target, running=True, force=False) == 2
    assert rows(target) == [(1, "pending"), (2, "pending")]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    daemon.submit("true")
    assert len(rows(target)) == 2
    daemon.close()
    before = hashes(daemon.paths)
    assert backup(daemon.paths.database, target, running=False, force=True) == 3
    assert hashes(daemon.paths) == before
    assert sorted(file.name for file in home.glob("*copy.db*")) == ["copy.db"]


def test_a_backup_is_a_database_that_a_daemon_starts_from(make, home):
    daemon = make(workers=0)
    daemon.submit("true", "true")
    backup(daemon.paths.database, home / "copy.db", running=True, force=False)
    daemon.close()
    os.replace(home / "copy.db", daemon.paths.database)
    other = make(workers=1)
    other.wait(1, 2)
    assert other.job(2).state is State.COMPLETED


def test_nothing_is_overwritten_unless_it_is_said(stopped, home):
    paths, _ = stopped
    target = home / "precious"
    target.write_text("mine")
    with pytest.raises(JobdError, match=r"exists; name another file, or overwrite it: --force"):
        backup(paths.database, target, running=False, force=False)
    assert target.read_text() == "mine"
    for own in (paths.database, home / "link"):
        if own != paths.database:
            own.symlink_to(paths.database)
        with pytest.raises(JobdError, match="is the database itself"):
            backup(paths.database, own, running=False, force=True)
    assert len(rows(paths.database)) == 3


def test_a_damaged_database_gives_no_backup(stopped, home):
    paths, _ = stopped
    with open(paths.database, "r+b") as file:
        file.seek(4096 * 3)
        file.write(bytes(4096))
    with pytest.raises(StoreFailed, match="jobd check"):
        backup(paths.database, home / "copy.db", running=False, force=False)
    assert list(home.glob("*copy.db*")) == []


def test_what_an_interrupted_backup_has_left_goes_with_the_next(stopped, home):
    """Killed at any moment it leaves no file under the name, and no copy for ever."""
    paths, _ = stopped
    left = home / ".copy.db.0123abcd.partial"
    left.mkdir(mode=0o700)
    (left / "copy.db").write_bytes(b"half of it")
    other = home / ".other.db.0123abcd.partial"
    other.mkdir()
    assert backup(paths.database, home / "copy.db", running=False, force=False) == 3
    assert sorted(file.name for file in home.glob("*copy.db*")) == ["copy.db"]
    assert other.exists()


def test_a_backup_has_its_name_once_it_is_whole_and_on_disk(stopped, home, monkeypatch):
    paths, _ = stopped
    target, early = home / "copy.db", []
    synced = record_syncs(monkeypatch, lambda: early.append(target.exists()))
    backup(paths.database, target, running=False, force=False)
    copied, folder = synced
    assert copied.endswith(".partial/copy.db")
    assert folder == str(home)
    assert early == [False, True]


def test_a_file_that_comes_while_a_backup_is_made_stays(stopped, home, monkeypatch):
    paths, _ = stopped
    target = home / "copy.db"
    monkeypatch.setattr(os, "fsync", lambda _: target.write_text("theirs"))
    with pytest.raises(JobdError, match="exists; name another file"):
        backup(paths.database, target, running=False, force=False)
    assert target.read_text() == "theirs"


# --- restore ------------------------------------------------------------------------------------


def test_a_backup_is_restored_and_what_was_there_is_kept(make, home):
    daemon = make(workers=0)
    daemon.submit("true", "true")
    backup(daemon.paths.database, home / "copy.db", running=True, force=False)
    daemon.submit("true")
    with pytest.raises(JobdError, match="jobd is running; stop it first"), lock_of(daemon.paths):
        restore(daemon.paths, home / "copy.db")
    daemon.close()
    found = restore(daemon.paths, home / "copy.db")
    assert found.jobs == len(rows(daemon.paths.database)) == 2
    assert len(rows(found.kept)) == 3
    assert make(workers=0).submit("true") == 3


@contextmanager
def lock_of(paths):
    """Held as a supervisor holds it."""
    with open(paths.lock, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_what_is_no_backup_is_not_restored(stopped, home):
    paths, _ = stopped
    before = hashes(paths)
    (home / "letter").write_text("dear aunt")
    sqlite3.connect(home / "other.db").executescript("CREATE TABLE t (x)").connection.close()
    for name in ("letter", "other.db", "nothing", paths.database):
        with pytest.raises(JobdError):
            restore(paths, home / name)
    assert hashes(paths) == before


def test_where_nothing_can_be_written_it_says_so(stopped, home):
    paths, _ = stopped
    with pytest.raises(JobdError, match="no such file or directory"):
        backup(paths.database, home / "no" / "copy.db", running=False, force=False)
