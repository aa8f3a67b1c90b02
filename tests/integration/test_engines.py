"""Several engines in one daemon: this machine, and a cluster that does as the test says."""

import errno
import signal
import threading
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from jobd.contract.errors import JobdError, NotFound, Refused
from jobd.contract.models import (
    Command,
    Edit,
    Graph,
    List,
    Node,
    Options,
    Output,
    Pause,
    Resume,
)
from jobd.core.usage import Usage
from jobd.daemon.commands import deletion
from jobd.daemon.execution import breaker, signaller
from jobd.engines import loading
from jobd.engines.base import Refusal
from jobd.engines.fake import FakeEngine, World
from tests.helpers import wait_until
from tests.integration.inside import Inside, ids, submit_of, submit_with
from tests.integration.test_following import Following

FAR = {"far": {"engine": "cluster"}}


def registered(monkeypatch, **factories):
    """As if these had been installed, each under its name."""
    real = loading.entry_points

    def entry_points(*, group, **named):
        mine = [
            SimpleNamespace(name=name, load=lambda made=made: made)
            for name, made in factories.items()
            if named.get("name", name) == name
        ]
        return [*real(group=group, **named), *mine]

    monkeypatch.setattr(loading, "entry_points", entry_points)


@pytest.fixture
def world(monkeypatch):
    made = World(host="n7")
    registered(monkeypatch, cluster=made)
    return made


@pytest.fixture
def both(make, world):
    """Jobs of the group `far` run on the cluster, all others here."""
    return make(workers=6, groups=FAR)


@pytest.fixture
def brief(monkeypatch):
    monkeypatch.setattr(breaker, "_FIRST_S", 0.05)


def runs(inside, world, job):
    """Its attempt on the cluster, once it runs there."""
    wait_until(lambda: any(one.launch.job == job for one in world.started))
    wait_until(lambda: inside.daemon.built.execution.runs[job].process is not None)
    return world.of_job(job)


def state(inside, job):
    found = inside.job(job)
    return found.state, found.reason


def replaced(inside, jobd_home, **config):
    """The daemon is killed, as it were, and another one begins in its place."""
    inside.daemon.close(clean=False)
    inside.abandon()
    return Inside(jobd_home, **config)


@pytest.fixture
def heirs():
    made = []
    yield made
    for inside in made:
        inside.close()


# --- side by side ---------------------------------------------------------------------------------


def test_a_group_says_where_its_jobs_run(both, world):
    far, near = submit_with(both, "x", group="far"), submit_with(both, "echo here")
    attempt = runs(both, world, far)
    both.wait(near)
    running, here = both.job(far), both.job(near)
    assert (running.host, running.pid, running.group) == ("n7", None, "far")
    assert here.host not in ("", "n7")
    assert here.pid is not None
    attempt.host = "n9"
    number = attempt.launch.token[:8]
    assert (both.job(far).engine, both.job(far).engine_id) == ("cluster", number)
    attempt.used = Usage(1.5, 2048)
    assert both.job(far).host == "n9"
    attempt.ends(exit_code=3)
    both.wait(far)
    job = both.job(far)
    assert (job.exit_code, job.host, job.pid) == (3, "n9", None)
    assert (job.cpu_s, job.max_rss_kb) == (1.5, 2048)
    assert (job.engine, job.engine_id, both.job(near).engine_id) == ("cluster", number, None)
    shown = both.client.show(far).attempts
    assert [(one.engine, one.engine_id) for one in shown] == [("cluster", number)]
    assert both.sql("SELECT job, engine, host FROM attempts WHERE engine = 'cluster'") == [
        (far, "cluster", "n9")
    ]


@pytest.mark.parametrize("is_stopped", [False, True])
def test_what_its_engine_has_taken_and_never_begun_waits_again(
    both, world, monkeypatch, is_stopped
):
    """As where a cluster ends what it was to run in: that is known, costs no attempt, and is no
    trouble for which anybody waits.
    """
    refused = []
    monkeypatch.setattr(breaker.Breaker, "refused", lambda _, why: refused.append(why))
    job = submit_with(both, "x", group="far")
    attempt = runs(both, world, job)
    attempt.ignores = (signal.SIGTERM,)
    if is_stopped:
        both.client.stop(ids(job), grace=60.0)
        wait_until(lambda: attempt.signals == [signal.SIGTERM])
    attempt.never_begins("it had ended before")
    if is_stopped:
        both.wait(job)
        assert state(both, job) == ("stopped", "by user")
        assert len(world.started) == 1
        return
    wait_until(lambda: len(world.started) == 2)
    runs(both, world, job).ends(exit_code=0)
    both.wait(job)
    found = both.job(job)
    assert (found.state, found.attempt, found.failures) == ("completed", 1, 0)
    assert refused == []
    assert [one.event for one in both.client.show(job).events] == [
        "submitted", "started", "retrying", "started", "completed",
    ]  # fmt: skip


def test_an_option_that_its_engine_does_not_take_is_refused_at_submit(both, world):
    world.options = ["--mem=8G"]
    job = submit_with(both, "x", group="far", engine_options=["--mem=8G"])
    assert runs(both, world, job).launch.options == ("--mem=8G",)
    for group, engine, option, why in (
        ("default", "local", "--mem=8G", "this machine has no options of its own"),
        ("far", "cluster", "--fast", "there is no such option"),
    ):
        with pytest.raises(Refused) as refused:
            submit_with(both, "x", group=group, engine_options=[option])
        assert refused.value.message == (
            f"--engine-option: {option}: {why}; jobs of group {group} run on engine {engine}: "
            "leave it out, or name a group of another engine: --group"
        )
    assert [each.id for each in both.client.list(List()).jobs] == [job]


def test_a_job_with_an_option_of_one_engine_goes_to_no_group_of_another(make, world):
    both = make(groups={**FAR, "near": {"workers": 1}, "farther": {"workers": 1, **FAR["far"]}})
    world.options = ["--mem=8G"]
    element = both.client.submit(
        replace(
            submit_of("x"), array=[(1, 2)],
            options=Options(group="far", hold=True, engine_options=["--mem=8G"]),
        )
    ).last  # fmt: skip
    alone = submit_with(both, "x", group="far", hold=True, engine_options=["--mem=8G"])
    for job in (element, alone):
        with pytest.raises(Refused) as refused:
            both.client.edit(Edit(id=job, group="near"))
        assert refused.value.message == (
            f"--group: job {job} has an --engine-option, --mem=8G: this machine has no options of "
            "its own; jobs of group near run on engine local: name a group of the engine that "
            "takes it, or submit it anew without"
        )
        assert both.job(job).group == "far"
        both.client.edit(Edit(id=job, group="farther"))
        assert both.job(job).group == "farther"
    free = submit_with(both, "x", group="far", hold=True)
    both.client.edit(Edit(id=free, group="near"))
    assert both.job(free).group == "near"


def test_a_job_whose_group_is_on_another_engine_by_now_is_not_run_again(
    both, world, jobd_home, heirs
):
    """It could only fail there: whoever asks for it hears that at once, and what to do."""
    world.options = ["--mem=8G"]
    options = {"group": "far", "engine_options": ["--mem=8G"]}
    done, stopped = (submit_with(both, "x", **options) for _ in range(2))
    held, free = (submit_with(both, "x", **more) for more in (options | {"hold": True}, {}))
    runs(both, world, done).ends(exit_code=3)
    runs(both, world, stopped)
    both.client.stop(ids(stopped), grace=0.0)
    both.wait(done, stopped, free)
    heir = replaced(both, jobd_home, workers=6, groups={"far": {"workers": 2}})
    heirs.append(heir)
    why = (
        "has an --engine-option, --mem=8G: this machine has no options of its own; jobs of group "
        "far run on engine local: "
    )
    anew = "submit it anew in a group of the engine that does: jobctl submit --like {} --group NAME"
    edit = "name a group of the engine that does: jobctl edit {} --group NAME"
    for asked, job, step in (
        (heir.client.restart, done, anew),
        (heir.client.restart, stopped, anew),
        (heir.client.start, stopped, anew),
        (heir.client.start, held, edit),
    ):
        before = state(heir, job)
        acted = asked(ids(job))
        assert (acted.done, [each.text for each in acted.errors]) == ([], [why + step.format(job)])
        assert (state(heir, job), heir.job(job).attempt) == (before, int(job != held))
    assert heir.client.restart(ids(done, free)).done == [free], "only what has such options"


def test_an_option_is_refused_also_while_its_engine_is_away(both, world):
    world.options = []
    world.goes_away("no route")
    with pytest.raises(Refused, match="--engine-option: --fast"):
        submit_with(both, "x", group="far", engine_options=["--fast"])


def test_a_node_of_a_graph_is_named_whose_option_no_engine_takes(both):
    nodes = [
        Node(command=Command(argv=[b"true"]), cwd=b"/", options=Options(engine_options=given))
        for given in ([], ["--fast"])
    ]
    with pytest.raises(Refused, match="job 2 of the graph: --engine-option: --fast: "):
        both.client.graph(Graph(nodes=nodes))
    assert both.client.list(List()).jobs == []


def test_what_a_job_uses_is_looked_at_while_somebody_looks(both, world, monkeypatch):
    looks, usage = [], FakeEngine.usage
    monkeypatch.setattr(FakeEngine, "usage", lambda *asked: looks.append(1) or usage(*asked))
    far, near = submit_with(both, "x", group="far"), submit_with(both, "exec sleep 100")
    runs(both, world, far).used = Usage(1.5, 2048, 1024, 512)
    wait_until(lambda: both.daemon.built.execution.runs[near].process is not None)
    assert both.job(far).cpu_s is None
    assert {job.rss_kb for job in both.client.list(List()).jobs} == {None}
    assert looks == []
    there = both.client.show(far, usage=True).job
    assert (there.cpu_s, there.max_rss_kb, there.rss_kb, there.gpu_memory_kb) == (
        1.5, 2048, 1024, 512
    )  # fmt: skip
    by_id = {job.id: job for job in both.client.list(List(usage=True)).jobs}
    assert by_id[far].rss_kb == 1024
    assert by_id[near].rss_kb > 0
    assert by_id[near].max_rss_kb > 0
    assert by_id[near].cpu_s >= 0.0
    assert looks == [1]
    world.goes_away("maintenance")
    assert both.client.show(near, usage=True).job.rss_kb > 0
    world.comes_back()


def test_an_engine_gets_no_more_than_it_takes(both, world):
    """The queue stays here: the next one that comes is the best of those that wait."""
    world.capacity = 2
    first = [submit_with(both, "x", group="far") for _ in range(2)]
    for job in first:
        runs(both, world, job)
    later = submit_with(both, "x", group="far")
    urgent = submit_with(both, "x", group="far", priority=9)
    near = submit_with(both, "exit 4")
    both.wait(near)
    assert len(world.started) == 2
    assert {state(both, job) for job in (later, urgent)} == {("pending", "queued")}
    world.of_job(first[0]).ends(exit_code=0)
    both.wait(first[0])
    runs(both, world, urgent)
    assert state(both, later) == ("pending", "queued")
    for job in (first[1], urgent):
        world.of_job(job).ends(exit_code=0)
    runs(both, world, later).ends(exit_code=0)
    both.wait(later)


def test_what_a_job_is_started_with_is_the_same_everywhere(both, world):
    job = submit_with(both, "echo $X", group="far", nice=5, slots=2, time_limit=60.0)
    launch = runs(both, world, job).launch
    assert launch.argv == [b"/bin/sh", b"-c", b"echo $X"]
    assert (launch.job, launch.attempt, launch.nice, launch.cwd) == (job, 1, 5, b"/")
    assert launch.environment[b"JOBD_GROUP"] == b"far"
    assert (launch.group, launch.slots, launch.gpus, launch.time_limit) == ("far", 2, 0, 60.0)
    assert launch.environment[b"JOBD_PROGRESS"].startswith(b"memory:")
    world.of_job(job).ends(exit_code=0)
    both.wait(job)


def test_its_output_is_read_and_followed_where_it_is(both, world):
    job = submit_with(both, group="far")
    attempt = runs(both, world, job)
    follower = Following(both, job)
    attempt.prints(b"one\n")
    wait_until(lambda: follower.said == b"one\n")
    attempt.prints(b"two\n")
    wait_until(lambda: follower.said == b"one\ntwo\n")
    assert both.output(job, tail=1) == b"two\n"
    assert both.output(job, offset=4) == b"two\n"
    attempt.prints(b"bad\n")
    attempt.ends(exit_code=1)
    waited = both.wait(job)
    assert follower.ended() == b"one\ntwo\nbad\n"
    assert both.job(job).output_path.startswith("memory:")
    assert waited.last_lines == {job: "bad"}
    both.client.rm(ids(job))
    wait_until(lambda: world.workspace.output_of(job, 1).size() == 0)


def test_whoever_follows_a_silent_job_elsewhere_does_not_look(both, world, monkeypatch):
    job = submit_with(both, group="far")
    attempt = runs(both, world, job)
    output, reads = world.workspace.output_of(job, 1), []
    piece = output.piece
    monkeypatch.setattr(output, "piece", lambda *a, **k: (reads.append(a), piece(*a, **k))[1])
    follower = Following(both, job)
    wait_until(lambda: len(reads) >= 3)
    both.wait(submit_with(both, "echo other"))
    assert len(reads) == 3, "twice to say at once what there is, and once since when it is woken"
    attempt.prints(b"x")
    wait_until(lambda: follower.said == b"x")
    attempt.ends(exit_code=0)
    follower.ended()


def test_output_of_an_earlier_attempt_is_read_where_that_ran(both, world):
    job = submit_with(both, group="far")
    runs(both, world, job).prints(b"first")
    world.of_job(job).ends(exit_code=0)
    both.wait(job)
    both.client.restart(ids(job))
    wait_until(lambda: len(world.started) == 2)
    assert both.output(job, attempt=1) == b"first"
    world.of_job(job).ends(exit_code=0)
    both.wait(job)


def test_its_progress_is_seen(both, world):
    printing, reporting = submit_with(both, group="far"), submit_with(both, group="far")
    runs(both, world, printing).prints(b"40%\n")
    runs(both, world, reporting).reports(b"60 half way\n")
    wait_until(lambda: both.job(printing).progress == 40)
    wait_until(lambda: both.job(reporting).progress_message == "half way")
    for job in (printing, reporting):
        world.of_job(job).ends(exit_code=0)
    both.wait(printing, reporting)


def test_orders_reach_it(both, world):
    job = submit_with(both, group="far")
    attempt = runs(both, world, job)
    both.client.pause(Pause(selector=ids(job)))
    wait_until(lambda: attempt.stands_still)
    both.client.resume(Resume(selector=ids(job)))
    wait_until(lambda: not attempt.stands_still)
    both.client.stop(ids(job))
    both.wait(job)
    assert state(both, job) == ("stopped", "by user")
    assert attempt.signals[-1] == signal.SIGTERM


def test_a_slow_engine_holds_up_no_signal_of_another(both, world, monkeypatch):
    entered, free = threading.Event(), threading.Event()
    far, near = submit_with(both, group="far"), submit_with(both, "sleep 100")
    attempt = runs(both, world, far)
    wait_until(lambda: both.job(near).pid)
    slow = attempt.receives
    monkeypatch.setattr(
        attempt, "receives", lambda number: (entered.set(), free.wait(30), slow(number))
    )
    both.client.stop(ids(far))
    assert entered.wait(30)
    both.client.stop(ids(near))
    both.wait(near)
    assert state(both, far)[0] == "running"
    free.set()
    both.wait(far)


def test_one_that_is_slow_to_let_go_holds_up_no_record(both, world, monkeypatch):
    entered, free = threading.Event(), threading.Event()
    tidy = world.workspace.tidy
    monkeypatch.setattr(
        world.workspace, "tidy", lambda *args: (entered.set(), free.wait(30), tidy(*args))
    )
    far = submit_with(both, group="far")
    attempt = runs(both, world, far)
    attempt.reports(b"50\n")
    attempt.ends(exit_code=0)
    both.wait(far)
    assert entered.wait(30)
    both.wait(submit_with(both, "true"))
    assert attempt.is_reaped
    free.set()
    wait_until(lambda: world.workspace.report_of(far, 1, 9).news() is None)


def test_one_whose_output_is_slow_holds_up_no_progress_of_another(both, world, monkeypatch):
    entered, free = threading.Event(), threading.Event()
    report_of = world.workspace.report_of
    monkeypatch.setattr(
        world.workspace,
        "report_of",
        lambda *args: (entered.set(), free.wait(30), report_of(*args))[2],
    )
    far, near = submit_with(both, group="far"), submit_with(both, "echo 40%; sleep 100")
    attempt = runs(both, world, far)
    assert entered.wait(30)
    wait_until(lambda: both.job(near).progress == 40)
    free.set()
    attempt.ends(exit_code=0)
    both.client.stop(ids(near))
    both.wait(far, near)


def test_a_time_limit_counts_from_when_it_began_to_run(both, world):
    job = submit_with(both, group="far", time_limit=1.0)
    attempt = runs(both, world, job)
    attempt.began = None  # it waits in the queue of the cluster
    limit = threading.Event()
    assert not limit.wait(1.2)
    assert attempt.signals == []
    attempt.began = world.now - 5
    both.wait(job)
    assert state(both, job) == ("failed", "time limit")


def test_a_default_engine_is_that_of_all_other_groups(make, world):
    daemon = make(groups={"here": {"engine": "local"}}, engine={})
    ground, ledger = daemon.daemon.built.ground, daemon.daemon.built.ground.ledger
    assert ground.engines.placement.engine_of("far") == "local"
    assert ledger.limit("here") == ledger.workers


# --- no room, and away ----------------------------------------------------------------------------


def test_what_one_engine_refuses_keeps_no_job_of_another_waiting(both, world, brief):
    world.no_room = "the partition is drained"
    far = submit_with(both, group="far")
    wait_until(lambda: both.client.status().error)
    assert both.client.status().error == (
        "no job can be started by engine cluster: the partition is drained"
    )
    both.wait(submit_with(both, "true"))
    assert state(both, far) == ("pending", "queued")
    world.no_room = None
    runs(both, world, far).ends(exit_code=0)
    both.wait(far)
    assert both.job(far).attempt == 1
    assert both.client.status().error is None


def test_while_it_is_away_its_jobs_wait_with_that_reason(both, world, caplog):
    world.goes_away("no answer from n1")
    far = submit_with(both, group="far")
    wait_until(lambda: state(both, far) == ("pending", "engine away"))
    shown = both.client.show(far)
    assert shown.why == "engine cluster is away: no answer from n1; it is tried again by itself"
    assert both.client.status().error == "engine cluster is away: no answer from n1"
    assert [job.reason for job in both.client.list(List()).jobs] == ["engine away"]
    both.wait(submit_with(both, "true"))
    world.comes_back()
    attempt = runs(both, world, far)
    wait_until(lambda: both.client.status().error is None)
    attempt.ends(exit_code=0)
    both.wait(far)
    assert (both.job(far).attempt, both.job(far).failures) == (1, 0)
    said = [record.message for record in caplog.records if "cluster" in record.message]
    assert said == [
        "engine cluster is away: no answer from n1",
        "engine cluster is there again",
    ]


def test_one_that_does_not_say_that_it_is_back_is_tried_again(both, world, brief):
    world.goes_away("no answer")
    far = submit_with(both, group="far")
    wait_until(lambda: state(both, far) == ("pending", "engine away"))
    world.comes_back(unseen=True)
    runs(both, world, far).ends(exit_code=0)
    both.wait(far)


def test_a_stop_is_carried_out_when_it_is_back(both, world, monkeypatch):
    monkeypatch.setattr(signaller, "_AWAY_S", 0.05)
    far = submit_with(both, group="far")
    attempt = runs(both, world, far)
    world.goes_away("no answer")
    both.client.stop(ids(far))
    assert state(both, far)[0] == "running"
    assert attempt.signals == []
    world.comes_back()
    both.wait(far)
    assert state(both, far) == ("stopped", "by user")


# --- the next daemon ------------------------------------------------------------------------------


def test_the_next_daemon_finds_what_runs_there(both, world, jobd_home, heirs):
    jobs = [submit_with(both, group="far") for _ in range(3)]
    running, over, lost = (runs(both, world, job) for job in jobs)
    running.prints(b"one\n")
    both.daemon.close(clean=False)
    both.abandon()
    over.ends(exit_code=7)
    world.loses(lost.launch.token)
    heirs.append(heir := Inside(jobd_home, workers=6, groups=FAR))
    heir.wait(jobs[1], jobs[2])
    assert [state(heir, job) for job in jobs] == [
        ("running", None), ("failed", "exit code 7"), ("failed", "lost"),
    ]  # fmt: skip
    running.ends(exit_code=0)
    heir.wait(jobs[0])
    assert heir.output(jobs[0]) == b"one\n"
    wait_until(lambda: running.is_reaped and over.is_reaped)


def test_an_attempt_is_recovered_by_the_engine_that_started_it(both, world, jobd_home, heirs):
    """Whatever the configuration says by now; what starts from here on starts elsewhere."""
    far = submit_with(both, group="far")
    attempt = runs(both, world, far)
    heirs.append(heir := replaced(both, jobd_home))
    assert state(heir, far)[0] == "running"
    second = submit_with(heir, "echo here", group="far")
    heir.wait(second)
    assert heir.job(second).pid is not None
    attempt.prints(b"there")
    attempt.ends(exit_code=0)
    heir.wait(far)
    assert heir.output(far) == b"there"
    heir.client.restart(ids(far))
    heir.wait(far)
    assert heir.job(far).attempt == 2
    assert len(world.started) == 1


def test_one_that_is_away_when_the_daemon_begins_is_asked_later(
    both, world, jobd_home, heirs, brief
):
    jobs = [submit_with(both, group="far") for _ in range(3)]
    _, over, lost = (runs(both, world, job) for job in jobs)
    both.daemon.close(clean=False)
    both.abandon()
    over.ends(exit_code=7)
    world.loses(lost.launch.token)
    world.goes_away("no answer")
    heirs.append(heir := Inside(jobd_home, workers=6, groups=FAR))
    assert {state(heir, job) for job in jobs} == {("running", None)}
    fourth = submit_with(heir, group="far")
    heir.wait(submit_with(heir, "true"))
    heir.client.stop(ids(jobs[0]))
    assert state(heir, fourth) == ("pending", "engine away")
    world.comes_back(unseen=True)
    heir.wait(*jobs)
    assert [state(heir, job) for job in jobs] == [
        ("stopped", "by user"), ("failed", "exit code 7"), ("failed", "lost"),
    ]  # fmt: skip
    runs(heir, world, fourth).ends(exit_code=0)
    heir.wait(fourth)
    assert len(world.started) == 4


def test_what_never_started_starts_when_it_is_back(both, world, jobd_home, heirs):
    """The daemon was killed between its commit and the start."""
    far = submit_with(both, group="far")
    attempt = runs(both, world, far)
    attempt.prints(b"nobody has printed this")
    both.daemon.close(clean=False)
    both.abandon()
    del world._attempts[attempt.launch.token]
    world.goes_away("no answer")
    heirs.append(heir := Inside(jobd_home, workers=6, groups=FAR))
    assert state(heir, far) == ("running", None)
    world.comes_back()
    again = runs(heir, world, far)
    assert again.launch.token != attempt.launch.token
    again.prints(b"said")
    again.ends(exit_code=0)
    heir.wait(far)
    assert heir.job(far).attempt == 1
    assert heir.client.output(Output(id=far)).data == b"said"


def test_an_engine_that_is_gone_is_away(both, world, jobd_home, heirs, monkeypatch):
    """Its library was removed: nothing of what runs there is lost before it can be asked."""
    far = submit_with(both, group="far")
    attempt = runs(both, world, far)
    both.daemon.close(clean=False)
    both.abandon()
    monkeypatch.undo()
    heir = Inside(jobd_home)
    assert state(heir, far) == ("running", None)
    assert "cluster is away: engine: there is no 'cluster'" in heir.client.status().error
    heir.wait(submit_with(heir, "true"))
    heir.daemon.close(clean=False)
    heir.abandon()
    registered(monkeypatch, cluster=world)
    heirs.append(last := Inside(jobd_home))
    attempt.ends(exit_code=0)
    last.wait(far)
    assert state(last, far) == ("completed", None)


def test_output_of_an_engine_that_is_not_used_any_more_is_said_to_be_there(
    both, world, jobd_home, heirs
):
    far = submit_with(both, group="far")
    runs(both, world, far).ends(exit_code=0)
    both.wait(far)
    heirs.append(heir := replaced(both, jobd_home))
    with pytest.raises(NotFound, match=r"is with the engine cluster, which this daemon does not"):
        heir.client.output(Output(id=far))
    assert heir.job(far).output_path is None


def test_one_that_answers_while_the_daemon_still_begins_finds_all_in_place(
    both, world, jobd_home, heirs, monkeypatch
):
    """Another engine takes its time, and this one is back before anything is entered."""
    far = submit_with(both, group="far")
    attempt = runs(both, world, far)
    both.daemon.close(clean=False)
    both.abandon()
    del world._attempts[attempt.launch.token]
    recover = FakeEngine.recover

    def away_for_a_moment(self, attempts):
        try:
            return recover(self, attempts)
        finally:
            world.comes_back()
            self.context.back()

    monkeypatch.setattr(FakeEngine, "recover", away_for_a_moment)
    world.goes_away("no answer")
    heirs.append(heir := Inside(jobd_home, workers=6, groups=FAR))
    runs(heir, world, far).ends(exit_code=0)
    heir.wait(far)
    assert heir.job(far).attempt == 1


def test_a_record_without_its_attempt_keeps_no_daemon_from_starting(both, world, jobd_home, heirs):
    far = submit_with(both, group="far")
    runs(both, world, far)
    both.daemon.close(clean=False)
    both.abandon()
    both.sql("DELETE FROM attempts")
    heirs.append(heir := Inside(jobd_home, workers=6, groups=FAR))
    heir.wait(far)
    assert state(heir, far) == ("failed", "lost")


# --- an engine with a fault -----------------------------------------------------------------------


def test_one_that_breaks_down_stops_nobody_else(make, world, monkeypatch, brief):
    broken = []
    recover = FakeEngine.recover

    def breaks_down(self, attempts):
        if not broken:
            broken.append(True)
            raise RuntimeError("a fault of its own")
        return recover(self, attempts)

    monkeypatch.setattr(FakeEngine, "recover", breaks_down)
    daemon = make(groups=FAR)
    far = submit_with(daemon, group="far")
    daemon.wait(submit_with(daemon, "true"))
    runs(daemon, world, far).ends(exit_code=0)
    daemon.wait(far)
    assert daemon.client.status().error is None


def test_what_one_cannot_delete_keeps_no_other_from_it(both, world, monkeypatch, caplog):
    def fails(_job, _attempt):
        raise RuntimeError("a fault of its own")

    monkeypatch.setattr(world.workspace, "delete", fails)
    far, near = submit_with(both, group="far"), submit_with(both, "echo x")
    runs(both, world, far).ends(exit_code=0)
    both.wait(far, near)
    path = both.paths.output_of(near, 1)
    assert path.exists()
    both.client.rm(ids(far, near))
    wait_until(lambda: not path.exists())
    assert "engine cluster: output of a removed job stays for now" in caplog.text


def test_a_fault_at_the_end_of_one_is_told_and_no_more(both, world, monkeypatch, caplog):
    """What the local engine leaves is what its jobs hang on when this process is replaced."""

    def fails(_self):
        raise RuntimeError("a fault of its own")

    for name in ("freeze", "heritage", "close"):
        monkeypatch.setattr(FakeEngine, name, fails)
    engines = both.daemon.built.ground.engines
    assert set(engines.heritage()) == {"local"}
    both.close()
    assert "engine cluster broke down" in caplog.text


# --- what the configuration says ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"groups": {"far": {"engine": "nomad"}}}, r"\[groups.far\] engine: there is no 'nomad'"),
        ({"engine": {"nomad": {}}}, r"\[engine.nomad\]: there is no 'nomad'; known"),
        ({"engine": {"local": {"speed": 3}}}, r"\[engine.local\] has no key speed"),
        ({"engine": {"cluster": {"speed": 3}}}, r"\[engine.cluster\] has no key speed"),
        (
            {"engine": {"cluster": {"speed": 3}}, "groups": FAR},
            r"\[engine.cluster\] has no key speed",
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_its_name(jobd_home, world, config, words):
    with pytest.raises(JobdError, match=words):
        Inside(jobd_home, **config)


def test_a_group_without_workers_keeps_those_that_it_had(make, world, jobd_home):
    make(groups={"far": {"workers": 2}}).close()
    daemon = make(groups=FAR)
    assert daemon.daemon.built.ground.ledger.limit("far") == 2


# --- what may not be signalled --------------------------------------------------------------------

REFUSAL = Refusal("pid 12 (sleep) belongs to root")
WHY = "cannot be ended: pid 12 (sleep) belongs to root"


def refusing(both, world):
    """A running job that no signal reaches."""
    job = submit_with(both, group="far")
    wait_until(lambda: world.started)
    world.of_job(job).refusals = [REFUSAL]
    return job


def test_what_may_not_be_signalled_is_no_trouble_before_it_is_to_end(both, world):
    job = refusing(both, world)
    assert both.job(job).reason is None
    assert both.client.stop(ids(job), grace=0.1).grace == 0.1
    assert (both.job(job).state, both.job(job).reason) == ("running", WHY)
    world.of_job(job).ends(exit_code=0)
    both.wait(job)
    assert both.job(job).reason == "by user"


def test_a_pause_of_it_is_refused_and_others_stand_still(both, world):
    job, other = refusing(both, world), submit_with(both, group="far")
    wait_until(lambda: len(world.started) == 2)
    acted = both.client.pause(Pause(selector=ids(job, other)))
    assert acted.done == [other]
    assert [(n.id, n.text) for n in acted.errors] == [
        (job, "cannot be paused: pid 12 (sleep) belongs to root")
    ]
    assert not both.job(job).paused
    assert not [event for event in both.client.show(job).events if event.event == "paused"]
    world.of_job(job).ends(exit_code=0)


def test_a_shutdown_leaves_it_once_its_time_is_over(both, world, monkeypatch):
    monkeypatch.setattr("jobd.daemon.execution.stop_orders._LEFT_AFTER_S", 0.1)
    job = refusing(both, world)
    execution = both.daemon.built.execution
    execution.drain.begin()
    both.client.stop(ids(job), grace=0.3)
    execution.stop_orders.leave_behind()
    assert not execution.drain.is_over, "its time is not over"
    wait_until(lambda: execution.stop_orders.leave_behind() or execution.drain.is_over)
    assert job in execution.runs
    world.of_job(job).ends(exit_code=0)
    both.wait(job)


def test_an_engine_that_cannot_delete_keeps_the_output_of_its_own_removed_jobs_alone(
    both, world, monkeypatch
):
    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(deletion, "_SLICE", 2)
    jobs = [
        submit_with(both, "echo here"),
        submit_with(both, group="far"),
        submit_with(both, group="far"),
    ]
    for job in jobs[1:]:
        runs(both, world, job).ends(exit_code=0)
    jobs += [submit_with(both, "echo here"), submit_with(both, "echo here")]
    both.wait(*jobs)
    files = [both.paths.output_of(job, 1) for job in jobs if job not in jobs[1:3]]
    assert all(file.exists() for file in files)
    with monkeypatch.context() as broken:
        broken.setattr(world.workspace, "sync_folders", fail)
        both.client.rm(ids(*jobs))
        assert not any(file.exists() for file in files)
        assert both.sql("SELECT job FROM deletions") == [(jobs[1],), (jobs[2],)]
    last = submit_with(both)
    both.wait(last)
    both.client.rm(ids(last))
    assert both.sql("SELECT job FROM deletions") == []
