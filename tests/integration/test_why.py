"""What is said of a job that waits: its reason as it is now, and the words with their numbers."""

from jobd.contract.models import Groups, Lack, List, Options, Pause, Selector, Submit
from jobd.contract.states import Resource, State
from jobd.daemon.queries.explain_facts import Inquiry
from tests.helpers import wait_until
from tests.integration.inside import ids, submit_of
from tests.jobctl.fakes import jobctl


def submit(inside, line, **options):
    request = submit_of(line)
    return inside.client.submit(
        Submit(
            commands=request.commands,
            options=Options(**options),
            cwd=b"/",
            environment=request.environment,
        )
    ).first


def told(inside, job):
    shown = inside.client.show(job)
    return shown.job.reason, shown.why


def test_a_reason_is_the_one_of_this_moment(daemon):
    """On disk they are all `queued`; what keeps them changes without a write."""
    gate = submit(daemon, "sleep 60")
    daemon.client.groups(Groups(action="add", name="a", workers=1))
    daemon.client.workers(1)
    first, second = submit(daemon, "true", group="a"), submit(daemon, "true", group="a")
    assert told(daemon, second) == ("queued", "1 of 1 workers busy; 1 job before it")
    daemon.client.pause(Pause(group="a"))
    assert told(daemon, first)[0] == "group paused"
    (listed, _) = daemon.client.list(List(selector=Selector(states=[State.PENDING]))).jobs
    assert (listed.id, listed.reason) == (first, "group paused")
    daemon.client.groups(Groups(action="set", name="a", workers=0))
    heavy = submit(daemon, "true", slots=1)
    assert told(daemon, heavy) == ("queued", "1 of 1 workers busy; 2 jobs before it")
    daemon.client.stop(ids(gate, first, second, heavy))
    daemon.wait(gate)


def test_a_full_group(daemon):
    daemon.client.groups(Groups(action="add", name="a", workers=1))
    running = submit(daemon, "sleep 60", group="a")
    waiting = [submit(daemon, "true", group="a") for _ in range(3)]
    assert told(daemon, waiting[2]) == (
        "group full",
        "1 of 1 workers of group a busy; 2 jobs before it",
    )
    daemon.client.stop(ids(running, *waiting))
    daemon.wait(running)


def test_whom_it_waits_for(quiet):
    quiet.client.workers(0)
    parents = [submit(quiet, "true") for _ in range(7)]
    quiet.client.hold(ids(parents[1]))
    child = submit(
        quiet, "true", after=[(parents[0], parents[-1])], after_any=[(parents[2], parents[2])]
    )
    reason, why = told(quiet, child)
    assert reason == "dependency"
    assert why == (
        f"waits for {parents[0]} (pending), {parents[1]} (pending, held), {parents[2]} (pending), "
        f"{parents[3]} (pending), {parents[4]} (pending) and 2 more"
    )
    assert quiet.client.show(child).job.waits_for == parents


def test_times(daemon):
    later = submit(daemon, "true", delay=7200.5)
    reason, why = told(daemon, later)
    assert reason == "delayed"
    assert why.endswith(", in 2h00m")
    shown = daemon.client.show(later).job
    assert abs((shown.not_before - shown.submitted_at).total_seconds() - 7200.5) < 1
    again = submit(daemon, "exit 1", retries=5, retry_delay=3600)
    wait_until(lambda: told(daemon, again)[0] == "retry backoff")
    assert told(daemon, again)[1].startswith("retry 1 of 5 in 59m")
    assert daemon.client.show(again).job.failures == 1


def test_counting_stops_somewhere(quiet, monkeypatch):
    quiet.client.workers(0)
    held = [submit(quiet, "true") for _ in range(4)]
    quiet.client.hold(ids(*held[:3]))
    last = submit(quiet, "true")
    entry = quiet.daemon.built.ground.reader.job(last).entry
    assert quiet.daemon.built.ground.reader.ahead_of(entry, None, 100) == (1, False)
    assert quiet.daemon.built.ground.reader.ahead_of(entry, "other", 100) == (0, False)
    assert quiet.daemon.built.ground.reader.ahead_of(entry, None, 2) == (1, False)
    assert quiet.daemon.built.ground.reader.ahead_of(entry, None, 1) == (1, True)
    monkeypatch.setattr("jobd.daemon.queries.explain_facts.COUNTED", 0)
    row = quiet.daemon.built.ground.reader.job(last)
    ground = quiet.daemon.built.ground
    facts = Inquiry(ground.ledger, ground.engines.placement, ground.reader).facts(row, 0.0)
    assert (facts.ahead, facts.ahead_more) == (1, True)


def test_what_can_never_start_is_told_by_the_daemon_to_whoever_lists_it(make):
    daemon = make(workers=4, gpus={"devices": [0, 1]})
    client = daemon.client
    client.groups(Groups(action="add", name="g", workers=3))
    gate = submit(daemon, "sleep 60", slots=4)
    all_of_them = submit(daemon, "true", slots=4)
    all_of_the_group = submit(daemon, "true", slots=3, group="g")
    waits = submit(daemon, "true", gpus=2)
    client.workers(2)
    client.groups(Groups(action="set", name="g", workers=1))
    pending = client.list(List(selector=Selector(states=[State.PENDING])))
    assert pending.lacks == {
        all_of_them: [Lack(what=Resource.WORKERS, needs=4, have=2)],
        all_of_the_group: [
            Lack(what=Resource.WORKERS, needs=3, have=2),
            Lack(what=Resource.GROUP, needs=3, have=1),
        ],
    }
    said = jobctl("status", client=client).out
    assert f"{all_of_them}: needs 4 workers, there are 2 " in said
    assert f"{all_of_the_group}: needs 3 workers, group g has 1 " in said
    assert told(daemon, all_of_them)[1] == "needs 4 workers and there are 2; more: jobctl workers N"
    client.stop(ids(gate, all_of_them, all_of_the_group, waits))
    daemon.wait(gate)
