"""When, where and how often: dependencies, groups, weights, GPUs, times, retries, graphs."""

import itertools
import os
import random
import signal
import threading
import time

import pytest
from msgspec.structs import replace

from jobctl.actions import bulk as client_bulk
from jobd.contract.errors import BadRequest, NotFound, Refused
from jobd.contract.models import (
    Acted,
    Command,
    Edit,
    Graph,
    Groups,
    List,
    Node,
    Options,
    Pause,
    Resume,
    Selector,
    Stop,
    Submit,
    Submitted,
)
from jobd.contract.states import State
from jobd.daemon.commands import bulk
from jobd.daemon.commands.idempotency import Idempotency
from jobd.daemon.jobs.selection import EVERYTHING, Selection
from jobd.store import lookups
from jobd.system import linux
from jobd.system.clock import now_us
from tests.helpers import wait_until
from tests.integration.inside import ENVIRONMENT, ids, submit_of


def request(*lines, array=(), **options):
    commands = [Command(argv=[line.encode()], shell=True) for line in lines]
    return Submit(
        commands=commands,
        options=Options(**options),
        cwd=b"/",
        environment=ENVIRONMENT,
        array=list(array),
    )


def submit(inside, *lines, **options):
    return inside.client.submit(request(*lines, **options)).first


def after(*jobs):
    return [(job, job) for job in jobs]


def states(inside, *jobs):
    return [(inside.job(job).state.value, inside.job(job).reason) for job in jobs]


def ready(inside):
    return [entry.id for entry in inside.daemon.built.ground.ledger.queue.order()]


def ready_on_disk(inside):
    """What the next daemon would read, in the order of starting."""
    found = [
        (-first.priority, job)
        for first, last in inside.daemon.built.ground.reader.ready()
        for job in range(first.id, last + 1)
    ]
    return [job for _, job in sorted(found)]


def settled(inside):
    """Everything that follows from what is on disk has happened."""
    wait_until(lambda: not inside.sql("SELECT * FROM settling"))
    inside.daemon.built.ground.writer.call(lambda: None)


# --- dependencies -------------------------------------------------------------------------------


def test_a_job_starts_when_those_before_it_have_completed(daemon):
    first = submit(daemon, "true")
    second = submit(daemon, "true")
    last = submit(daemon, "true", after=after(first, second))
    daemon.wait(last)
    assert states(daemon, last) == [("completed", None)]
    begun = daemon.job(last).started_at
    assert all(daemon.job(job).finished_at <= begun for job in (first, second))


def test_who_waits_for_a_failed_job_fails_with_it(daemon):
    bad = submit(daemon, "exit 3")
    child = submit(daemon, "true", after=after(bad))
    grandchild = submit(daemon, "true", after=after(child))
    whatever = submit(daemon, "true", after_any=after(child))
    daemon.wait(bad, child, grandchild, whatever)
    assert states(daemon, child, grandchild, whatever) == [
        ("failed", f"dependency failed: {bad}"),
        ("failed", f"dependency failed: {child}"),
        ("completed", None),
    ]


def test_a_job_that_comes_too_late_for_its_parent_fails_at_once(daemon):
    bad = submit(daemon, "exit 3")
    daemon.wait(bad)
    late = submit(daemon, "true", after=after(bad))
    assert states(daemon, late) == [("failed", f"dependency failed: {bad}")]
    assert [event.event for event in daemon.client.show(late).events] == ["submitted", "failed"]
    assert daemon.counts_on_disk() == daemon.client.status().jobs


def test_a_restarted_parent_brings_its_dependants_back(daemon, tmp_path):
    bad = submit(daemon, f"test -e {tmp_path}/mended")
    child = submit(daemon, "true", after=after(bad))
    grandchild = submit(daemon, "true", after=after(child))
    daemon.wait(grandchild)
    (tmp_path / "mended").touch()
    assert daemon.client.restart(Selector(states=[State.FAILED])).errors == []
    daemon.wait(bad, child, grandchild)
    assert states(daemon, bad, child, grandchild) == [("completed", None)] * 3
    assert [daemon.job(job).attempt for job in (bad, child, grandchild)] == [2, 1, 1]


def test_a_dependant_alone_is_not_restarted(daemon):
    bad = submit(daemon, "exit 3")
    child = submit(daemon, "true", after=after(bad))
    daemon.wait(child)
    (error,) = daemon.client.restart(ids(child)).errors
    assert error.text == f"waits for job {bad}, which has failed; jobctl restart {bad}"


def test_with_two_failed_parents_both_have_to_come_back(daemon, tmp_path):
    bad = [submit(daemon, f"test -e {tmp_path}/mended") for _ in range(2)]
    child = submit(daemon, "true", after=after(*bad))
    daemon.wait(child, *bad)
    (tmp_path / "mended").touch()
    daemon.client.restart(ids(bad[0]))
    daemon.wait(bad[0])
    settled(daemon)
    assert states(daemon, child) == [("failed", f"dependency failed: {bad[1]}")]
    daemon.client.restart(ids(bad[1]))
    daemon.wait(child)
    assert states(daemon, child) == [("completed", None)]


def test_a_dependant_that_comes_back_keeps_its_time(daemon, tmp_path):
    bad = submit(daemon, f"test -e {tmp_path}/mended")
    child = submit(daemon, "true", after=after(bad), at=now_us() / 1e6 + 3600)
    late = submit(daemon, "true", after=after(bad), delay=3600)
    daemon.wait(bad, child, late)
    assert states(daemon, child) == [("failed", f"dependency failed: {bad}")]
    before = daemon.sql("SELECT due FROM jobs WHERE id IN (?, ?)", child, late)
    (tmp_path / "mended").touch()
    daemon.client.restart(ids(bad))
    daemon.wait(bad)
    settled(daemon)
    assert states(daemon, child, late) == [("pending", "delayed")] * 2
    assert daemon.sql("SELECT due FROM jobs WHERE id IN (?, ?)", child, late) == before


def test_a_time_that_passed_while_its_dependant_was_failed_is_over(daemon, tmp_path):
    bad = submit(daemon, f"test -e {tmp_path}/mended")
    child = submit(daemon, "true", after=after(bad), delay=0.2)
    daemon.wait(bad, child)
    wait_until(lambda: daemon.sql("SELECT due FROM jobs WHERE id = ?", child)[0][0] < now_us())
    # What has failed does not come due, and nobody wakes up for it.
    assert daemon.daemon.built.ground.tables.jobs.next_due() is None
    (tmp_path / "mended").touch()
    daemon.client.restart(ids(bad))
    daemon.wait(bad, child)
    assert states(daemon, child) == [("completed", None)]


def test_a_dependant_does_not_come_back_into_a_group_that_is_gone(daemon, tmp_path):
    daemon.client.groups(Groups(action="add", name="gone", workers=1))
    bad = submit(daemon, f"test -e {tmp_path}/mended")
    child = submit(daemon, "true", after=after(bad), group="gone")
    daemon.wait(bad, child)
    daemon.client.groups(Groups(action="rm", name="gone"))
    (tmp_path / "mended").touch()
    daemon.client.restart(ids(bad))
    daemon.wait(bad)
    settled(daemon)
    assert states(daemon, child) == [("failed", f"dependency failed: {bad}")]
    (error,) = daemon.client.restart(ids(child)).errors
    assert error.text == "is of group gone, which was removed; jobctl groups add gone --workers N"
    daemon.client.groups(Groups(action="add", name="gone", workers=1))
    daemon.client.restart(ids(child))
    daemon.wait(child)
    assert states(daemon, child) == [("completed", None)]


def test_a_parent_that_others_wait_for_is_not_removed(quiet):
    parent = submit(quiet, "true")
    child = submit(quiet, "true", after=after(parent))
    grandchild = submit(quiet, "true", after=after(child))
    (error,) = quiet.client.stop(ids(parent), removing=True).errors
    assert error.text == f"cannot be removed: {child} waits for it; remove that with it"
    assert states(quiet, parent, child) == [("pending", "queued"), ("pending", "dependency")]
    assert [job.after for job in quiet.client.list(List()).jobs] == [[], [parent], [child]]
    assert quiet.client.stop(ids(child, grandchild), removing=True).errors == []


def test_what_goes_together_is_removed_however_many_they_are(quiet, monkeypatch):
    monkeypatch.setattr("jobd.daemon.commands.bulk.SLICE", 2)
    chain = [submit(quiet, "true")]
    for _ in range(6):
        chain.append(submit(quiet, "true", after=after(chain[-1])))
    # Those behind the first slice fail with it before it is their turn.
    assert quiet.client.stop(ids(*chain), removing=True).errors == []
    assert quiet.client.rm(ids(*chain)).done == chain


def test_ten_thousand_dependants_are_released_in_slices(quiet):
    parent = submit(quiet, "true")
    lines = ["true"] * 10_000
    batch = quiet.client.submit(request(*lines, after=after(parent)))
    assert ready(quiet) == [parent]
    quiet.client.stop(ids(parent))
    settled(quiet)
    assert quiet.client.status().jobs[State.FAILED] == 10_000
    quiet.client.restart(ids(parent))
    settled(quiet)
    assert quiet.client.status().jobs[State.PENDING] == 10_001
    quiet.sql("UPDATE jobs SET state = 'completed', finished_at = 1 WHERE id = ?", parent)
    quiet.daemon.built.ground.writer.call(
        lambda: quiet.daemon.built.lifecycle.unsettled.note(parent)
    )
    settled(quiet)
    assert len(ready(quiet)) == 10_001
    assert quiet.job(batch.last).reason == "queued"


def test_who_comes_back_at_the_start_may_be_of_any_group(make):
    """The groups are known before anybody is told of what an earlier daemon left."""
    inside = make(workers=0)
    inside.client.groups(Groups(action="add", name="g", workers=1))
    parent = submit(inside, "true")
    child = submit(inside, "true", after=after(parent), group="g")
    inside.client.stop(ids(parent))
    settled(inside)
    inside.close()
    inside.sql(
        "UPDATE jobs SET state = 'pending', reason = 'queued', finished_at = NULL WHERE id = ?",
        parent,
    )
    inside.sql("INSERT INTO settling (parent) VALUES (?)", parent)
    inside = make(workers=0)
    settled(inside)
    assert states(inside, child) == [("pending", "dependency")]


def test_what_has_to_be_told_survives_the_daemon(make):
    inside = make(workers=0)
    parent = submit(inside, "true")
    inside.client.submit(request(*["true"] * 1500, after=after(parent)))
    inside.sql("UPDATE jobs SET state = 'completed', finished_at = 1 WHERE id = ?", parent)
    inside.sql("INSERT INTO settling (parent) VALUES (?)", parent)
    inside = make(workers=0)
    settled(inside)
    assert len(ready(inside)) == 1500


def test_whom_to_wait_for_has_to_exist(quiet):
    with pytest.raises(NotFound, match="--after: job 9 does not exist"):
        submit(quiet, "true", after=after(9))
    with pytest.raises(NotFound, match="--after-any: jobs 5-8 do not exist"):
        submit(quiet, "true", after_any=[(5, 8)])
    job = submit(quiet, "true")
    assert quiet.job(submit(quiet, "true", after=[(job, 100)])).reason == "dependency"


# --- groups, weights, GPUs ------------------------------------------------------------------------


def test_a_flood_in_one_group_leaves_the_other_its_workers(make):
    inside = make(workers=3, groups={"a": {"workers": 1}, "b": {"workers": 2}})
    flood = [submit(inside, "sleep 1000", group="a") for _ in range(20)]
    others = [submit(inside, "sleep 1000", group="b") for _ in range(2)]
    running = {job.id for job in inside.client.list(List(pending=0)).jobs}
    assert running == {flood[0], *others}
    assert inside.job(flood[1]).reason in ("queued", "group full")
    inside.client.groups(Groups(action="set", name="b", workers=1))
    inside.client.groups(Groups(action="set", name="a", workers=3))
    inside.client.stop(ids(others[0]), grace=0)
    wait_until(lambda: inside.job(flood[1]).state is State.RUNNING)


def test_a_group_counts_what_waits_for_its_time(make):
    inside = make(workers=0, groups={"a": {"workers": 1}})
    submit(inside, "true", group="a")
    submit(inside, "true", group="a", delay=3600)
    submit(inside, "true", group="a", delay=3600, hold=True)
    submit(inside, "true", delay=3600)
    shares = inside.client.groups(Groups()).groups
    assert {share.name: share.pending for share in shares} == {"a": 2, "default": 1}


def test_a_paused_group_starts_nothing_and_leaves_running_ones_alone(make):
    inside = make(workers=3, groups={"a": {"workers": 3}})
    first = submit(inside, "sleep 1000", group="a")
    wait_until(lambda: inside.job(first).state is State.RUNNING)
    inside.client.pause(Pause(group="a"))
    second = submit(inside, "sleep 1000", group="a")
    assert inside.daemon.built.ground.ledger.busy == 1
    assert inside.job(first).paused is False
    inside.client.resume(Resume(group="a"))
    wait_until(lambda: inside.job(second).state is State.RUNNING)


def test_groups_are_made_changed_and_removed(quiet):
    groups = quiet.client.groups
    assert [g.name for g in groups().groups] == ["default"]
    assert [g.workers for g in groups(Groups(action="add", name="gpu", workers=2)).groups] == [
        None, 2,
    ]  # fmt: skip
    with pytest.raises(Refused, match="is there already"):
        groups(Groups(action="add", name="gpu", workers=2))
    job = submit(quiet, "true", group="gpu")
    with pytest.raises(Refused, match=rf"group gpu is not empty \({job}\)"):
        groups(Groups(action="rm", name="gpu"))
    quiet.client.edit(Edit(id=job, group="default"))
    assert [g.name for g in groups(Groups(action="rm", name="gpu")).groups] == ["default"]
    for action in ("set", "rm"):
        with pytest.raises(NotFound, match="there is no group 'gpu'"):
            groups(Groups(action=action, name="gpu"))
    with pytest.raises(Refused, match="always stays"):
        groups(Groups(action="rm", name="default"))
    with pytest.raises(NotFound, match="--group: there is no group 'gpu'"):
        submit(quiet, "true", group="gpu")


def test_groups_outlive_the_daemon(make):
    inside = make(workers=0)
    inside.client.groups(Groups(action="add", name="a", workers=2))
    inside.client.pause(Pause(group="a"))
    (a, _default) = make(workers=0).client.groups().groups
    assert (a.name, a.workers, a.paused) == ("a", 2, True)


def test_a_heavy_head_starts_as_soon_as_the_running_ones_have_ended(make):
    inside = make(workers=3)
    light = [submit(inside, "sleep 1000") for _ in range(3)]
    heavy = submit(inside, "sleep 1000", slots=3)
    behind = [submit(inside, "sleep 1000") for _ in range(3)]
    for job in light:
        assert inside.job(heavy).state is State.PENDING
        inside.client.stop(ids(job), grace=0)
    wait_until(lambda: inside.job(heavy).state is State.RUNNING)
    assert {inside.job(job).state for job in behind} == {State.PENDING}
    assert inside.client.status().busy == 3


def test_what_can_never_fit_is_refused(make):
    inside = make(workers=3, groups={"a": {"workers": 1}})
    with pytest.raises(Refused, match="--slots: there are 3 workers"):
        submit(inside, "true", slots=4)
    with pytest.raises(Refused, match="--slots: group a has 1 worker,"):
        submit(inside, "true", slots=2, group="a")
    with pytest.raises(Refused, match="--gpus: no GPUs are configured"):
        submit(inside, "true", gpus=1)


def test_no_gpu_is_used_twice_at_a_time(make):
    inside = make(workers=10, gpus={"devices": [1, 0]})
    jobs = [submit(inside, "echo $CUDA_VISIBLE_DEVICES; sleep 1000", gpus=1) for _ in range(6)]
    both = submit(inside, "echo $CUDA_VISIBLE_DEVICES", gpus=2)
    none = submit(inside, 'echo "<$CUDA_VISIBLE_DEVICES>"')
    inside.wait(none)
    assert inside.output(none) == b"<>\n"
    for pair in zip(jobs[::2], jobs[1::2], strict=True):
        wait_until(lambda pair=pair: all(inside.output(job) for job in pair))
        assert {inside.output(job) for job in pair} == {b"0\n", b"1\n"}
        assert inside.daemon.built.ground.ledger.busy == 2
        inside.client.stop(ids(*pair), grace=0)
        inside.wait(*pair)
    inside.wait(both)
    assert inside.output(both) == b"0,1\n"


def test_what_gpus_are_doing_is_looked_at_when_somebody_asks(make, gate, home, monkeypatch):
    program = home / "bin/nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho x >>{home}/calls\necho 0, 97, 1, 2\necho 1, 3, 0, 2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    inside = make(gpus={"devices": [1, 0], "per_device": 2})
    jobs = [submit(inside, f"read _ < {gate.path}", gpus=wanted) for wanted in (1, 2)]
    wait_until(lambda: all(inside.job(job).state is State.RUNNING for job in jobs))
    status = inside.client.status()
    assert (status.gpus, status.gpus_busy, status.gpu_load) == (2, 2, None)
    assert not (home / "calls").exists()
    for _ in range(3):  # many who ask cost one look
        found = inside.client.status(gpus=True).gpu_load
        assert [(one.index, one.load, one.total_kb) for one in found] == [
            (0, 97, 2048), (1, 3, 2048),
        ]  # fmt: skip
    assert (home / "calls").read_text().count("x") == 1
    gate.open(2)
    inside.wait(*jobs)
    assert inside.client.status().gpus_busy == 0


def test_a_driver_that_hangs_is_left_behind_by_no_daemon(make, home, monkeypatch):
    program, pid = home / "bin/nvidia-smi", home / "pid"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho $$ >{pid}.new; mv {pid}.new {pid}\nexec sleep 100\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("jobd.system.probe._PATIENCE_S", 60.0)
    inside = make()
    asking = threading.Thread(target=lambda: inside.connect().status(gpus=True), daemon=True)
    asking.start()
    wait_until(pid.exists)
    inside.daemon.wind_up(clean=False)  # the engines are left: see `Daemon.wind_up`
    assert linux.stat_of(int(pid.read_text())) is None
    assert not [one for one in threading.enumerate() if one.name == "probe"]
    inside.daemon.built.ground.engines.close()
    inside.abandon()


# --- time ---------------------------------------------------------------------------------------


def test_a_delayed_job_waits_without_holding_a_worker(make):
    inside = make(workers=1)
    later = submit(inside, "true", delay=0.3)
    assert states(inside, later) == [("pending", "delayed")]
    now = submit(inside, "true")
    inside.wait(now, later)
    assert (inside.job(later).started_at - inside.job(later).submitted_at).total_seconds() >= 0.3


def test_a_clock_that_is_set_moves_times_but_not_delays(quiet, monkeypatch):
    delays = quiet.daemon.built.lifecycle.delays
    span = submit(quiet, "true", delay=3600)
    fixed = submit(quiet, "true", at=now_us() / 1e6 + 3600)
    hour = 3600 * 1_000_000
    monkeypatch.setattr("jobd.daemon.jobs.delays.now_us", lambda: now_us() + 2 * hour)
    offset = int(quiet.sql("SELECT value FROM settings WHERE name = 'clock'")[0][0].split(":")[1])
    monkeypatch.setattr("jobd.daemon.jobs.delays.offset_us", lambda: offset + 2 * hour)
    delays._clock_set()
    wait_until(lambda: quiet.job(fixed).reason == "queued")
    assert quiet.job(span).reason == "delayed"
    ((due,),) = quiet.sql("SELECT due FROM jobs WHERE id = ?", span)
    assert abs(due - now_us() - 3 * hour) < 60_000_000


SECOND = 1_000_000
HOUR = 3600 * SECOND


@pytest.fixture
def machine(monkeypatch):
    """A function that boots it anew, or sets its clock: `ahead` of the true time, microseconds."""
    true = time.time_ns

    def now(ahead, *, boot, synchronised=False):
        monkeypatch.setattr("jobd.system.linux.boot_id", lambda: boot)
        monkeypatch.setattr("time.time_ns", lambda: true() + ahead * 1000)
        monkeypatch.setattr("jobd.daemon.jobs.delays.is_synchronised", lambda: synchronised)

    now(0, boot="first")
    return now


def left_of(inside, job):
    """Seconds of a delay that are left, by the clock of the machine."""
    ((due,),) = inside.sql("SELECT due FROM jobs WHERE id = ?", job)
    return (due - now_us()) / SECOND


@pytest.mark.parametrize("behind", [-3 * HOUR, -10 * SECOND])
def test_a_machine_that_boots_with_its_clock_behind_moves_no_delay_when_that_is_set(
    make, machine, behind
):
    """`--delay 100` once became three hours when the network came and the clock was set right."""
    machine(0, boot="first")
    before = make(workers=1)
    lost = submit(before, "true")
    before.wait(lost)
    job = submit(before, "true", delay=100)
    longer = submit(before, "true", delay=200)
    before.close()
    for table in ("jobs", "attempts"):
        before.sql(f"UPDATE {table} SET state = 'running', finished_at = NULL WHERE started_at > 0")
    machine(behind, boot="second")
    after = make(workers=0)
    assert after.job(lost).reason == "lost"
    # It takes at most what was left, also if nobody ever sets the clock.
    assert 90 <= left_of(after, job) <= 101
    machine(0, boot="second")
    after.daemon.built.lifecycle.delays._clock_set()
    right = "SELECT 1 FROM settings WHERE name = 'carried delays' AND value = ''"
    wait_until(lambda: after.sql(right))
    assert 90 <= left_of(after, job) <= 101
    assert 190 <= left_of(after, longer) <= 201
    # From now on the clock is known, and they are as all others.
    machine(HOUR, boot="second")
    after.daemon.built.lifecycle.delays._clock_set()
    wait_until(lambda: left_of(after, job) > 0)
    assert 90 <= left_of(after, job) <= 101


def test_a_delay_goes_on_over_a_boot_by_a_clock_that_is_right(make, machine):
    before = make(workers=0)
    job = submit(before, "true", delay=2 * 3600)
    machine(HOUR, boot="second", synchronised=True)  # it was off for an hour
    after = make(workers=0)
    assert 3500 <= left_of(after, job) <= 3601
    machine(3 * HOUR, boot="second")
    after.daemon.built.lifecycle.delays._clock_set()
    wait_until(lambda: left_of(after, job) > 0)
    assert 3500 <= left_of(after, job) <= 3601


def test_a_time_limit_ends_the_attempt(daemon):
    job = submit(daemon, "sleep 1000", time_limit=0.2)
    daemon.wait(job)
    assert states(daemon, job) == [("failed", "time limit")]
    assert daemon.job(job).signal == "TERM"


def test_deadlines_of_ended_jobs_are_forgotten(daemon):
    jobs = [submit(daemon, "true", time_limit=86_400) for _ in range(5)]
    daemon.wait(*jobs)
    alive = [d for d in daemon.daemon.built.ground.timer._due if d.action is not None]
    assert len(alive) == 0


# --- retries --------------------------------------------------------------------------------------


def test_a_job_is_tried_again_until_it_completes(daemon, tmp_path):
    line = f"echo x >> {tmp_path}/n; echo try $JOBD_ATTEMPT; test $(wc -l < {tmp_path}/n) -ge 3"
    job = submit(daemon, line, retries=3, retry_delay=0.05)
    daemon.wait(job)
    assert states(daemon, job) == [("completed", None)]
    shown = daemon.client.show(job)
    assert [a.reason for a in shown.attempts] == ["exit code 1", "exit code 1", None]
    assert [daemon.output(job, attempt=n) for n in (1, 2, 3)] == [
        b"try 1\n", b"try 2\n", b"try 3\n",
    ]  # fmt: skip
    first, second, third = shown.attempts
    waits = [
        (b.started_at - a.finished_at).total_seconds()
        for a, b in ((first, second), (second, third))
    ]
    assert 0.05 <= waits[0] < waits[1]
    assert [e.event for e in shown.events].count("retrying") == 2


def test_a_retry_waits_without_holding_a_worker(make):
    inside = make(workers=1)
    job = submit(inside, "exit 4", retries=5, retry_delay=1000)
    wait_until(lambda: inside.job(job).reason == "retry backoff")
    inside.wait(submit(inside, "true"))
    assert inside.client.stop(ids(job)).done == [job]
    assert states(inside, job) == [("stopped", "by user")]


def test_retries_come_to_an_end(daemon):
    job = submit(daemon, "exit 4", retries=2, retry_delay=0)
    daemon.wait(job)
    assert (daemon.job(job).attempt, daemon.job(job).reason) == (3, "exit code 4")
    daemon.client.restart(ids(job))
    daemon.wait(job)
    assert daemon.job(job).attempt == 6


def test_only_these_exit_codes_are_tried_again(daemon):
    job = submit(daemon, "exit 4", retries=2, retry_delay=0, retry_on=[75])
    daemon.wait(job)
    assert daemon.job(job).attempt == 1


@pytest.mark.parametrize(
    ("how", "code"), [("kill -KILL $$", 137), ("kill -TERM $$", 143), ("exec ./gone", 127)]
)
def test_any_failure_is_tried_again_by_the_code_that_wait_gives(daemon, how, code):
    job = submit(daemon, how, retries=1, retry_delay=0, retry_on=[code])
    daemon.wait(job)
    assert daemon.job(job).attempt == 2


# --- hold, pause, edit ----------------------------------------------------------------------------


def test_a_held_job_waits_until_it_is_let_go(daemon):
    job = submit(daemon, "true", hold=True)
    assert states(daemon, job) == [("pending", "held")]
    assert daemon.client.hold(ids(job)).notices[0].text == "is already held"
    assert daemon.client.start(ids(job)).done == [job]
    daemon.wait(job)
    assert daemon.client.hold(ids(job)).notices[0].text == "has already completed"


def test_a_paused_job_has_no_time_left(daemon):
    job = daemon.submit("sleep 100")
    wait_until(lambda: daemon.job(job).state is State.RUNNING)
    daemon.client.progress(job, 40)
    left = wait_until(lambda: daemon.job(job).eta_s)
    daemon.client.pause(Pause(selector=ids(job)))
    assert daemon.job(job).eta_s is None
    assert daemon.job(job).progress == 40
    daemon.client.resume(Resume(selector=ids(job)))
    assert 0 < daemon.job(job).eta_s < 10 * left
    daemon.client.stop(ids(job), grace=0)


def is_halted(session):
    """A shell that waits in vfork for a child that is halted is itself in state D."""
    states = {stat.state for stat in linux.processes() if stat.session == session}
    return "T" in states and states <= {"T", "D"}


def test_a_job_that_stopped_itself_goes_on_when_it_is_resumed(daemon):
    job = submit(daemon, "kill -STOP $$")
    wait_until(lambda: daemon.job(job).pid)
    pid = daemon.job(job).pid
    wait_until(lambda: linux.stat_of(pid).state == "T")
    acted = daemon.client.resume(Resume(selector=ids(job)))
    said = "is not paused; in case it stopped itself, CONT was sent to it"
    assert (acted.done, [note.text for note in acted.notices]) == ([], [said])
    daemon.wait(job)
    assert daemon.job(job).state == "completed"


def test_a_paused_job_that_others_let_go_on_is_paused_again(daemon):
    job = submit(daemon, "while :; do :; done")
    wait_until(lambda: daemon.job(job).pid)
    pid = daemon.job(job).pid
    daemon.client.pause(Pause(selector=ids(job)))
    wait_until(lambda: linux.stat_of(pid).state == "T")
    os.killpg(pid, signal.SIGCONT)
    wait_until(lambda: linux.stat_of(pid).state == "R")
    daemon.client.pause(Pause(selector=ids(job)))
    wait_until(lambda: linux.stat_of(pid).state == "T")
    daemon.client.stop(ids(job))


def test_a_paused_job_is_halted_and_goes_on(daemon, tmp_path):
    job = submit(daemon, f"while :; do echo x >> {tmp_path}/n; sleep 0.01; done")
    wait_until(lambda: (tmp_path / "n").exists() and daemon.job(job).pid)
    assert daemon.client.pause(Pause(selector=ids(job))).done == [job]
    assert daemon.job(job).paused
    pid = daemon.job(job).pid
    wait_until(lambda: is_halted(pid))
    assert daemon.client.pause(Pause(selector=ids(job))).notices[0].text == "is already paused"
    assert daemon.client.resume(Resume(selector=ids(job))).done == [job]
    size = (tmp_path / "n").stat().st_size
    wait_until(lambda: (tmp_path / "n").stat().st_size > size)
    daemon.client.pause(Pause(selector=ids(job)))
    daemon.client.stop(ids(job))
    daemon.wait(job)
    assert (daemon.job(job).state, daemon.job(job).paused) == (State.STOPPED, False)


def test_a_job_that_is_paused_while_it_begins_is_halted(daemon, tmp_path, monkeypatch):
    """It runs already, and the daemon has not yet been told which process it is."""
    engine, told = daemon.daemon.built.ground.engines.default, threading.Event()
    start = engine.start

    def begin_slowly(launch):
        process = start(launch)
        told.wait(10)
        return process

    monkeypatch.setattr(engine, "start", begin_slowly)
    job = submit(daemon, f"touch {tmp_path}/begun; sleep 1000")
    wait_until((tmp_path / "begun").exists)
    assert daemon.client.pause(Pause(selector=ids(job))).done == [job]
    told.set()
    pid = wait_until(lambda: daemon.job(job).pid)
    wait_until(lambda: linux.stat_of(pid).state == "T")
    daemon.client.resume(Resume(selector=ids(job)))
    wait_until(lambda: linux.stat_of(pid).state != "T")
    daemon.client.stop(ids(job))
    daemon.wait(job)


def test_the_running_jobs_of_a_group_are_halted_with_it(daemon):
    job = submit(daemon, "sleep 1000")
    wait_until(lambda: daemon.job(job).pid)
    assert daemon.client.pause(Pause(group="default", running=True)).done == [job]
    assert daemon.client.resume(Resume(group="default", running=True)).done == [job]


def test_a_pending_job_is_edited(quiet):
    first, second, job = (submit(quiet, "true") for _ in range(3))
    quiet.client.edit(Edit(id=job, priority=5, name="new", tags=["t"], retries=2, time_limit=9))
    assert ready(quiet) == [job, first, second]
    found = quiet.job(job)
    assert (found.name, found.tags, found.retries, found.time_limit_s) == ("new", ["t"], 2, 9.0)
    quiet.client.edit(Edit(id=job, after=after(second)))
    assert (quiet.job(job).reason, ready(quiet)) == ("dependency", [first, second])
    with pytest.raises(Refused, match=rf"in a circle: {job} → {second}|{second} → {job}"):
        quiet.client.edit(Edit(id=second, after=after(job)))
    quiet.client.edit(Edit(id=job, after=[], delay=1000))
    assert quiet.job(job).reason == "delayed"
    quiet.client.edit(Edit(id=job, delay=0))
    assert ready(quiet) == [job, first, second]
    with pytest.raises(BadRequest, match="nothing to change"):
        quiet.client.edit(Edit(id=job))
    quiet.client.stop(ids(job))
    with pytest.raises(Refused, match="only pending jobs can be edited"):
        quiet.client.edit(Edit(id=job, priority=1))


def test_an_edited_kind_of_waiting_counts_over_the_one_that_stays(quiet):
    parent, other = submit(quiet, "true"), submit(quiet, "true")
    job = submit(quiet, "true", after=after(parent, other))
    quiet.client.edit(Edit(id=job, after_any=after(parent)))
    assert (quiet.job(job).after, quiet.job(job).after_any) == ([other], [parent])
    quiet.client.edit(Edit(id=job, after=after(parent)))
    assert (quiet.job(job).after, quiet.job(job).after_any) == ([parent], [])
    quiet.client.stop(ids(parent))
    wait_until(lambda: states(quiet, job) == [("failed", f"dependency failed: {parent}")])


def test_jobs_that_run_again_wait_for_each_other_again(daemon):
    parent = submit(daemon, "true")
    child = submit(daemon, "true", after=after(parent))
    last = submit(daemon, "exit 3", after_any=after(child))
    daemon.wait(last)
    daemon.client.workers(0)
    everything = ids(parent, child, last)
    assert daemon.client.restart(everything).done == [parent, child, last]
    waits = [("pending", "queued"), ("pending", "dependency"), ("pending", "dependency")]
    assert states(daemon, parent, child, last) == waits
    # A circle over what has been waited for once would be one as soon as it is waited for again.
    with pytest.raises(Refused, match="in a circle"):
        daemon.client.edit(Edit(id=parent, after=after(last)))
    daemon.client.workers(3)
    daemon.wait(last)
    begins = "SELECT job FROM events WHERE event = 'started' ORDER BY seq"
    assert [job for (job,) in daemon.sql(begins)] == 2 * [parent, child, last]


def order_of_starts(daemon):
    rows = daemon.sql("SELECT job FROM events WHERE event = 'started' ORDER BY seq")
    return [job for (job,) in rows]


@pytest.mark.parametrize("outcome", ["true", "false"])
def test_a_job_is_restarted_behind_those_that_it_waits_for_whatever_their_ids(daemon, outcome):
    daemon.client.workers(0)
    last, middle, first = (submit(daemon, outcome) for _ in range(3))
    daemon.client.edit(Edit(id=last, after_any=after(first, middle)))
    daemon.client.edit(Edit(id=middle, after=after(first)))
    daemon.client.workers(3)
    daemon.wait(last)
    before = order_of_starts(daemon)
    acted = daemon.client.restart(ids(last, middle, first))
    assert (sorted(acted.done), acted.notices, acted.errors) == ([last, middle, first], [], [])
    wait_until(lambda: [s for s, _ in states(daemon, last, middle, first)].count("pending") == 0)
    daemon.wait(last)
    assert order_of_starts(daemon) == 2 * before
    assert before == ([first, middle, last] if outcome == "true" else [first, last])


def test_stopped_jobs_are_let_go_behind_those_that_they_wait_for(daemon):
    daemon.client.workers(0)
    child, parent = submit(daemon, "true"), submit(daemon, "true")
    daemon.client.edit(Edit(id=child, after=after(parent)))
    daemon.client.stop(ids(child, parent))
    acted = daemon.client.start(ids(child, parent))
    assert (sorted(acted.done), acted.errors) == ([child, parent], [])
    assert states(daemon, child, parent) == [("pending", "dependency"), ("pending", "queued")]


def waiting_for_a_later_one(daemon):
    """Two jobs that wait for one with a higher id; all of them have completed."""
    daemon.client.workers(0)
    first, second, parent = (submit(daemon, "true") for _ in range(3))
    for child in (first, second):
        daemon.client.edit(Edit(id=child, after=after(parent)))
    daemon.client.workers(3)
    daemon.wait(first, second, parent)
    return first, second, parent


def each_slice_waits(daemon, monkeypatch, states_of):
    """Slices of one job; behind each it is waited until the jobs are in these states."""
    monkeypatch.setattr(bulk, "SLICE", 1)
    once = Idempotency.once

    def then_wait(self, request_id, kind, action):
        answer = once(self, request_id, kind, action)
        # Not by the client, which waits for the answer to this.
        wait_until(lambda: dict(daemon.sql("SELECT id, state FROM jobs")).items() >= states_of)
        return answer

    monkeypatch.setattr(Idempotency, "once", then_wait)


def test_one_that_several_wait_for_has_one_turn(daemon, monkeypatch):
    first, second, parent = waiting_for_a_later_one(daemon)
    each_slice_waits(daemon, monkeypatch, {parent: "completed"}.items())
    acted = daemon.client.restart(ids(first, second, parent))
    monkeypatch.undo()
    assert (acted.done, acted.notices, acted.errors) == ([parent, first, second], [], [])
    daemon.wait(first, second, parent)
    assert sorted(order_of_starts(daemon)) == sorted([first, second, parent] * 2)


@pytest.mark.parametrize("patience", [15.0, 0.0])
def test_a_dependant_of_another_slice_is_not_restarted_twice(
    daemon, monkeypatch, tmp_path, patience
):
    """It comes back with its parent, and has run again before its own turn; also where the client
    has to ask again in between.
    """
    switch = tmp_path / "switch"
    parent = submit(daemon, f"test -e {switch}")
    child = submit(daemon, "true", after=after(parent))
    daemon.wait(child)
    switch.touch()
    monkeypatch.setattr(bulk, "_PATIENCE_S", patience)
    each_slice_waits(daemon, monkeypatch, {child: "completed"}.items())
    acted = daemon.client.restart(ids(parent, child))
    assert (acted.done, acted.errors) == ([parent, child], [])
    assert acted.attempts == {parent: 2, child: 1}
    assert order_of_starts(daemon) == [parent, parent, child]


def test_a_dependant_that_came_back_and_waits_is_its_next_attempt(daemon, monkeypatch):
    parent = submit(daemon, "false")
    child = submit(daemon, "true", after=after(parent))
    daemon.wait(child)
    daemon.client.workers(0)
    each_slice_waits(daemon, monkeypatch, {child: "pending"}.items())
    acted = daemon.client.restart(ids(parent, child), environment={b"NEW": b"1"})
    assert (acted.done, acted.notices, acted.attempts) == (
        [parent, child],
        [],
        {parent: 2, child: 1},
    )
    assert daemon.client.show(child, environment=True).environment == {b"NEW": b"1"}


def test_a_retry_of_its_own_is_no_restart(daemon, monkeypatch, tmp_path):
    """It runs when the restart begins, and has failed for good when its turn comes."""
    gates = [tmp_path / "gate1", tmp_path / "gate2"]
    for gate in gates:
        os.mkfifo(gate)
    parent, other = submit(daemon, "true"), submit(daemon, "true")
    daemon.wait(parent, other)
    line = f"read _ <{tmp_path}/gate$JOBD_ATTEMPT; exit 3"
    child = submit(daemon, line, after=after(parent), retries=1, retry_delay=0.0)
    wait_until(lambda: states(daemon, child) == [("running", None)])
    for gate in gates:
        threading.Thread(target=gate.write_text, args=["go"]).start()
    each_slice_waits(daemon, monkeypatch, {child: "failed"}.items())
    assert daemon.client.restart(ids(other, child)).attempts == {other: 2, child: 3}


def test_a_job_runs_again_by_itself_where_what_it_waited_for_has_ended(daemon):
    parent = submit(daemon, "true")
    child = submit(daemon, "true", after=after(parent))
    daemon.wait(child)
    assert daemon.client.restart(ids(child)).attempts == {child: 2}
    daemon.wait(child)
    assert states(daemon, parent, child) == [("completed", None)] * 2


# --- keys -----------------------------------------------------------------------------------------


def test_the_same_key_gives_the_same_job(make):
    inside = make(workers=0)
    found = []
    send = request("make", key="build-42")
    threads = [
        threading.Thread(target=lambda: found.append(inside.connect().submit(send).first))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(found) == {1}
    inside = make(workers=0)
    again = inside.client.submit(send)
    assert (again.first, again.existing) == (1, True)
    with pytest.raises(Refused, match="--key: 'build-42' belongs to job 1"):
        submit(inside, "make clean", key="build-42")
    assert inside.listed() == [1]


# --- arrays and graphs ----------------------------------------------------------------------------


def test_the_elements_of_an_array_know_their_index(daemon):
    answer = daemon.client.submit(request("echo $JOBD_ARRAY_INDEX", array=[(3, 5), (10, 10)]))
    jobs = list(range(answer.first, answer.last + 1))
    daemon.wait(*jobs)
    assert [daemon.output(job) for job in jobs] == [b"3\n", b"4\n", b"5\n", b"10\n"]
    assert [daemon.job(job).array_index for job in jobs] == [3, 4, 5, 10]
    daemon.client.rm(ids(*jobs[:3]))
    assert daemon.job(jobs[3]).command == "echo $JOBD_ARRAY_INDEX"
    daemon.client.rm(ids(jobs[3]))
    assert daemon.sql("SELECT * FROM arrays") == []


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        ([(5, 3)], "the lower index comes first"),
        ([(1, 5), (4, 9)], "index 4 comes twice"),
        ([(1, 2_000_000)], "more than 1,000,000 elements"),
    ],
)
def test_an_array_that_is_none(quiet, array, complaint):
    with pytest.raises(BadRequest, match=complaint):
        quiet.client.submit(request("true", array=array))
    assert quiet.listed() == []


def test_a_large_array_is_small_and_its_elements_are_ordinary_jobs(quiet):
    before = quiet.client.status().database_bytes
    answer = quiet.client.submit(request("true", array=[(1, 50_000)]))
    quiet.daemon.built.ground.writer.call(lambda: None)
    quiet.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    each = (quiet.client.status().database_bytes - before) / 50_000
    assert each < 150
    assert len(ready(quiet)) == 50_000
    assert quiet.client.stop(ids(answer.first + 7)).done == [answer.first + 7]
    assert len(ready(quiet)) == 49_999


def test_a_change_of_very_many_is_answered_in_parts(quiet, monkeypatch):
    """Long before a client would take the daemon for dead; the client goes on by itself."""
    quiet.client.submit(request("true", array=[(1, 1700)]))
    monkeypatch.setattr("jobd.daemon.commands.bulk._PATIENCE_S", 0)
    stop = Stop(selector=Selector(all=True))
    assert quiet.ask(stop, b"stop", Acted).more
    assert quiet.ask(stop, b"stop", Acted).more
    everybody = list(range(1, 1701))
    acted = quiet.client.stop(Selector(ids=[(1, 1700), (9999, 9999)]))
    assert sorted(acted.done + [note.id for note in acted.notices]) == everybody
    assert [note.id for note in acted.errors] == [9999]
    assert quiet.client.status().jobs[State.STOPPED] == 1700


def node(line, *parents, **options):
    return Node(
        command=Command(argv=[line.encode()], shell=True),
        options=Options(**options),
        cwd=b"/",
        parents=list(parents),
    )


def test_a_graph_runs_in_its_order(daemon):
    nodes = [node("echo d", 1, 2), node("echo b", 3), node("echo c", 3), node("echo a")]
    answer = daemon.client.graph(Graph(nodes=nodes, environment=ENVIRONMENT))
    jobs = list(range(answer.first, answer.last + 1))
    daemon.wait(*jobs)
    d, b, c, a = (daemon.job(job) for job in jobs)
    assert a.finished_at <= min(b.started_at, c.started_at)
    assert max(b.finished_at, c.finished_at) <= d.started_at


def test_a_graph_is_taken_whole_or_not_at_all(quiet):
    def refused(complaint, *nodes, error=BadRequest):
        with pytest.raises(error, match=complaint):
            quiet.client.graph(Graph(nodes=list(nodes), environment=ENVIRONMENT))
        assert quiet.listed() == []

    refused("in a circle: 1 → 2 → 1", node("true", 1), node("true", 0))
    stray = node("true", group="x")
    refused("job 2 of the graph: --group: there is no", node("true"), stray, error=NotFound)
    refused("job 1 of the graph: parents: there is no place 4", node("true", 4))
    refused("job 2 .*--key: 'k' is that of job 1, too", node("a", key="k"), node("b", key="k"))
    late = node("a", after=[(9, 9)])
    refused("job 1 of the graph: --after: job 9 does not exist", late, error=NotFound)


def test_a_graph_that_hangs_on_a_failed_job_fails(daemon):
    bad = submit(daemon, "exit 1")
    daemon.wait(bad)
    answer = daemon.client.graph(
        Graph(nodes=[node("true", after=after(bad)), node("true", 0)], environment=ENVIRONMENT)
    )
    daemon.wait(answer.first, answer.last)
    assert states(daemon, answer.first, answer.last) == [
        ("failed", f"dependency failed: {bad}"),
        ("failed", f"dependency failed: {answer.first}"),
    ]


# --- all of it at once ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_memory_is_what_the_disk_says(make, seed):
    """Whatever is done, the ready queue is what a daemon that starts now would read."""
    dice = random.Random(seed)
    inside = make(workers=2, groups={"a": {"workers": 1}})
    client = inside.client
    jobs = [submit(inside, "true")]

    def some():
        return dice.choice(jobs)

    actions = [
        lambda: jobs.append(
            submit(
                inside, dice.choice(["true", "exit 1"]), group=dice.choice(["a", "default"]),
                after=after(some()), hold=dice.random() < 0.1,
                **dice.choice([{}, {"retries": 1, "retry_delay": 0.001}]),
            )
        ),
        lambda: jobs.append(submit(inside, "true", after_any=after(some()), delay=0.01)),
        lambda: client.hold(ids(some())),
        lambda: client.start(ids(some())),
        lambda: client.stop(ids(some())),
        lambda: client.restart(ids(some())),
        lambda: client.restart(Selector(states=[State.FAILED])),
        lambda: client.workers(dice.randint(0, 3)),
    ]  # fmt: skip
    for _ in range(150):
        dice.choice(actions)()
    client.workers(0)
    wait_until(lambda: not inside.daemon.built.execution.runs)
    inside.daemon.built.ground.writer.call(
        lambda: None
    )  # memory changes a moment before the disk does
    waiting = "SELECT 1 FROM jobs WHERE due IS NOT NULL AND state = 'pending'"
    wait_until(lambda: not inside.sql(waiting))
    settled(inside)
    assert ready(inside) == ready_on_disk(inside)
    assert inside.counts_on_disk() == client.status().jobs
    wrong = inside.sql(
        "SELECT id FROM jobs WHERE state = 'pending' AND unmet <>"
        " (SELECT COUNT(*) FROM dependencies WHERE child = id AND met = 0)"
    )
    assert wrong == []


def test_a_heavy_job_in_front_is_overtaken_by_no_other_group(make):
    """Its group has no limit of its own, so it is the workers that are too few."""
    inside = make(workers=3, groups={"g": {"workers": 2}})
    light = submit(inside, "exec sleep 100")
    heavy = submit(inside, "true", slots=3)
    other = submit(inside, "true", group="g")
    assert [inside.job(job).state.value for job in (light, heavy, other)] == [
        "running", "pending", "pending",
    ]  # fmt: skip
    inside.client.stop(ids(light), grace=0)
    inside.wait(heavy, other)
    assert order_of_starts(inside) == [light, heavy, other]


def test_what_waits_for_a_job_that_stays_keeps_it_from_being_removed(quiet):
    """A chain of which the last is not to go: nothing of it goes, and nothing is stopped."""
    first = submit(quiet, "true")
    second = submit(quiet, "true", after=after(first))
    last = submit(quiet, "true", after_any=after(second))
    acted = client_bulk.stop_and_remove(quiet.client, ids(first, second))
    assert acted.done == []
    assert [note.text for note in acted.errors] == [
        f"cannot be removed: {second} waits for it, and cannot be removed either",
        f"cannot be removed: {last} waits for it; remove that with it",
    ]
    assert [state for state, _ in states(quiet, first, second, last)] == ["pending"] * 3
    assert client_bulk.stop_and_remove(quiet.client, ids(first, second, last)).errors == []


def test_a_stopped_job_keeps_its_time_but_not_that_of_a_retry(daemon):
    timed = submit(daemon, "true", delay=1000)
    failed = submit(daemon, "exit 3", retries=1, retry_delay=1000)
    wait_until(lambda: states(daemon, failed) == [("pending", "retry backoff")])
    daemon.client.stop(ids(timed, failed))
    daemon.client.start(ids(timed, failed))
    wait_until(lambda: order_of_starts(daemon) == [failed, failed])
    wait_until(lambda: states(daemon, failed) == [("pending", "retry backoff")])
    assert states(daemon, timed) == [("pending", "delayed")]


def test_a_job_that_moves_out_of_its_filter_before_its_turn_is_passed_over(daemon, monkeypatch):
    daemon.client.workers(0)
    first, second = submit(daemon, "true"), submit(daemon, "exec sleep 100")
    resolve = Selection.resolve

    def then_it_runs(self, selector):
        found = resolve(self, selector)
        daemon.connect().workers(3)
        wait_until(lambda: daemon.sql("SELECT state FROM jobs")[1] == ("running",))
        wait_until(lambda: daemon.sql("SELECT state FROM jobs")[0] == ("completed",))
        return found

    monkeypatch.setattr(Selection, "resolve", then_it_runs)
    acted = daemon.client.stop(Selector(states=[State.PENDING]))
    assert acted.done == []
    assert {note.id: note.text for note in acted.notices} == {
        first: "has already completed", second: "is running by now",
    }  # fmt: skip


def test_lines_are_commands(quiet):
    """The helper of these tests says what the other one says."""
    assert request("true") == submit_of("true")


@pytest.mark.parametrize("piece", [1, 2, 5, 10_000])
def test_a_starting_daemon_reads_each_waiting_job_once_whatever_it_is_like(
    make, monkeypatch, piece
):
    monkeypatch.setattr(lookups, "_PIECE", piece)
    daemon = make(workers=2, groups={"g": {"workers": 2}})
    daemon.daemon.built.execution.breaker.halt()
    for _ in range(12):
        submit(daemon, "true")
    submit(daemon, "true", hold=True)
    for priority in (0, 0, 1, 0, 1, 1):
        submit(daemon, "true", priority=priority)
    for group in ("g", "g", "default"):
        submit(daemon, "true", group=group, slots=2)
    daemon.client.stop(ids(5, 6))
    read = list(daemon.daemon.built.ground.reader.ready())
    assert ready(daemon) == ready_on_disk(daemon)
    assert len(ready(daemon)) == 12 + 6 + 3 - 2
    for (first, last), (behind, _) in itertools.pairwise(read):
        assert last < behind.id
        # Only where a piece ends, two stand for what one could.
        joined = behind.id == last + 1 and replace(behind, id=0) == replace(first, id=0)
        assert not joined or last - first.id + 1 <= piece
    if piece == 10_000:
        assert [(first.id, last) for first, last in read[:2]] == [(1, 4), (7, 12)]


def test_a_time_that_is_over_is_refused_and_one_of_this_minute_is_not(daemon):
    with pytest.raises(BadRequest, match=r"^--at: 1970-01-02T00:00:00\+00:00 is in the past"):
        submit(daemon, "true", at=86_400.0)
    over = Node(
        command=Command(argv=[b"true"]), cwd=b"/", options=Options(at=now_us() / 1e6 - 3600)
    )
    with pytest.raises(BadRequest, match=r"^job 1 of the graph: --at: .* is in the past"):
        daemon.client.graph(Graph(nodes=[over], environment=ENVIRONMENT))
    held = submit(daemon, "true", hold=True)
    with pytest.raises(BadRequest, match=r"^--at: .* is in the past"):
        daemon.client.edit(Edit(id=held, at=86_400.0))
    assert daemon.job(held).not_before is None
    daemon.wait(submit(daemon, "true", at=now_us() / 1e6 - 30))
    assert daemon.client.status().jobs[State.PENDING] == 1


def test_what_is_asked_for_again_is_answered_as_before_however_late(daemon, monkeypatch):
    due = now_us() / 1e6 - 30
    first = daemon.ask(request("true", at=due), b"once", Submitted)
    later = now_us() + 600_000_000
    monkeypatch.setattr("jobd.daemon.jobs.admission.now_us", lambda: later)
    assert daemon.ask(request("true", at=due), b"once", Submitted) == first
    with pytest.raises(BadRequest, match=r"^--at: .* is in the past"):
        daemon.ask(request("true", at=due), b"another", Submitted)


def test_pending_jobs_are_listed_in_the_order_in_which_they_would_start(make):
    daemon = make(workers=0)
    soon, late = now_us() / 1e6 + 3600, now_us() / 1e6 + 7200
    held = submit(daemon, "true", hold=True, priority=100)
    at_late = submit(daemon, "true", at=late, priority=100)
    at_soon = submit(daemon, "true", at=soon, priority=-100)
    plain = submit(daemon, "true")
    child = submit(daemon, "true", after=after(plain), priority=100)
    high = submit(daemon, "true", priority=100)
    low = submit(daemon, "true", priority=-100)
    order = [high, plain, low, child, at_soon, at_late, held]
    assert daemon.listed() == order
    assert daemon.client.list(List(pending=3)).jobs[-1].id == low
    for limit in range(1, 8):  # page by page, wherever one ends
        rows, behind = daemon.daemon.built.ground.reader.page("pending", EVERYTHING, None, limit)
        while behind is not None:
            more, behind = daemon.daemon.built.ground.reader.page(
                "pending", EVERYTHING, behind, limit
            )
            rows += more
        assert [row.id for row in rows] == order
    daemon.client.start(ids(held))
    daemon.client.hold(ids(plain))
    assert daemon.listed() == [held, high, low, child, at_soon, at_late, plain]
