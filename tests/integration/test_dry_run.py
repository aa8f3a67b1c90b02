"""`--dry-run` tells what would be done, by the very decisions, and leaves everything as it was."""

import signal

import pytest

from jobd.contract.errors import NotFound
from jobd.contract.models import Events, Options, Pause, Restart, Resume, Rm, Selector, Stop
from jobd.contract.states import State
from jobd.daemon.execution.signaller import Signallers
from tests.helpers import wait_until
from tests.integration.inside import ids, submit_of

EVERYTHING = Selector(all=True)


@pytest.fixture
def queue(make):
    """Of each state one: 1 failed, with 2 behind it; 3 runs, and 4 waits for it; 5 is held."""
    made = make(workers=2)
    made.submit("exit 3")
    made.wait(1)
    submit(made, "true", hold=True, after_any=[(1, 1)])
    made.submit("exec sleep 1000")
    wait_until(lambda: made.job(3).state is State.RUNNING)
    submit(made, "true", after=[(3, 3)])
    submit(made, "true", hold=True)
    return made


def submit(inside, line, **options):
    request = submit_of(line)
    chosen = Options(**options)
    return inside.client.submit(type(request)(
        commands=request.commands, cwd=request.cwd, environment=request.environment, options=chosen,
    )).first  # fmt: skip


def everything(inside):
    """What disk and memory know of the jobs, and what whoever follows the history was told."""
    ground = inside.daemon.built.ground
    jobs = inside.sql("SELECT id, state, held, paused, attempt, reason FROM jobs ORDER BY id")
    events = inside.sql("SELECT MAX(seq) FROM events")
    ledger = ground.ledger
    return jobs, events, {**ledger.counts}, ledger.busy, ground.notifier.last_event


CHANGES = {
    "stop": lambda client, dry_run: client.stop(EVERYTHING, grace=0.0, dry_run=dry_run),
    "stop to remove": lambda client, dry_run: client.request(
        Stop(selector=ids(2, 3, 5), removing=True, dry_run=dry_run), Stop.about.reply
    ),
    "hold": lambda client, dry_run: client.hold(EVERYTHING, dry_run=dry_run),
    "start": lambda client, dry_run: client.start(EVERYTHING, dry_run=dry_run),
    "restart": lambda client, dry_run: client.request(
        Restart(selector=ids(1, 3, 9), environment={b"A": b"1"}, dry_run=dry_run),
        Restart.about.reply,
    ),
    "rm": lambda client, dry_run: client.request(
        Rm(selector=EVERYTHING, dry_run=dry_run), Rm.about.reply
    ),
    "rm of one that is waited for": lambda client, dry_run: client.rm(ids(1, 9), dry_run=dry_run),
    "pause": lambda client, dry_run: client.pause(Pause(selector=EVERYTHING, dry_run=dry_run)),
    "resume": lambda client, dry_run: client.resume(Resume(selector=EVERYTHING, dry_run=dry_run)),
    "pause of a group": lambda client, dry_run: client.pause(
        Pause(group="default", running=True, dry_run=dry_run)
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_what_is_told_is_what_is_done(queue, change):
    before = everything(queue)
    told = change(queue.client, dry_run=True)
    assert everything(queue) == before
    assert change(queue.client, dry_run=True) == told
    done = change(queue.client, dry_run=False)
    assert (told.done, told.notices, told.errors) == (done.done, done.notices, done.errors)
    assert told.attempts == done.attempts


def test_whoever_follows_the_history_misses_nothing_behind_it(queue):
    after = queue.client.events(Events(after=None)).next
    queue.client.stop(EVERYTHING, dry_run=True)
    queue.client.hold(ids(4))
    page = queue.client.events(Events(after=after, wait=20.0))
    assert [(event.job, event.event) for event in page.events] == [(4, "held")]
    assert page.next == after + 1


def test_what_was_told_runs_on_as_it_did(queue):
    """Nothing was ordered, signalled or put into the queue."""
    for change in CHANGES.values():
        change(queue.client, dry_run=True)
    queue.client.stop(ids(3))
    queue.wait(3, 4)
    assert [queue.job(job).state for job in (1, 2, 3, 4, 5)] == [
        "failed", "pending", "stopped", "failed", "pending",
    ]  # fmt: skip


@pytest.fixture
def sent(monkeypatch):
    """The signals that jobs are sent from now on."""
    numbers, post = [], Signallers.post

    def noted(signallers, run, number, *needed):
        numbers.append(number)
        post(signallers, run, number, *needed)

    monkeypatch.setattr(Signallers, "post", noted)
    return numbers


def test_one_that_stopped_itself_is_left_alone(daemon, sent):
    """`pause` and `resume` tell it again what it was told before, once they are on disk."""
    job = daemon.submit("kill -STOP $$; exit 3")
    wait_until(lambda: daemon.job(job).pid)
    for change in CHANGES.values():
        change(daemon.client, dry_run=True)
    assert sent == []
    daemon.client.resume(Resume(selector=ids(job)))
    assert sent == [signal.SIGCONT]
    daemon.client.stop(ids(job), grace=0.0)


def test_one_that_stands_still_is_not_signalled(daemon, sent):
    job = daemon.submit("exec sleep 1000")
    wait_until(lambda: daemon.job(job).pid)
    daemon.client.pause(Pause(selector=ids(job)))
    for change in CHANGES.values():
        change(daemon.client, dry_run=True)
    assert sent == [signal.SIGSTOP]
    daemon.client.pause(Pause(selector=ids(job)))
    assert sent == [signal.SIGSTOP] * 2


def test_many_are_told_in_slices(queue):
    # A job that has ended meanwhile is none that would be stopped.
    queue.client.pause(Pause(group="default"))
    answer = queue.client.submit(queue.many("true", 1201))
    told = queue.client.stop(Selector(ids=[(answer.first, answer.last)]), dry_run=True)
    assert told.done == list(range(answer.first, answer.last + 1))


def test_a_group_that_is_not_there(queue):
    with pytest.raises(NotFound, match="there is no group 'none'"):
        queue.client.pause(Pause(group="none", dry_run=True))
