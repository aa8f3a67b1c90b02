"""What the machine says is not what was left: other pids, another boot, an older store."""

import shutil
import sqlite3
import subprocess
import threading
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from jobd.client import follow
from jobd.client.client import Client
from jobd.contract.models import Command, Options, Selector, Submit
from jobd.engines.local.run_table import _HEADER, _LINE, _LINE_BYTES, RunTable
from jobd.system import linux
from tests.helpers import wait_until

pytestmark = pytest.mark.e2e

LASTS = "echo $JOBD_JOB_ID $JOBD_ATTEMPT >>ran; exec sleep 1000"
ENDS = "echo $JOBD_JOB_ID $JOBD_ATTEMPT >>ran"
NO_PID = "a job there has no process of this machine, which others could be taken for"


@pytest.fixture
def foreigner():
    """A process of nobody's, leader of its group: any signal that ends jobs would end it."""
    started = []

    def start():
        started.append(subprocess.Popen(["sleep", "1000"], start_new_session=True))
        return started[0]

    yield start
    for process in started:
        process.kill()
        process.wait()


def kill_all(instance, job):
    """Both parents and the job: nobody has seen how it ended."""
    old, pid = instance.status(), instance.pid_of(job)
    instance.halt(old.pid)
    instance.kill(old.supervisor_pid)
    instance.kill(pid)
    instance.kill(old.pid)
    instance._halted.remove(old.pid)


def line_of(instance, slot):
    with closing(RunTable(instance.paths.run_table)) as table:
        return table._read(slot)


def rewrite(instance, slot, boot=None, **changes):
    """What the run table says of a slot, as if the kernel had given the pid to somebody else."""
    with closing(RunTable(instance.paths.run_table)) as table:
        line = table._read(slot)._replace(**changes)
        packed = _LINE.pack(line.token.encode(), *line[1:])
        magic, old = _HEADER.unpack_from(table._map)
    with instance.paths.run_table.open("r+b") as file:
        file.write(_HEADER.pack(magic, boot or old))
        file.seek(_HEADER.size + slot * _LINE_BYTES)
        file.write(packed)


@pytest.mark.local(NO_PID)
@pytest.mark.parametrize("ordered", [False, True])
def test_a_pid_that_is_used_again_is_nobodys_job(instance, foreigner, ordered):
    """The job is lost, said openly; who has its pid now never hears of it."""
    instance.start("--workers", "1")
    job = instance.submit(f"trap '' TERM; {LASTS}")
    instance.await_lines("ran", 1)
    if ordered:
        instance.begin("jobctl", "stop", "--grace", "1", str(job))
        wait_until(lambda: _order_of(instance, job), 60)
    kill_all(instance, job)
    before = line_of(instance, 1)
    wait_until(lambda: linux.ticks() > before.latest + 1)
    other = foreigner()
    assert linux.stat_of(other.pid).start > before.latest
    rewrite(instance, 1, pid=other.pid)
    instance.start("--workers", "1")
    found = instance.wait(job)[job]
    assert (found.state, found.reason) == ("failed", "lost")
    instance.jobctl("stop", "--grace", "0.1", str(job))
    # Until after the end of any grace.
    instance.wait(instance.submit("sleep 1.2"))
    assert other.poll() is None
    assert instance.lines("ran") == [f"{job} 1"]


def _order_of(instance, job):
    with closing(sqlite3.connect(f"file:{instance.paths.database}?mode=ro", uri=True)) as db:
        return db.execute("SELECT stop FROM jobs WHERE id = ?", (job,)).fetchone()[0] is not None


@pytest.mark.local(NO_PID)
def test_after_another_boot_nothing_of_the_board_counts(instance, foreigner):
    """Pid and start time fit by chance; only the boot tells that it is somebody else."""
    instance.start("--workers", "2")
    lost = instance.submit(LASTS)
    again = instance.submit(f"[ $JOBD_ATTEMPT = 2 ] || {{ {LASTS}; }}", requeue=True)
    waits = instance.submit(ENDS)
    instance.await_lines("ran", 2)
    pid = instance.pid_of(again)
    kill_all(instance, lost)
    instance.kill(pid)
    other = foreigner()
    for slot in (1, 2):
        start = linux.stat_of(other.pid).start
        rewrite(
            instance, slot, boot=b"another boot", pid=other.pid, earliest=start - 1,
            latest=start + 1,
        )  # fmt: skip
    instance.start("--workers", "2")
    jobs = instance.wait(lost, waits)
    assert (jobs[lost].state, jobs[lost].reason) == ("failed", "lost")
    assert (jobs[again].state, jobs[again].attempt) == ("completed", 2)
    assert [ran.reason for ran in instance.attempts(again)] == ["lost", None]
    assert (jobs[waits].state, jobs[waits].attempt) == ("completed", 1)
    instance.jobctl("stop", "--grace", "0", str(lost), str(again))
    assert other.poll() is None
    assert sorted(instance.lines("ran")) == [f"{lost} 1", f"{again} 1", f"{waits} 1"]


class Hand(threading.Thread):
    """Submits by key, waits, and stops, until it is told that it is enough."""

    def __init__(self, instance, name):
        super().__init__(name=name, daemon=True)
        self._instance = instance
        self.enough = threading.Event()
        self.done = {}
        self.failed = None

    def run(self):
        try:
            with Client(self._instance.paths.socket) as client:
                while not self.enough.is_set():
                    self._once(client, f"{self.name}-{len(self.done)}")
        except Exception as error:  # noqa: BLE001 - the test's to tell
            self.failed = error

    def _once(self, client, name):
        long = len(self.done) % 3 == 2
        line = LASTS if long else f"{ENDS}; exit $((JOBD_JOB_ID % 5))"
        key = name if len(self.done) % 2 else None
        request = Submit(
            commands=[Command(argv=[line.encode()], shell=True)],
            options=Options(name=name, key=key),
            cwd=str(self._instance.work).encode(),
            environment={
                k.encode(): v.encode()
                for k, v in self._instance.env.items()
                if k in ("PATH", "HOME", "JOBD_HOME") or self._instance.mark.startswith(f"{k}=")
            },
        )
        job = client.submit(request).first
        chosen = Selector(ids=[(job, job)])
        if long:
            wait_until(lambda: f"{job} 1" in self._instance.lines("ran"), 60)
            assert client.stop(chosen, grace=1.0).done == [job]
        waited = follow.until_finished(client, chosen, timeout=60)
        assert waited.done
        self.done[job] = name, "stopped" if long else job % 5


def test_restarts_in_a_row_lose_and_double_no_request(instance):
    instance.start("--workers", "6")
    gate = instance.gate()
    through = instance.submit(f"read _ <{gate.path}; exit 7")
    hands = [Hand(instance, f"hand{number}") for number in range(3)]
    for hand in hands:
        hand.start()
    pids = {instance.status().pid}
    for count in range(6):
        instance.jobd("restart")
        pids.add(instance.answers().pid)
        wait_until(lambda count=count: all(len(h.done) > count or h.failed for h in hands), 60)
    for hand in hands:
        hand.enough.set()
    for hand in hands:
        hand.join(60)
        assert hand.failed is None
    gate.open()
    assert instance.wait(through)[through].exit_code == 7
    assert len(pids) == 7
    expected = {job: what for hand in hands for job, what in hand.done.items()}
    jobs = instance.wait(1, max(expected))
    assert jobs.keys() == expected.keys() | {through}
    for job, (name, end) in expected.items():
        found = jobs[job]
        assert (found.name, found.attempt) == (name, 1)
        assert (found.state if end == "stopped" else found.exit_code) == end
    assert sorted(instance.lines("ran")) == sorted(f"{job} 1" for job in expected)


@pytest.mark.local("when that schema was made, no job could be anywhere else")
def test_a_store_of_the_oldest_schema_is_taken_over(instance):
    """Jobs, attempts and history whole; what waits goes on, ids go on growing."""
    instance.start("--workers", "1")
    ended = instance.submit("echo kept; exit 3")
    instance.wait(ended)
    instance.jobctl("workers", "0")
    waits = instance.submit(ENDS, ENDS)
    instance.jobd("stop")
    before = _history(instance.paths.database)
    _write_as_of_001(instance.paths.database)
    instance.start("--workers", "1")
    instance.jobctl("workers", "1")
    jobs = instance.wait(ended, waits + 1)
    assert [(j.state, j.exit_code, j.attempt) for _, j in sorted(jobs.items())] == [
        ("failed", 3, 1), ("completed", 0, 1), ("completed", 0, 1),
    ]  # fmt: skip
    assert instance.output(ended) == b"kept\n"
    assert _history(instance.paths.database)[: len(before)] == before
    assert instance.lines("ran") == [f"{waits} 1", f"{waits + 1} 1"]
    assert instance.submit("true") == waits + 2
    instance.jobctl("restart", str(ended))
    assert instance.wait(ended)[ended].attempt == 2
    instance.jobd("check")


def _history(database):
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        return db.execute("SELECT seq, at, job, event, user FROM events ORDER BY seq").fetchall()


def _write_as_of_001(database: Path):
    """The same rows in a database that only the first script has made."""
    script = (resources.files("jobd.store") / "schema" / "001_initial.sql").read_text("utf-8")
    new = database.with_suffix(".now")
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        application = db.execute("PRAGMA application_id").fetchone()[0]
    shutil.move(database, new)
    for rest in ("-wal", "-shm"):
        Path(f"{database}{rest}").unlink(missing_ok=True)
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA application_id = {application}")
        db.executescript(f"{script}\nPRAGMA user_version = 1;")
        db.execute("ATTACH ? AS new", (str(new),))
        tables = db.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in sorted(tables):
            columns = [row[1] for row in db.execute(f"PRAGMA main.table_info({table})")]
            there = {row[1] for row in db.execute(f"PRAGMA new.table_info({table})")}
            assert set(columns) <= there, f"{table} has lost {set(columns) - there}"
            named = ", ".join(columns)
            if table == "sqlite_sequence":
                db.execute("DELETE FROM main.sqlite_sequence")
            if there:
                db.execute(f"INSERT INTO main.{table} ({named}) SELECT {named} FROM new.{table}")
    new.unlink()
    database.chmod(0o600)
