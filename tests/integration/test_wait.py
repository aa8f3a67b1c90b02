"""What `wait` waits for, and which jobs it then speaks of."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobd.client import follow
from jobd.contract.models import Selector, Wait
from jobd.contract.states import State
from tests.helpers import wait_until
from tests.integration.inside import ids, submit_of


@pytest.fixture
def gate(home):
    """A line of shell that waits, and a function that lets one who waits go on."""
    path = home / "gate"
    os.mkfifo(path)
    number = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    yield f"read _ <{path}", lambda: os.write(number, b"\n")
    os.close(number)


@pytest.fixture
def beside():
    """A function that waits in a thread of its own; what it gives has the result."""
    with ThreadPoolExecutor(2) as pool:
        yield pool.submit


def is_waited_for(daemon):
    """Somebody waits for news of jobs."""
    notifier = daemon.daemon.built.ground.notifier
    return lambda: notifier._single or notifier._several


def counted(waited):
    return {state.value: count for state, count in waited.counts.items() if count}


ALL = Selector(all=True)
UNFINISHED = Selector(all=True, states=[State.PENDING, State.RUNNING])


def test_all_are_also_those_that_ended_a_moment_before(daemon):
    """A script that waits for all of its jobs must not hear that all went well."""
    daemon.wait(daemon.submit("exit 3"))
    waited = follow.until_finished(daemon.client, ALL, timeout=60)
    assert (waited.done, waited.total, counted(waited)) == (True, 1, {"failed": 1})
    assert [job.exit_code for job in waited.jobs] == [3]
    assert follow.settled(daemon.client, ALL) == Selector(ids=[(1, 1)])


def test_unfinished_are_those_that_have_not_ended_now(daemon, gate):
    waits, go_on = gate
    daemon.wait(daemon.submit("exit 3"))
    job = daemon.submit(waits)
    assert follow.settled(daemon.client, UNFINISHED) == ids(job)
    go_on()
    assert counted(daemon.wait(job)) == {"completed": 1}


@pytest.mark.parametrize(
    ("last", "counts"),
    [("exit 3", {"failed": 1, "running": 1}), ("true", {"completed": 2})],
)
def test_fail_fast_ends_with_the_first_failure_and_not_before(daemon, gate, beside, last, counts):
    waits, go_on = gate
    first = daemon.submit(waits)
    failing = daemon.submit(f"{waits}; {last}")
    wait_until(lambda: daemon.job(failing).state is State.RUNNING)
    request = Wait(selector=ids(first, failing), fail_fast=True)
    waiting = beside(follow.until_met, daemon.connect(), request, timeout=60)
    wait_until(is_waited_for(daemon))
    assert not waiting.done()
    if last == "true":
        go_on()
        go_on()
    else:
        # Whichever reads the line: the other one still runs where that is the failing one.
        daemon.client.stop(ids(failing))
        counts = {"stopped": 1, "running": 1}
    waited = waiting.result(60)
    assert (waited.done, counted(waited)) == (True, counts)
    go_on()
    daemon.wait(first)


def test_fail_fast_knows_what_had_failed_before(daemon, gate):
    waits, go_on = gate
    first, failing = daemon.submit(waits), daemon.submit("exit 3")
    daemon.wait(failing)
    request = Wait(selector=ids(first, failing), fail_fast=True)
    waited = follow.until_met(daemon.client, request, timeout=60)
    assert (waited.done, counted(waited)) == (True, {"failed": 1, "running": 1})
    assert [job.id for job in waited.jobs] == [failing]
    go_on()
    daemon.wait(first)


def test_whoever_waits_for_a_job_to_run_is_told_when_it_does(make, gate, beside):
    waits, go_on = gate
    daemon = make(workers=1)
    first, second = daemon.submit(waits), daemon.submit(waits)
    request = Wait(selector=ids(first, second), running=True)
    waited = daemon.client.wait(request)
    assert (waited.done, counted(waited)) == (False, {"pending": 1, "running": 1})
    waiting = beside(follow.until_met, daemon.connect(), request, timeout=60)
    go_on()
    waited = waiting.result(60)
    assert (waited.done, counted(waited)) == (True, {"completed": 1, "running": 1})
    go_on()
    daemon.wait(second)


def test_idle_is_when_nothing_is_left_to_run_also_of_what_came_meanwhile(daemon, gate, beside):
    waits, go_on = gate
    daemon.wait(daemon.submit("exit 4"))
    daemon.submit(waits)
    waiting = beside(follow.until_idle, daemon.connect(), Selector(), timeout=60)
    wait_until(is_waited_for(daemon))
    daemon.wait(daemon.submit("exit 3"))
    last = daemon.submit(waits)
    wait_until(lambda: daemon.job(last).state is State.RUNNING)
    go_on()
    go_on()
    waited = waiting.result(60)
    assert (waited.done, waited.total) == (True, 3)
    assert counted(waited) == {"completed": 2, "failed": 1}
    assert [job.id for job in waited.jobs] == [3]


def test_idle_speaks_of_what_is_selected_alone_and_never_of_what_is_gone(daemon, gate, beside):
    waits, go_on = gate
    named = daemon.client.submit(submit_of(waits, waits, name="mine"))
    waiting = beside(follow.until_idle, daemon.connect(), Selector(name="mine"), timeout=60)
    wait_until(is_waited_for(daemon))
    other = daemon.submit("exit 3")
    daemon.wait(other)
    daemon.client.stop(ids(named.first))
    daemon.wait(named.first)
    daemon.client.rm(ids(named.first, other))
    go_on()
    waited = waiting.result(60)
    assert (waited.total, counted(waited), waited.missing) == (1, {"completed": 1}, [])


def test_idle_gives_up_when_its_time_is_over(daemon, gate):
    waits, go_on = gate
    job = daemon.submit(waits)
    waited = follow.until_idle(daemon.client, Selector(), timeout=0.05)
    assert (waited.done, waited.ids) == (False, [(job, job)])
    go_on()
    daemon.wait(job)


def test_nothing_to_wait_for_is_idle(daemon):
    daemon.wait(daemon.submit("exit 3"))
    waited = follow.until_idle(daemon.client, Selector())
    assert (waited.done, waited.total) == (True, 0)


@pytest.mark.parametrize("how", [{"any": True}, {"fail_fast": True}, {"running": True}, {}])
def test_of_jobs_that_are_removed_nothing_is_waited_for(daemon, how):
    first = daemon.submit("true", "true")
    daemon.wait(first, first + 1)
    daemon.client.rm(ids(first, first + 1))
    waited = daemon.client.wait(Wait(selector=ids(first, first + 1), wait=5.0, **how))
    assert (waited.done, waited.total, waited.missing) == (True, 0, [first, first + 1])


@pytest.mark.parametrize("any_", [True, False])
def test_one_that_is_removed_before_the_wait_has_begun_is_not_waited_for(daemon, monkeypatch, any_):
    """It has ended between the look and the registration, and is gone."""
    query, job = daemon.daemon.built.questions.queries.wait, daemon.submit("sleep 60")
    register = "register_any" if any_ else "register"
    real = getattr(query._notifier, register)

    def late(jobs):
        monkeypatch.undo()
        with daemon.connect() as other:
            other.stop(ids(job), grace=0.1)
            follow.until_finished(other, ids(job))
            other.rm(ids(job))
        return real(jobs)

    monkeypatch.setattr(query._notifier, register, late)
    waited = daemon.client.wait(Wait(selector=ids(job), wait=5.0, any=any_))
    assert (waited.done, waited.total) == (True, 0)
