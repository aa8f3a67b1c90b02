"""What happens between two transactions that belong together, and to what waits meanwhile."""

import os
import sqlite3
import threading
import time

import msgspec
import pytest

from jobd.client import follow
from jobd.contract.errors import JobdError, NotFound, Refused, StoreFailed
from jobd.contract.models import Edit, Events, Graph, Groups, Selector
from jobd.contract.states import Reason, State
from jobd.daemon.execution.run import Run
from jobd.store import environments
from jobd.store.records import Location, StopOrder
from tests.helpers import wait_until
from tests.integration.inside import ENVIRONMENT, ids
from tests.integration.test_scheduling import (
    after,
    node,
    ready,
    ready_on_disk,
    request,
    settled,
    states,
    submit,
)
from tests.jobctl.fakes import jobctl


def meanwhile(monkeypatch, owner, method, action):
    """The action happens just before this is done for the first time."""
    todo, original = [action], getattr(owner, method)

    def first_the_other(*arguments, **options):
        if todo:
            todo.pop()()
        return original(*arguments, **options)

    monkeypatch.setattr(owner, method, first_the_other)


def before_the_first_piece(inside, monkeypatch, action):
    meanwhile(monkeypatch, inside.daemon.built.verbs.intake, "_whole", action)


def before_it_is_seen(inside, monkeypatch, action):
    meanwhile(monkeypatch, inside.daemon.built.verbs.intake._idempotency, "once", action)


def agrees(inside):
    settled(inside)
    assert ready(inside) == ready_on_disk(inside)
    assert inside.counts_on_disk() == inside.client.status().jobs


# --- what is written piece by piece ---------------------------------------------------------------


def told_of(inside):
    return [
        (event.event, event.job, event.data)
        for event in inside.client.events(Events(after=0, limit=5000)).events
        if event.job is not None
    ]


@pytest.mark.parametrize("kind", ["batch", "long batch", "graph", "array"])
def test_nothing_is_told_of_new_jobs_before_all_of_them_are_written(quiet, monkeypatch, kind):
    """A power cut in between takes them all away: whoever was told of some saw what never was."""
    if kind == "long batch":
        monkeypatch.setattr("jobd.daemon.jobs.additions._ONE_BY_ONE", 1000)
    early, nodes = [], [node("true") for _ in range(1200)]
    on_disk = "SELECT event, job FROM events WHERE job IS NOT NULL"
    before_it_is_seen(quiet, monkeypatch, lambda: early.extend(quiet.sql(on_disk)))
    if kind == "graph":
        quiet.client.graph(Graph(nodes=nodes, environment=ENVIRONMENT))
    elif kind == "array":
        quiet.client.submit(request("true", array=[(1, 1200)]))
    else:
        quiet.client.submit(quiet.many("true", 1200))
    assert early == []
    told = told_of(quiet)
    if kind == "array":
        assert told == [("submitted", 1, {"last": 1200})]
    elif kind == "long batch":
        assert told == [("submitted", 1, {"last": 1200, "jobs": 1200})]
    else:
        assert told == [("submitted", job, {}) for job in range(1, 1201)]


@pytest.mark.parametrize("array", [(), [(1, 600)]])
def test_new_jobs_that_fail_at_once_are_told_of_once_behind_their_beginning(quiet, array):
    parent = submit(quiet, "true")
    quiet.client.stop(ids(parent))
    lines = ["true"] if array else ["true"] * 600
    quiet.client.submit(request(*lines, array=array, after=after(parent)))
    told = [(event, job) for event, job, _ in told_of(quiet) if job != parent]
    failed = [("failed", job) for job in range(parent + 1, parent + 601)]
    assert told[-600:] == failed
    assert all(event == "submitted" for event, _ in told[:-600])
    assert len(told) == (601 if array else 1200)
    assert quiet.job(parent + 1).reason == f"dependency failed: {parent}"


# --- times and holds ------------------------------------------------------------------------------


def test_an_edited_time_wakes_the_daemon(daemon):
    job = submit(daemon, "true", delay=1000)
    daemon.client.edit(Edit(id=job, delay=0.05))
    daemon.wait(job)
    assert daemon.job(job).state is State.COMPLETED


def test_a_held_dependant_that_comes_back_is_still_held(quiet):
    parent = submit(quiet, "true")
    child = submit(quiet, "true", after=after(parent), hold=True)
    quiet.client.stop(ids(parent))
    wait_until(lambda: states(quiet, child) == [("failed", f"dependency failed: {parent}")])
    quiet.client.restart(ids(parent))
    wait_until(lambda: states(quiet, child) == [("pending", "held")])
    agrees(quiet)
    quiet.client.start(ids(child))
    assert states(quiet, child) == [("pending", "dependency")]


# --- ends -----------------------------------------------------------------------------------------


def test_what_a_user_has_stopped_is_not_tried_again(daemon, monkeypatch):
    """The attempt had failed by itself a moment before, and that was not yet on disk."""
    endings = daemon.daemon.built.execution.endings
    finish = endings.finish

    def stop_first(run, outcome):
        with daemon.connect() as other:
            assert other.stop(ids(run.id)).done == [run.id]
        finish(run, outcome)

    monkeypatch.setattr(endings, "finish", stop_first)
    job = submit(daemon, "exit 3", retries=3, retry_delay=1000)
    daemon.wait(job)
    assert states(daemon, job) == [("failed", "exit code 3")]


def test_who_waits_for_one_that_is_stopped_at_the_start_hears_of_it_in_any_case(quiet):
    """The daemon may die right behind the transaction that stops it."""
    parent = submit(quiet, "true")
    submit(quiet, "true", after=after(parent))
    daemon = quiet.daemon
    run = begun(quiet, parent)
    run.ordered(StopOrder(Reason.BY_USER, 15, 1.0, 0))
    settling = []

    def put_back():
        daemon.built.execution.endings.unstart(run)
        settling.extend(daemon.built.ground.tables.jobs._db.execute("SELECT parent FROM settling"))

    daemon.built.ground.writer.call(put_back)
    assert settling == [(parent,)]


def test_an_attempt_that_never_began_is_not_paused(quiet):
    job = submit(quiet, "true")
    daemon = quiet.daemon
    run = begun(quiet, job)
    daemon.built.ground.writer.call(
        lambda: daemon.built.ground.tables.jobs.set_paused(job, paused=True)
    )
    daemon.built.ground.writer.call(
        lambda: daemon.built.lifecycle.moves.unstarted(run.started, None)
    )
    assert quiet.sql("SELECT state, paused FROM jobs") == [("pending", 0)]


def begun(inside, job):
    """An attempt that is on disk, as a starting daemon finds it, and nothing knows it runs."""
    jobs, ledger = inside.daemon.built.ground.tables.jobs, inside.daemon.built.ground.ledger

    def begin():
        started = jobs.started(job, "token", 1, (), Location("local", "host"), 0)
        ledger.withdraw(started.entry)
        ledger.occupy(started.entry, 1, ())
        ledger.count(State.PENDING, State.RUNNING)
        return Run(started, 1)

    return inside.daemon.built.ground.writer.call(begin)


# --- batches and graphs that are being written ----------------------------------------------------


def test_a_parent_that_comes_back_while_a_graph_is_written(quiet, monkeypatch):
    bad = submit(quiet, "true")
    quiet.client.stop(ids(bad))

    def restart():
        with quiet.connect() as other:
            assert other.restart(ids(bad)).done == [bad]
        settled(quiet)

    before_it_is_seen(quiet, monkeypatch, restart)
    answer = graph(quiet, node("true", after=after(bad)), node("true", 0))
    agrees(quiet)
    assert states(quiet, answer.first) == [("pending", "dependency")]


def test_a_key_of_a_graph_that_is_being_written_is_given_to_nobody(quiet, monkeypatch):
    def ask():
        with quiet.connect() as other, pytest.raises(Refused, match="ask again"):
            other.submit(request("true", key="k"))

    before_it_is_seen(quiet, monkeypatch, ask)
    answer = graph(quiet, node("true", key="k"))
    assert quiet.client.submit(request("true", key="k")).first == answer.first


def test_a_key_that_is_taken_meanwhile_leaves_nothing_of_the_graph(quiet, monkeypatch):
    def take():
        with quiet.connect() as other:
            other.submit(request("true", key="k"))

    before_the_first_piece(quiet, monkeypatch, take)
    with pytest.raises(Refused, match="job 2 of the graph: --key: 'k' is that of job"):
        graph(quiet, node("true"), node("true", key="k"))
    nothing_left(quiet, 1)


def test_a_group_that_is_removed_meanwhile_gets_no_jobs(quiet, monkeypatch):
    def remove():
        with quiet.connect() as other:
            other.groups(Groups(action="rm", name="g"))

    quiet.client.groups(Groups(action="add", name="g", workers=1))
    before_the_first_piece(quiet, monkeypatch, remove)
    with pytest.raises(NotFound, match="there is no group 'g'"):
        quiet.client.submit(request("true", group="g", array=[(1, 600)]))
    nothing_left(quiet, 0)


@pytest.mark.parametrize("error", [StoreFailed("no space left"), MemoryError("a defect")])
def test_what_cannot_be_written_to_its_end_keeps_nobody_waiting(quiet, monkeypatch, error):
    parent = submit(quiet, "true")
    kept = quiet.sql("SELECT id, uses FROM environments")

    def breaks_down():
        raise error

    before_it_is_seen(quiet, monkeypatch, breaks_down)
    with pytest.raises(JobdError):
        quiet.client.submit(request(*["true"] * 1300, after=after(parent)))
    nothing_left(quiet, 1)
    assert quiet.sql("SELECT id, uses FROM environments") == kept
    assert quiet.client.stop(ids(parent), removing=True).errors == []


def test_an_unfinished_graph_gives_back_each_environment_as_often_as_it_has_it(quiet, monkeypatch):
    submit(quiet, "true")
    kept = quiet.sql("SELECT id, uses FROM environments")

    def full():
        raise StoreFailed("no space left")

    nodes = [node("true") for _ in range(3)]
    nodes += [msgspec.structs.replace(node("true"), variables={b"A": b"1"}) for _ in range(1200)]
    meanwhile(monkeypatch, quiet.daemon.built.verbs.intake._staging, "reveal", full)
    with pytest.raises(StoreFailed):
        graph(quiet, *nodes)
    nothing_left(quiet, 1)
    assert quiet.sql("SELECT id, uses FROM environments") == kept


def test_an_array_behind_finished_jobs_enters_the_queue_as_one_range(quiet, monkeypatch):
    """Job by job, a million of them would keep all others waiting for half a minute."""
    parent = submit(quiet, "true")
    quiet.client.stop(ids(parent))
    admitted, admit = [], quiet.daemon.built.ground.ledger.admit_range

    def note(entry, last):
        admitted.append((entry.id, last))
        admit(entry, last)

    monkeypatch.setattr(quiet.daemon.built.ground.ledger, "admit_range", note)
    answer = quiet.client.submit(request("true", array=[(1, 1200)], after_any=after(parent)))
    assert admitted == [(answer.first, answer.last)]
    agrees(quiet)


def test_a_graph_of_several_kinds_enters_the_queue(quiet):
    kinds = [{}, {}, {"priority": 5}, {"hold": True}, {"priority": 5}, {"priority": 5}, {}]
    graph(quiet, *(node("true", **kind) for kind in kinds), node("true", 0))
    assert ready(quiet) == [3, 5, 6, 1, 2, 7]
    agrees(quiet)


def test_an_environment_is_made_ready_before_the_writer_has_to_do_with_it(quiet, monkeypatch):
    """It takes longer than all the rest of a submit, and meanwhile nobody else would be served."""
    threads, pack = [], environments.pack_environment

    def noted(environment):
        threads.append(threading.current_thread().name)
        return pack(environment)

    monkeypatch.setattr(environments, "pack_environment", noted)
    for value in (b"1", b"2", b"2"):
        quiet.submit("true", environment={b"A": value})
    graph(quiet, node("true"), msgspec.structs.replace(node("true"), variables={b"A": b"3"}))
    # Whoever submits twice from the same shell has it made ready once.
    assert len(threads) == 4
    assert "writer" not in threads


def graph(inside, *nodes):
    return inside.client.graph(Graph(nodes=list(nodes), environment=ENVIRONMENT))


def nothing_left(inside, jobs):
    tables = ("staged", "dependencies", "arrays")
    assert [inside.sql(f"SELECT COUNT(*) FROM {table}") for table in tables] == [[(0,)]] * 3
    assert inside.sql("SELECT COUNT(*) FROM jobs") == [(jobs,)]
    assert len(inside.sql("SELECT 1 FROM events WHERE event = 'submitted'")) == jobs
    agrees(inside)


# --- groups ---------------------------------------------------------------------------------------


def test_a_job_of_a_removed_group_is_not_restarted_without_it(quiet):
    quiet.client.groups(Groups(action="add", name="g", workers=1))
    job = submit(quiet, "true", group="g")
    quiet.client.stop(ids(job))
    quiet.client.groups(Groups(action="rm", name="g"))
    (error,) = quiet.client.restart(ids(job)).errors
    assert error.text == "is of group g, which was removed; jobctl groups add g --workers N"
    quiet.client.groups(Groups(action="add", name="g", workers=1))
    assert quiet.client.restart(ids(job)).done == [job]


# --- what was chosen, and is no longer meant ------------------------------------------------------


def before_the_first_slice(inside, monkeypatch, action):
    """Which jobs are meant has been read, and nothing is decided yet."""
    meanwhile(monkeypatch, inside.daemon.built.verbs.idempotency, "once", action)


def test_what_has_run_again_meanwhile_is_not_removed_for_its_age(daemon, monkeypatch):
    job = submit(daemon, "true")
    daemon.wait(job)
    long_ago = daemon.job(job).finished_at.timestamp() + 0.001
    wait_until(lambda: time.time() > long_ago)

    def run_again():
        with daemon.connect() as other:
            other.restart(ids(job))
            follow.until_finished(other, ids(job))

    before_the_first_slice(daemon, monkeypatch, run_again)
    acted = daemon.client.rm(Selector(states=[State.COMPLETED], ended_before=long_ago))
    assert acted.done == acted.errors == []
    assert [note.text for note in acted.notices] == [
        "has been changed meanwhile, and is left as it is"
    ]
    assert daemon.job(job).attempt == 2


@pytest.mark.parametrize("act", ["stop", "hold"])
def test_what_was_moved_to_another_group_meanwhile_is_left_there(quiet, monkeypatch, act):
    for name in "ab":
        quiet.client.groups(Groups(action="add", name=name, workers=1))
    first, other = submit(quiet, "true", group="a"), submit(quiet, "true", group="a")

    def move():
        with quiet.connect() as client:
            client.edit(Edit(id=first, group="b"))

    before_the_first_slice(quiet, monkeypatch, move)
    acted = getattr(quiet.client, act)(Selector(groups=["a"], states=[State.PENDING]))
    assert acted.done == [other]
    assert [note.id for note in acted.notices] == [first]
    assert (quiet.job(first).group, states(quiet, first)[0][0]) == ("b", "pending")
    assert quiet.job(first).reason != "held"


def test_what_has_completed_meanwhile_is_not_restarted_as_failed(daemon, monkeypatch, home):
    job = submit(daemon, f"test -e {home}/flag")
    daemon.wait(job)
    assert states(daemon, job) == [("failed", "exit code 1")]

    def succeed():
        (home / "flag").touch()
        with daemon.connect() as other:
            other.restart(ids(job))
            follow.until_finished(other, ids(job))

    before_the_first_slice(daemon, monkeypatch, succeed)
    acted = daemon.client.restart(Selector(states=[State.FAILED]))
    assert [(note.id, note.text) for note in acted.notices] == [(job, "has already completed")]
    assert acted.done == []
    assert daemon.job(job).attempt == 2


@pytest.mark.parametrize("words", [["--finished"], ["--tag", "t", "--state", "completed"]])
def test_a_forced_removal_of_finished_jobs_stops_none_that_runs_again(daemon, monkeypatch, words):
    job = submit(daemon, "test $JOBD_ATTEMPT = 1 || exec sleep 1000", tags=["t"])
    daemon.wait(job)
    client = daemon.connect()

    def run_again():
        with daemon.connect() as other:
            other.restart(ids(job))
        wait_until(lambda: daemon.job(job).state is State.RUNNING)

    # Whichever of the two comes first.
    todo = [run_again]
    for name in ("stop", "rm"):
        meanwhile(monkeypatch, client, name, lambda: todo and todo.pop()())
    said = jobctl("rm", "--force", *words, client=client)
    assert said.out == ""
    assert daemon.job(job).state is State.RUNNING


# --- a transaction that fails ---------------------------------------------------------------------


def test_events_of_neighbours_of_one_that_failed_are_told(quiet, monkeypatch):
    """Each gets a transaction of its own then, and whoever watches hears of those that held."""
    daemon, held = quiet.daemon, threading.Event()
    monkeypatch.setattr("jobd.daemon.execution.dispatcher._RETRY_S", 0.01)
    before = daemon.built.ground.notifier.last_event

    def fail():
        daemon.built.ground.tables.event_log.add(None, "spoilt", "", 1)
        raise sqlite3.OperationalError("disk I/O error")

    daemon.built.ground.writer.post(held.wait)
    daemon.built.ground.writer.post(
        lambda: daemon.built.ground.tables.event_log.add(None, "kept", "", 1)
    )
    daemon.built.ground.writer.post(fail)
    held.set()
    wait_until(lambda: daemon.built.ground.notifier.last_event == before + 1)
    assert quiet.sql("SELECT event FROM events WHERE seq > ?", before) == [("kept",)]


def test_orders_of_a_slice_are_carried_out_though_the_next_one_fails(make, monkeypatch):
    monkeypatch.setattr("jobd.daemon.commands.bulk.SLICE", 1)
    daemon = make(workers=2)
    first = daemon.submit(*["echo here; exec sleep 100"] * 2)
    wait_until(lambda: daemon.output(first) == daemon.output(first + 1) == b"here\n")
    original, orders = daemon.daemon.built.ground.tables.jobs.stop_ordered, []

    def order(job, *rest):
        if orders and job != orders[0]:
            raise sqlite3.OperationalError("disk I/O error")
        orders.append(job)
        original(job, *rest)

    monkeypatch.setattr(daemon.daemon.built.ground.tables.jobs, "stop_ordered", order)
    said = f"could not be saved: disk I/O error. Before that, 1 job had been changed: {first}"
    with pytest.raises(StoreFailed, match=said):
        daemon.client.stop(ids(first, first + 1))
    monkeypatch.undo()
    daemon.wait(first)
    assert daemon.job(first).state is State.STOPPED
    assert daemon.job(first + 1).state is State.RUNNING


def test_a_forced_removal_by_state_spares_what_ends_by_itself_meanwhile(daemon, monkeypatch, home):
    """It was to remove what runs; with its output goes what nobody has seen yet."""
    gate = home / "gate"
    os.mkfifo(gate)
    job = submit(daemon, f"read _ <{gate}; echo precious", tags=["t"])
    wait_until(lambda: daemon.job(job).state is State.RUNNING)
    client = daemon.connect()

    def end_by_itself():
        gate.write_text("\n")
        wait_until(lambda: daemon.job(job).state is State.COMPLETED)

    meanwhile(monkeypatch, client, "stop", end_by_itself)
    said = jobctl("rm", "--force", "--tag", "t", "--state", "running", client=client)
    assert said.out == ""
    assert daemon.job(job).state is State.COMPLETED
    assert daemon.output(job) == b"precious\n"
    assert jobctl("rm", "--force", "--tag", "t", client=client).out == f"{job}\n"
