"""What a job costs the database: the statements of each of its moves are counted.

The numbers are ceilings. Whoever needs more statements for a move makes every job dearer.
"""

from contextlib import closing, contextmanager

import pytest

from jobd.contract.models import Wait
from jobd.contract.states import State
from jobd.core.ready_queue import Entry
from jobd.engines.base import NoResources
from jobd.store import connections as reading
from jobd.store.database import open_reader
from jobd.store.lookups import ahead_of, read_ready
from tests.helpers import wait_until
from tests.integration.inside import ids
from tests.integration.test_scheduling import after, settled, states, submit

SUBMIT = 6
SUBMIT_BEHIND_ANOTHER = 11
"""It waits for one job."""
SCATTERED_ARRAY = 1009
"""A thousand elements, of which no two are neighbours."""
SCATTERED_ARRAY_COMMITS = 4
"""The beginning, one piece, the end; and that of this test, which waits for the writer."""
START = 3
END = 3
"""As long as nobody waits for anybody."""
START_THAT_IS_REFUSED = 6
"""And the job is put back."""
STOP_PENDING = 8
STOP_MANY = 8
"""However many they are."""
STOP_RUNNING = 5
RESTART = 8
RESTART_MANY = 44
"""Ten of them."""
RM = 14
RM_MANY = 104
"""Ten of them, each with an attempt."""
FAIL_A_DEPENDANT = 11
"""Beside what its parent costs; so below."""
REVIVE_A_DEPENDANT = 16
REVEAL_AN_ARRAY = 9
READ_A_WAITING_JOB = 15
"""Steps of SQLite's machine (sqlite.org/opcode.html), when a daemon begins: nothing starts before
all that wait are read.
"""
WAIT = 5
"""For one job that has ended: looks at the store until the answer is there."""
LOOK_AHEAD = 5
"""The same, of each job that starts before another."""


@pytest.fixture
def statements(quiet):
    """A context that gives the statements which the writer runs meanwhile."""
    quiet.client.stop(ids(submit(quiet, "true")))  # what is done once is done

    @contextmanager
    def counted():
        settled(quiet)
        found = []
        connection = quiet.daemon.built.ground.writer._db
        connection.set_trace_callback(found.append)
        try:
            yield found
            settled(quiet)
        finally:
            connection.set_trace_callback(None)
        counted.commits = found.count("COMMIT")
        found[:] = [text for text in found if text not in {"BEGIN IMMEDIATE", "COMMIT"}]

    return counted


def listed(found):
    return "\n".join([str(len(found)), *found])


def let_start(inside, workers=1):
    """Slots are free from now on; this alone writes nothing."""
    inside.daemon.built.ground.writer.call(
        lambda: inside.daemon.built.ground.ledger.set_workers(workers)
    )


def runs(inside, job):
    wait_until(lambda: inside.job(job).pid is not None)


def test_one_submit(quiet, statements):
    with statements() as found:
        submit(quiet, "true")
    assert len(found) <= SUBMIT, listed(found)


def test_a_submit_of_a_job_that_waits_for_another(quiet, statements):
    parent = submit(quiet, "true")
    with statements() as found:
        submit(quiet, "true", after=after(parent))
    assert len(found) <= SUBMIT_BEHIND_ANOTHER, listed(found)


def test_many_dependencies_of_few_jobs_do_not_come_in_one_transaction(quiet, statements):
    """Nobody else would be served before the last of them."""
    first = submit(quiet, *["true"] * 200)
    parents = [(first, first + 199)]
    with statements() as found:
        child = submit(quiet, *["true"] * 100, after=parents)
    # The beginning, four pieces of 5,000, the end; and that of this test.
    assert statements.commits == 7, listed(found)
    assert quiet.job(child + 99).after == list(range(first, first + 200))


def test_an_array_with_gaps(quiet, statements):
    """Each element comes by a statement of its own, but many of them in one transaction."""
    with statements() as found:
        submit(quiet, "true", array=[(2 * n, 2 * n) for n in range(1000)])
    assert len(found) <= SCATTERED_ARRAY, listed(found)
    assert statements.commits <= SCATTERED_ARRAY_COMMITS


def test_one_start_and_one_end(quiet, statements, tmp_path):
    job = submit(quiet, f"echo said; until test -e {tmp_path}/go; do sleep 0.05; done")
    with statements() as found:
        let_start(quiet)
        runs(quiet, job)
    assert len(found) <= START, listed(found)
    with statements() as found:
        (tmp_path / "go").touch()
        quiet.wait(job)
    assert len(found) <= END, listed(found)
    assert quiet.sql("SELECT output_bytes FROM jobs WHERE id = ?", job) == [(len("said\n"),)]


def test_a_start_that_the_machine_refuses(quiet, statements, monkeypatch):
    engine = quiet.daemon.built.ground.engines.default
    original, refused = engine.start, []

    def refuse(launch):
        if refused:
            return original(launch)
        refused.append(launch)
        quiet.daemon.built.ground.writer.call(
            lambda: quiet.daemon.built.ground.ledger.set_workers(0)
        )
        raise NoResources("no process left")

    monkeypatch.setattr(engine, "start", refuse)
    job = submit(quiet, "true")
    with statements() as found:
        let_start(quiet)
        wait_until(lambda: refused and states(quiet, job) == [("pending", "queued")])
    assert len(found) <= START_THAT_IS_REFUSED, listed(found)


def test_a_stop_of_pending_jobs(quiet, statements):
    job = submit(quiet, "true")
    with statements() as found:
        quiet.client.stop(ids(job))
    assert len(found) <= STOP_PENDING, listed(found)
    first = submit(quiet, *["true"] * 10)
    with statements() as found:
        quiet.client.stop(ids(*range(first, first + 10)))
    assert len(found) <= STOP_MANY, listed(found)


def test_a_stop_of_a_running_job(quiet, statements):
    job = submit(quiet, "trap '' TERM; while :; do sleep 100; done")
    let_start(quiet)
    runs(quiet, job)
    with statements() as found:
        quiet.client.stop(ids(job), grace=60)
    assert len(found) <= STOP_RUNNING, listed(found)
    quiet.client.stop(ids(job), grace=0)
    quiet.wait(job)


def test_a_restart(quiet, statements):
    first = submit(quiet, *["true"] * 11)
    quiet.client.stop(ids(*range(first, first + 11)))
    with statements() as found:
        quiet.client.restart(ids(first))
    assert len(found) <= RESTART, listed(found)
    with statements() as found:
        quiet.client.restart(ids(*range(first + 1, first + 11)))
    assert len(found) <= RESTART_MANY, listed(found)


def test_an_rm(quiet, statements):
    first = submit(quiet, *["true"] * 11)
    let_start(quiet, 3)
    quiet.wait(*range(first, first + 11))
    with statements() as found:
        quiet.client.rm(ids(first))
    assert len(found) <= RM, listed(found)
    with statements() as found:
        quiet.client.rm(ids(*range(first + 1, first + 11)))
    assert len(found) <= RM_MANY, listed(found)


def test_an_end_that_another_waits_for(quiet, statements):
    parent = submit(quiet, "true")
    child = submit(quiet, "true", after=after(parent))
    with statements() as found:
        quiet.client.stop(ids(parent))
        wait_until(lambda: states(quiet, child)[0][0] == "failed")
    assert len(found) <= STOP_PENDING + FAIL_A_DEPENDANT, listed(found)
    with statements() as found:
        quiet.client.restart(ids(parent))
        wait_until(lambda: states(quiet, child)[0][0] == "pending")
    assert len(found) <= RESTART + REVIVE_A_DEPENDANT, listed(found)


def test_an_array_that_becomes_visible(quiet, statements):
    with statements() as found:
        submit(quiet, "true", array=[(1, 1000)])
    assert len(found) <= REVEAL_AN_ARRAY, listed(found)


def test_what_is_looked_at_of_each_job_ahead_of_another(quiet):
    """`show` counts the first thousand of those that start before."""
    first = submit(quiet, *["true"] * 2000)
    steps = []
    with closing(open_reader(quiet.paths.database)) as database:
        database.set_progress_handler(lambda: steps.append(10), 10)
        assert ahead_of(database, Entry(first + 1999), None, 1001) == (1001, True)
    assert sum(steps) / 1001 <= LOOK_AHEAD


def test_what_a_starting_daemon_reads_of_each_waiting_job(quiet):
    first = submit(quiet, *["true"] * 20_000)
    steps = []
    with closing(open_reader(quiet.paths.database)) as database:
        database.set_progress_handler(lambda: steps.append(10), 10)
        assert [(entry.id, last) for entry, last in read_ready(database)] == [
            (first, first + 9_999),
            (first + 10_000, first + 19_999),
        ]
    assert sum(steps) / 20_000 <= READ_A_WAITING_JOB


def test_a_wait_for_one_job(quiet, monkeypatch):
    job, found = submit(quiet, "true"), []
    quiet.client.stop(ids(job))

    def traced(path):
        connection = open_reader(path)
        connection.set_trace_callback(found.append)
        return connection

    monkeypatch.setattr(reading, "open_reader", traced)
    idle = quiet.daemon.built.ground.reader._connections._idle
    while not idle.empty():
        idle.get_nowait().close()
    waited = quiet.client.wait(Wait(selector=ids(job)))
    looks = [text for text in found if text not in {"BEGIN", "ROLLBACK"}]
    assert 0 < len(looks) <= WAIT, listed(looks)
    assert waited.done
    assert [one.id for one in waited.jobs] == [job]
    assert (waited.counts[State.STOPPED], sum(waited.counts.values())) == (1, 1)
