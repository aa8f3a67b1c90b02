"""The writer: one transaction for all that waits; each caller hears its own result."""

import sqlite3
import threading

import pytest

from jobd.contract.errors import Refused, StoreFailed
from jobd.core.undo import Undo
from jobd.store.database import open_writer
from jobd.store.writer import Writer


@pytest.fixture
def database(tmp_path):
    connection = open_writer(tmp_path / "jobd.db", durable=False)
    yield connection
    connection.close()


@pytest.fixture
def writer(database):
    made = Writer(database, Undo())
    made.start(lambda: lambda: None)
    yield made
    made.close()


def insert(database, name, value="v"):
    database.execute("INSERT INTO settings VALUES (?, ?)", (name, value))


def rows(database):
    return [row[0] for row in database.execute("SELECT name FROM settings ORDER BY name")]


def test_an_answer_comes_after_its_commit(writer, database):
    assert writer.call(lambda: insert(database, "a") or 7) == 7
    assert not database.in_transaction
    assert rows(database) == ["a"]


def test_a_refusal_spoils_no_neighbour(writer, database):
    def refuse():
        raise Refused("no")

    held, told = threading.Event(), []
    writer.post(held.wait)
    writer.post(lambda: insert(database, "a"), told.append, told.append)
    writer.post(refuse, told.append, told.append)
    writer.post(lambda: insert(database, "b"), told.append, told.append)
    held.set()
    writer.call(lambda: None)
    assert [type(result) for result in told] == [type(None), Refused, type(None)]
    assert rows(database) == ["a", "b"]


def test_what_goes_on_with_a_commit_does_so_before_those_who_wait_are_woken(database):
    """An end makes room for the next job, which is not to start behind their answers."""
    made, order = Writer(database, Undo()), []
    made.start(lambda: lambda: order.append("goes on"), saved=lambda: order.append("woken"))
    made.post(lambda: None, lambda _: order.append("told"))
    made.close()
    assert order == ["told", "goes on", "woken"]


def test_a_rehearsal_answers_and_leaves_nothing(database):
    """Neither on disk nor in memory; what shares its transaction stays."""
    undo = Undo()
    made, memory, saved, held = Writer(database, undo), [], [], threading.Event()

    def change(name):
        insert(database, name)
        memory.append(name)
        undo.add(memory.pop, lambda: saved.append(name))
        return [*memory]

    def refuse():
        change("c")
        raise Refused("no")

    made.start(lambda: lambda: None)
    made.post(held.wait)
    made.post(lambda: change("a"))
    told = []
    made.post(lambda: made._taken_back(lambda: change("b")), told.append)
    made.post(lambda: made._taken_back(refuse), told.append, told.append)
    held.set()
    assert made.rehearse(lambda: change("d")) == ["a", "d"]
    made.call(lambda: None)
    made.close()
    assert told[0] == ["a", "b"]
    assert isinstance(told[1], Refused)
    assert (rows(database), memory, saved) == (["a"], ["a"], ["a"])


def test_one_that_breaks_is_taken_back_alone(writer, database):
    held, told = threading.Event(), {}
    writer.post(held.wait)
    for name in ("a", "b", "a", "c"):  # the third breaks a rule of the table
        writer.post(
            lambda name=name: insert(database, name),
            lambda _, name=name: told.setdefault(name, []).append("done"),
            lambda error, name=name: told.setdefault(name, []).append(error),
        )
    held.set()
    writer.call(lambda: None)
    assert rows(database) == ["a", "b", "c"]
    assert told["b"] == told["c"] == ["done"]
    first, second = told["a"]
    assert first == "done"
    assert isinstance(second, StoreFailed)


def test_memory_is_undone_with_the_transaction(database):
    undo, seen = Undo(), []
    writer = Writer(database, undo)
    writer.start(lambda: lambda: None)

    def change():
        seen.append("done")
        undo.add(lambda: seen.append("undone"))
        raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(StoreFailed, match="Nothing was changed"):
        writer.call(change)
    assert seen == ["done", "undone"] * 2  # with its neighbours, then alone
    writer.call(lambda: None)
    assert seen == ["done", "undone"] * 2
    writer.close()


def test_a_caller_that_breaks_when_told_harms_nobody(writer, database):
    writer.post(lambda: insert(database, "a"), lambda _: 1 / 0)
    assert writer.call(lambda: 1) == 1
    assert rows(database) == ["a"]


def test_what_waits_at_the_end_is_committed_and_nothing_comes_after_it(database):
    writer = Writer(database, Undo())
    held = threading.Event()
    writer.start(lambda: lambda: None)
    writer.post(held.wait)
    for name in "abc":
        writer.post(lambda name=name: insert(database, name))
    threading.Timer(0.05, held.set).start()
    writer.close()
    assert rows(database) == ["a", "b", "c"]
    with pytest.raises(StoreFailed):
        writer.call(lambda: None)


def test_who_asks_while_it_is_closed_is_answered(database, monkeypatch):
    writer, closer, post = Writer(database, Undo()), [], Writer.post

    def closed_meanwhile(self, *given):
        closer.append(threading.Thread(target=self.close))
        closer[0].start()
        closer[0].join(0.2)  # as far as it gets before the question is handed in
        post(self, *given)

    writer.start(lambda: lambda: None)
    monkeypatch.setattr(Writer, "post", closed_meanwhile)
    answers = []
    asker = threading.Thread(target=lambda: answers.append(writer.call(lambda: 7)), daemon=True)
    asker.start()
    asker.join(10)
    closer[0].join(10)
    assert answers == [7]


def test_many_callers_are_served_in_order(writer):
    order, count = [], 2000
    for number in range(count):
        writer.post(lambda number=number: order.append(number))
    writer.call(lambda: None)
    assert order == list(range(count))


def test_memory_that_cannot_be_made_true_again_ends_the_writer(database):
    undo, broken = Undo(), threading.Event()
    writer = Writer(database, undo)
    writer.start(lambda: lambda: None, broken=broken.set)

    def change():
        undo.add(lambda: 1 / 0)
        raise sqlite3.OperationalError("database or disk is full")

    writer.post(change)
    assert broken.wait(10)
    writer._thread.join(10)
    with pytest.raises(StoreFailed):
        writer.call(lambda: None)
    assert not database.in_transaction
    writer.close()


def test_a_transaction_that_cannot_be_rolled_back_ends_the_writer():
    class Stuck:
        in_transaction = True

        def execute(self, sql):
            if sql in ("COMMIT", "ROLLBACK"):
                raise sqlite3.OperationalError("disk I/O error")

    broken = threading.Event()
    writer = Writer(Stuck(), Undo())
    writer.start(lambda: lambda: None, broken=broken.set)
    writer.nudge()
    assert broken.wait(10)
    writer.close()


class Clock:
    """In the place of the module `time`: each look at it is `step` seconds later."""

    def __init__(self, step):
        self.step = step
        self.now = 0.0
        self.rests = []
        self.meanwhile = lambda: None

    def perf_counter(self):
        self.now += self.step
        return self.now

    def sleep(self, seconds):
        self.rests.append(seconds)
        self.meanwhile()


@pytest.fixture
def on_a_disk(database, monkeypatch):
    """Makes a writer whose commits take so many seconds, with its clock and its commits."""
    made = []

    def make(seconds):
        clock, commits = Clock(seconds), []
        monkeypatch.setattr("jobd.store.writer.time", clock)
        made.append(Writer(database, Undo(), timed=commits.append))
        made[0].start(lambda: lambda: None)
        for _ in range(6):
            made[0].call(lambda: None)
        return made[0], clock, commits

    yield make
    made[0].close()


def post_two(writer):
    """To go with one transaction, which begins when what is returned is set."""
    held, begun = threading.Event(), threading.Event()
    writer.post(lambda: begun.set() or held.wait())
    assert begun.wait(10)
    writer.post(lambda: None)
    writer.post(lambda: None)
    return held


def test_on_a_slow_disk_those_who_come_a_moment_later_go_with_the_next_commit(on_a_disk):
    writer, clock, commits = on_a_disk(0.006)
    late, before = threading.Event(), len(commits)
    held = post_two(writer)
    clock.meanwhile = lambda: writer.post(lambda: None, lambda _: late.set())
    held.set()
    assert late.wait(10)
    assert clock.rests == [pytest.approx(0.003)]
    clock.meanwhile = lambda: None
    writer.call(lambda: None)
    # Those that were held, the three, and this one, before which others might have come again.
    assert (len(commits) - before, len(clock.rests)) == (3, 2)


def test_who_comes_alone_is_not_kept_waiting_by_a_slow_disk(on_a_disk):
    _, clock, commits = on_a_disk(0.006)
    assert (clock.rests, len(commits)) == ([], 6)


def test_on_a_fast_disk_nobody_is_waited_for(on_a_disk):
    writer, clock, _ = on_a_disk(0.0001)
    post_two(writer).set()
    writer.call(lambda: None)
    assert clock.rests == []
