"""The disk: other versions, failing commits, what a next daemon finds."""

import sqlite3
import time
from contextlib import closing

import pytest

from jobd.contract.config import Config
from jobd.contract.configured import Configured
from jobd.contract.errors import StoreFailed
from jobd.contract.models import Events, Selector, Submitted, Wait
from jobd.contract.paths import locate
from jobd.contract.states import State
from jobd.daemon.instance import Daemon
from jobd.daemon.jobs.plan import plan_submit
from jobd.daemon.setup import Setup
from tests.helpers import wait_until
from tests.integration.inside import ids, submit_of


class Failing:
    """A connection whose `word` fails so many times, as with a full disk."""

    def __init__(self, connection, word="COMMIT"):
        self._connection = connection
        self._word = word
        self.left = 0
        self.failed = 0

    def execute(self, statement, *values):
        if self.left and statement.startswith(self._word):
            self.left -= 1
            self.failed += 1
            raise sqlite3.OperationalError("database or disk is full")
        return self._connection.execute(statement, *values)

    def __getattr__(self, name):
        return getattr(self._connection, name)


@pytest.fixture
def failing(make):
    """A daemon and its connection; `left` says how many commits fail."""

    def made(word="COMMIT", **config):
        inside = make(**config)
        work = inside.daemon.built.ground.writer._work
        connection = work._db = Failing(work._db, word)
        # What the start has left to commit must not use up a failure that is meant for the test.
        inside.daemon.built.ground.writer.call(lambda: None)
        return inside, connection

    return made


def memory(inside):
    ledger = inside.daemon.built.ground.ledger
    return (
        dict(ledger.counts),
        len(ledger.queue),
        ledger.busy,
        len(inside.daemon.built.execution.runs),
    )


def test_a_database_of_a_newer_version_stays_as_it_is(make):
    inside = make(workers=0)
    inside.submit("true")
    inside.close()
    with closing(sqlite3.connect(inside.paths.database)) as database:
        database.execute("PRAGMA user_version = 9999")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = inside.paths.database.read_bytes()
    with pytest.raises(StoreFailed, match=r"schema 9999.*newer jobd.*nothing was changed"):
        Daemon(Setup(paths=inside.paths, configured=Configured(config=Config())), link=None)
    assert inside.paths.database.read_bytes() == before


@pytest.mark.parametrize("content", [b"SQLite format 3\0" + b"\xff" * 5000, b"text" * 2000])
def test_a_damaged_database_is_refused_and_kept(jobd_home, content):
    paths = locate({"JOBD_HOME": str(jobd_home)})
    jobd_home.mkdir()
    paths.database.write_bytes(content)
    with pytest.raises(StoreFailed, match="jobd check"):
        Daemon(Setup(paths=paths, configured=Configured(config=Config())), link=None)
    assert paths.database.read_bytes() == content


def test_a_start_that_died_before_its_database_had_its_name_begins_anew(make, jobd_home):
    jobd_home.mkdir()
    (jobd_home / "jobd.db.new").write_bytes(b"half of it")
    assert make().submit("true") == 1
    assert not (jobd_home / "jobd.db.new").exists()


def test_a_commit_that_fails_once_is_tried_again_for_each_on_its_own(failing):
    inside, connection = failing(workers=0)
    connection.left = 1
    assert inside.submit("true") >= 1
    assert connection.failed == 1
    assert memory(inside) == ({**dict.fromkeys(State, 0), State.PENDING: 1}, 1, 0, 0)


@pytest.mark.parametrize("word", ["COMMIT", "BEGIN"])
def test_a_failing_commit_undoes_memory_and_the_next_one_works(failing, word):
    inside, connection = failing(word, workers=0)
    inside.submit("true", "true")
    before = memory(inside)
    for request in (
        lambda: inside.submit("true"),
        lambda: inside.client.stop(ids(1)),
        lambda: inside.client.workers(5),
        lambda: inside.submit(*["true"] * 1200),
    ):
        connection.left = 2
        with pytest.raises(StoreFailed, match="could not be saved"):
            request()
        assert connection.left == 0
        assert memory(inside) == before
        assert inside.daemon.built.ground.ledger.workers == 0
        assert inside.listed() == [1, 2]
    connection.left = 0
    job = inside.submit("true")
    assert inside.listed() == [1, 2, job]
    assert inside.client.stop(ids(1)).done == [1]


def test_a_change_that_could_not_be_saved_can_be_asked_for_again(failing):
    inside, connection = failing(workers=0)
    request = submit_of("true")
    connection.left = 2
    with pytest.raises(StoreFailed):
        inside.ask(request, b"once", Submitted)
    again = inside.ask(request, b"once", Submitted)
    assert inside.listed() == [again.first]


def test_waiting_jobs_go_on_by_themselves_after_a_failure(failing):
    inside, connection = failing(workers=1)
    first = inside.submit("sleep 0.2; exit 4", "exit 5", "exit 6")
    wait_until(lambda: inside.job(first).state is State.RUNNING)
    connection.left = 3  # the end of the first job and the start of the second
    inside.wait(first, first + 1, first + 2)
    assert connection.failed == 3
    assert [inside.job(first + n).exit_code for n in range(3)] == [4, 5, 6]
    assert [inside.job(first + n).attempt for n in range(3)] == [1, 1, 1]
    wait_until(lambda: memory(inside)[1:] == (0, 0, 0))
    assert inside.daemon.built.ground.ledger.counts == inside.counts_on_disk()
    assert inside.client.status().error is None
    names = [e.event for e in inside.client.events(Events(after=0)).events if e.job == first]
    assert names == ["submitted", "started", "failed"]


def test_trouble_is_told_by_status(failing):
    inside, connection = failing(workers=1)
    connection.left = 10**9
    with pytest.raises(StoreFailed):
        inside.submit("true")
    assert "full" in inside.client.status().error
    connection.left = 0
    inside.submit("true")
    wait_until(lambda: inside.client.status().error is None)


def test_a_defect_in_one_action_harms_no_other(quiet):
    intake = quiet.daemon.built.verbs.intake
    plan = plan_submit(submit_of("true"), "me", intake._pack)

    def defect():
        assert intake._staging.at_once(plan, plan.drafts(plan.spans())).first
        raise ZeroDivisionError

    with pytest.raises(StoreFailed, match="could not be saved: ZeroDivisionError"):
        quiet.daemon.built.ground.writer.call(defect)
    assert quiet.daemon.built.ground.ledger.counts == quiet.counts_on_disk()
    assert len(quiet.daemon.built.ground.ledger.queue) == 0
    assert quiet.submit("true") == quiet.listed()[0]


def test_a_damaged_record_stops_no_other_job(make):
    """One spec that cannot be read: that job fails or waits, the others run."""
    inside = make(workers=0)
    inside.submit("true", "true", "true")
    inside.close()
    inside.sql("UPDATE jobs SET spec = x'c1' WHERE id = 2")
    inside = make(workers=1)
    inside.client.wait(Wait(selector=ids(1, 3), wait=15))
    assert inside.sql("SELECT id FROM jobs WHERE state = 'completed'") == [(1,), (3,)]


def test_the_next_daemon_finds_everything(make):
    inside = make(workers=1)
    inside.submit("exit 3")
    inside.wait(1)
    inside.client.workers(0)
    inside.submit("echo low", priority=-5)
    inside.submit("echo high", priority=5)
    inside.client.rm(ids(1))
    inside = make(workers=1)
    inside.wait(2, 3)
    started = [e.job for e in inside.client.events(Events(after=0)).events if e.event == "started"]
    assert started == [1, 3, 2]
    assert inside.submit("true") == 4
    with pytest.raises(Exception, match="does not exist"):
        inside.job(1)


def test_output_of_removed_jobs_is_deleted_at_the_start_too(make):
    inside = make()
    job = inside.submit("echo 1")
    inside.wait(job)
    path = inside.paths.output_of(job, 1)
    kept = path.read_bytes()
    inside.client.rm(Selector(ids=[(job, job)]))
    inside.close()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(kept)
    inside.sql("INSERT INTO deletions (job, attempts) VALUES (?, 1)", job)
    inside = make()
    wait_until(lambda: not path.exists())
    wait_until(lambda: inside.sql("SELECT * FROM deletions") == [])


def test_answers_are_remembered_by_number_whatever_the_clock_does(quiet, monkeypatch):
    """Set forward by a day, between two askings: nothing is done twice."""
    monkeypatch.setattr("jobd.daemon.commands.idempotency.FORGET_REQUESTS_EVERY", 1)
    request = submit_of("true")
    first = quiet.ask(request, b"a" * 16, Submitted)
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 86_400 * 10**9)
    other = quiet.ask(submit_of("true"), b"b" * 16, Submitted)
    assert other.first == first.first + 1
    assert quiet.ask(request, b"a" * 16, Submitted) == first
    settings, writer = quiet.daemon.built.ground.tables.settings, quiet.daemon.built.ground.writer
    writer.call(lambda: settings.forget_requests(keep=1))
    assert writer.call(lambda: settings.answered(b"a" * 16)) == {}
    assert writer.call(lambda: settings.answered(b"b" * 16)) != {}
