"""Daemon and supervisor are killed; jobs go on, run once, and nothing of them is lost."""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from jobd.admin import control
from jobd.admin.lock_holders import Holder
from jobd.admin.plan import StartOptions
from jobd.contract.errors import StoreGone
from jobd.contract.models import Status
from jobd.contract.states import State
from jobd.system import linux
from tests.e2e.instance import PATIENCE
from tests.helpers import processes_with, wait_until

pytestmark = pytest.mark.e2e

CODES = (3, 4, 5)


class Three:
    """Three jobs that exit 3, 4 and 5, each when it is told to, and a `jobctl wait` for each."""

    def __init__(self, instance):
        self.instance = instance
        self.gates = {code: instance.gate(f"gate{code}") for code in CODES}
        busy = "python3 -c 'bytearray(80_000_000); sum(range(2_000_000))'"
        self.jobs = {
            code: instance.submit(
                f"echo $JOBD_JOB_ID >>ran; {busy}; echo begin; read _ <{self.gates[code].path};"
                f" echo end; exit {code}"
            )
            for code in CODES
        }
        instance.await_lines("ran", 3)
        self.waits = {
            code: instance.begin("jobctl", "wait", str(self.jobs[code])) for code in CODES
        }
        wait_until(lambda: instance.connections() >= 3, 60)
        self.pids = {code: instance.pid_of(self.jobs[code]) for code in CODES}

    def end(self, *codes):
        for code in codes:
            self.gates[code].open()

    def ended(self, code):
        """Wait until it is a zombie: nobody has taken its status yet, or it has gone."""
        pid = self.pids[code]
        wait_until(lambda: (stat := linux.stat_of(pid)) is None or stat.state in "ZX", 60)

    def check(self):
        """Exit codes arrive where they were waited for; each ran once, whole, and accounted."""
        for code in CODES:
            _, said = self.waits[code].communicate(timeout=60)
            assert self.waits[code].returncode == code, said
        assert sorted(self.instance.lines("ran")) == sorted(str(job) for job in self.jobs.values())
        for code in CODES:
            job = self.instance.job(self.jobs[code])
            assert (job.state, job.reason) == ("failed", f"exit code {code}")
            assert (job.exit_code, job.attempt) == (code, 1)
            assert self.instance.output(job.id) == b"begin\nend\n"
            assert job.cpu_s is not None
            assert job.cpu_s > 0.005
            if self.instance.engine == "local":  # Slurm tells that only where it keeps accounts
                assert job.max_rss_kb is not None
                assert job.max_rss_kb > 1000


def next_daemon(supervisor, others):
    """Its pid, before it has begun to look around, and once its parent does not wait for it."""
    for pid in {stat.pid for stat in linux.children_of(supervisor)} - others:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            if b"jobd.daemon" in file.read():
                return pid
    return None


def test_the_daemon_is_killed(running):
    three = Three(running)
    old = running.status()
    # The supervisor is halted, so that no daemon lives for as long as we like.
    running.halt(old.supervisor_pid)
    running.kill(old.pid)
    three.end(3)
    three.ended(3)
    running.go_on(old.supervisor_pid)
    new = running.answers_anew(old.pid)
    assert new.supervisor_pid == old.supervisor_pid
    three.end(4)
    running.kill(new.pid)
    running.answers_anew(new.pid)
    three.end(5)
    three.check()


def test_a_job_that_ended_while_no_daemon_lived_ended_then(running):
    gate = running.gate()
    job = running.submit(f"echo $JOBD_RUN >>ran; read _ <{gate.path}; exit 3")
    (token,) = running.await_lines("ran", 1)
    old, pid = running.status(), running.pid_of(job)
    running.kill(old.pid)
    following = wait_until(lambda: next_daemon(old.supervisor_pid, {old.pid, pid}), 60)
    running.halt(following)
    opened = time.time()
    gate.open()
    wait_until(lambda: not processes_with(f"JOBD_RUN={token}"), 60)
    ended = time.time()
    wait_until(lambda: time.time() > ended + 2.0, 60)
    before = time.time()
    running.go_on(following)
    found = running.wait(job)[job]
    assert (found.state, found.reason) == ("failed", "exit code 3")
    # Nobody but the supervisor can have seen it so early.
    # Elsewhere it is the time of a file, which goes by ticks of a clock.
    tick = 0.0 if running.engine == "local" else 0.1
    assert opened - tick <= found.finished_at.timestamp() < before
    assert running.attempts(job)[0].finished_at == found.finished_at


def test_the_supervisor_is_killed(running):
    three = Three(running)
    old = running.status()
    three.end(3)
    running.kill(old.supervisor_pid)
    new = running.answers_anew(old.pid)
    assert new.supervisor_pid == old.pid
    three.end(4)
    running.kill(new.pid)
    running.answers_anew(new.pid)
    three.end(5)
    three.check()


def test_a_job_ends_while_the_supervisor_is_followed(running):
    three = Three(running)
    old = running.status()
    running.halt(old.pid)
    running.kill(old.supervisor_pid)
    three.end(3)
    three.ended(3)
    running.go_on(old.pid)
    running.answers_anew(old.pid)
    three.end(4, 5)
    three.check()


@pytest.mark.parametrize("times", [1, 2])
def test_an_order_to_end_that_comes_as_the_supervisor_dies_is_obeyed(running, times):
    """By the daemon, or by the one that takes its place; the second one is `--now`."""
    gate = running.gate()
    job = running.submit(f"echo >>ran; read _ <{gate.path}; exit 3")
    running.await_lines("ran", 1)
    old = running.status()
    running.halt(old.pid)
    running.kill(old.supervisor_pid)
    for number in (signal.SIGTERM, signal.SIGINT)[:times]:
        os.kill(old.pid, number)
    running.go_on(old.pid)
    if times == 1:
        wait_until(lambda: (found := running.answers()) and found.draining, PATIENCE)
        gate.open()
    wait_until(lambda: linux.stat_of(old.pid) is None, PATIENCE)
    running.jobd("status", code=3)
    running.start()
    ended = running.job(job)
    assert (ended.exit_code, ended.state) == ((3, "failed") if times == 1 else (None, "stopped"))


def test_two_orders_to_end_are_two_though_the_daemon_hears_both_at_once(running):
    """Ctrl-C twice, and the daemon is busy; they come by way of its supervisor."""
    gate = running.gate()
    job = running.submit(f"echo >>ran; read _ <{gate.path}; exit 3")
    running.await_lines("ran", 1)
    old = running.status()
    running.halt(old.pid)
    for passed_on in ({signal.SIGTERM}, {signal.SIGTERM, signal.SIGINT}):
        os.kill(old.supervisor_pid, signal.SIGINT)
        wait_until(lambda passed_on=passed_on: pending(old.pid) >= passed_on, PATIENCE)
    running.go_on(old.pid)
    wait_until(lambda: linux.stat_of(old.supervisor_pid) is None, PATIENCE)
    running.start()
    assert running.job(job).state is State.STOPPED


def pending(pid):
    """Signals that a process has got and not heard yet (ShdPnd of proc(5))."""
    (mask,) = re.findall(r"^ShdPnd:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return {number for number in signal.Signals if int(mask, 16) >> (number - 1) & 1}


def test_the_supervisor_is_killed_and_then_its_successor(running):
    three = Three(running)
    first = running.status()
    running.kill(first.supervisor_pid)
    second = running.answers_anew(first.pid)
    three.end(3)
    running.wait(three.jobs[3])
    running.kill(second.supervisor_pid)
    third = running.answers_anew(second.pid)
    assert third.supervisor_pid == second.pid
    three.end(4, 5)
    three.check()


def gated(instance, code=3):
    """A job that exits so when the gate opens."""
    gate = instance.gate()
    job = instance.submit(f"echo >>ran; read _ <{gate.path}; exit {code}")
    instance.await_lines("ran", 1)
    return job, gate


def restarted(instance):
    instance.begin("jobd", "restart")


def without_its_log(instance):
    """A daemon whose database has lost its log makes way for another one."""
    for suffix in ("-wal", "-shm"):
        instance.paths.database.with_name(f"{instance.paths.database.name}{suffix}").unlink()


@pytest.mark.parametrize("makes_way", [restarted, without_its_log])
def test_the_supervisor_is_killed_while_the_daemon_makes_way(instance, makes_way):
    """Nobody else is left who could start the next one."""
    instance.start(crash="closed:1:supervisor")
    job, gate = gated(instance)
    old = instance.status()
    makes_way(instance)
    new = instance.answers_anew(old.pid)
    assert new.supervisor_pid == old.pid
    assert not (instance.work / "fuse").exists()
    gate.open()
    found = instance.wait(job)[job]
    assert (found.reason, found.attempt) == ("exit code 3", 1)


def test_the_supervisor_is_killed_before_the_daemon_has_begun(running):
    """The queue goes on; how its jobs end only the kernel can tell now, and not every one does."""
    job, gate = gated(running)
    old = running.status()
    running.kill(old.pid)
    following = wait_until(lambda: next_daemon(old.supervisor_pid, {old.pid}), 60)
    running.halt(following)
    running.kill(old.supervisor_pid)
    running.go_on(following)
    new = running.answers_anew(old.pid)
    assert new.supervisor_pid == following
    gate.open()
    found = running.wait(job)[job]
    assert found.reason in ("exit code 3", "lost")
    assert found.attempt == 1


def test_a_job_of_nobody_that_ended_while_no_daemon_lived_ended_then(running):
    """Its first daemon died, then that one's supervisor: the next one has a handle of it alone."""
    job, gate = gated(running)
    first = running.status()
    running.kill(first.pid)
    second = running.answers_anew(first.pid)
    pid = running.pid_of(job)
    running.kill(second.supervisor_pid)
    third = running.answers_anew(second.pid)
    assert third.supervisor_pid == second.pid
    running.kill(third.pid)
    following = wait_until(lambda: next_daemon(second.pid, {third.pid}), 60)
    running.halt(following)
    gate.open()
    wait_until(lambda: (stat := linux.stat_of(pid)) is None or stat.state in "ZX", 60)
    ended = time.time()
    wait_until(lambda: time.time() > ended + 2.0, 60)
    # Killed, too: what it would have seen is gone with it.
    running._halted.remove(following)
    running.kill(following)
    found = running.wait(job)[job]
    assert found.reason in ("exit code 3", "lost")
    assert abs(found.finished_at.timestamp() - ended) < 1.0


def test_both_are_killed_at_once(running):
    """Only then may an outcome be lost; it is said, and the job is not run twice."""
    gate = running.gate()
    running.submit(f"echo 1 >>ran; read _ <{gate.path}; echo whole; exit 3", "echo 2 >>ran")
    running.await_lines("ran", 2)
    running.wait(2)
    old = running.status()
    running.halt(old.pid)
    running.kill(old.supervisor_pid)
    running.kill(old.pid)
    running.start()
    assert running.job(1).state == "running"
    gate.open()
    job = running.wait(1)[1]
    assert (job.state, job.attempt) == ("failed", 1)
    assert job.reason in ("exit code 3", "lost")
    assert running.output(1) == b"whole\n"
    assert sorted(running.lines("ran")) == ["1", "2"]


def test_both_are_killed_at_once_and_then_a_daemon_alone(running):
    """The second death is no reason why more of the job should be unknown."""
    job, gate = gated(running)
    old, pid = running.status(), running.pid_of(job)
    running.halt(old.pid)
    running.kill(old.supervisor_pid)
    running.kill(old.pid)
    running.start()
    new = running.status()
    running.halt(new.supervisor_pid)
    running.kill(new.pid)
    running.go_on(new.supervisor_pid)
    following = wait_until(lambda: next_daemon(new.supervisor_pid, {new.pid}), 60)
    running.halt(following)
    gate.open()
    wait_until(lambda: (stat := linux.stat_of(pid)) is None or stat.state in "ZX", 60)
    ended = time.time()
    wait_until(lambda: time.time() > ended + 2.0, 60)
    running.go_on(following)
    found = running.wait(job)[job]
    assert found.reason in ("exit code 3", "lost")
    assert abs(found.finished_at.timestamp() - ended) < 1.0


def test_a_stop_is_carried_out_by_the_next_daemon(running):
    running.submit("trap '' TERM; echo $JOBD_RUN >>ran; while :; do sleep 100; done")
    running.await_lines("ran", 1)
    stop = running.begin("jobctl", "stop", "--grace", "2", "1")
    wait_until(lambda: running.job(1).state == "stopped" or _ordered(running), 30)
    old = running.status()
    running.kill(old.pid)
    out, _ = stop.communicate(timeout=60)
    assert (stop.returncode, out) == (0, b"1\n")
    job = running.job(1)
    assert (job.state, job.reason, job.signal) == ("stopped", "by user", "KILL")
    assert len(running.lines("ran")) == 1


def _ordered(instance):
    """Whether the order to stop job 1 is on disk."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(f"file:{instance.paths.database}?mode=ro", uri=True)) as db:
        return db.execute("SELECT stop FROM jobs WHERE id = 1").fetchone()[0] is not None


def test_jobd_restart_touches_no_job(running):
    three = Three(running)
    old = running.status()
    follower = running.begin("jobctl", "logs", "-f", str(three.jobs[5]))
    three.end(3)
    assert "restarted" in running.jobd("restart").stdout
    new = running.status()
    assert new.pid != old.pid
    assert new.busy <= 3
    three.end(4)
    running.jobd("restart")
    three.end(5)
    three.check()
    assert follower.communicate(timeout=60)[0] == b"begin\nend\n"


def test_a_hanging_daemon_is_replaced(running, monkeypatch):
    """Halted, it answers nobody: `jobd restart` goes to its supervisor."""
    monkeypatch.setattr(Status, "about", replace(Status.about, patience=1.0))
    gate = running.gate()
    running.submit(f"echo >>ran; read _ <{gate.path}; exit 3")
    running.await_lines("ran", 1)
    old = running.status()
    running.halt(old.pid)
    assert control.restart(running.paths).pid != old.pid
    running._halted.remove(old.pid)
    gate.open()
    assert running.wait(1)[1].exit_code == 3


def test_a_hanging_daemon_without_a_supervisor_goes_on_as_one(running, monkeypatch):
    """Halted, with its supervisor dead: it is woken, and nothing of its jobs is lost."""
    monkeypatch.setattr(Status, "about", replace(Status.about, patience=1.0))
    gate = running.gate()
    running.submit(f"echo >>ran; read _ <{gate.path}; exit 3")
    running.await_lines("ran", 1)
    old = running.status()
    running.halt(old.pid)
    running.kill(old.supervisor_pid)
    told = []
    assert control.start(running.paths, StartOptions(), told.append).already
    assert [line.partition(", pid")[0] for line in told] == [
        "jobd had been halted (SIGSTOP); it goes on"
    ]
    running._halted.remove(old.pid)
    gate.open()
    job = running.wait(1)[1]
    assert (job.exit_code, job.attempt) == (3, 1)


REPLACE_A_DEAF_ONE = """
import signal
from msgspec.structs import replace
from jobd.admin import control as lifecycle
from jobd.contract.models import Status
from jobd.contract.paths import locate
from jobd.admin.lock_holders import Holder

send = Holder.send
Holder.send = lambda holder, number: None if number == signal.SIGCONT else send(holder, number)
Status.about = replace(Status.about, patience=1.0)
lifecycle._WAKE_WITHIN = 0.1
print(lifecycle.restart(locate()).pid)
"""
"""`jobd restart`, where the daemon goes on after the CONT and stops at once again."""


@pytest.mark.parametrize("options", [[], ["--ephemeral", "--workers", "7"]])
def test_a_deaf_daemon_without_a_supervisor_is_ended_and_followed(instance, options):
    """Only a KILL is left; who follows is the same instance, with all that it was told."""
    instance.start(*options)
    held = instance.id_of("--hold", "true")
    gate = instance.gate()
    job = instance.submit(f"echo >>ran; read _ <{gate.path}; echo whole; exit 3")
    instance.await_lines("ran", 1)
    old = instance.status()
    instance.halt(old.pid)
    instance.kill(old.supervisor_pid)
    done = instance.run("python3", "-c", REPLACE_A_DEAF_ONE, code=0)
    instance._halted.remove(old.pid)
    found = instance.status()
    assert found.pid == int(done.stdout) != old.pid
    assert (found.ephemeral, found.workers) == (old.ephemeral, old.workers)
    assert instance.job(held).reason == "held"
    gate.open()
    ended = instance.wait(job)[job]
    assert ended.reason in ("exit code 3", "lost")
    assert (instance.output(job), ended.attempt) == (b"whole\n", 1)


def _without_wake(send):
    return lambda holder, number: None if number == signal.SIGCONT else send(holder, number)


def test_a_pid_in_the_lock_file_is_never_signalled(running, monkeypatch):
    """It may be another's by now; who holds the lock the kernel says."""
    monkeypatch.setattr(Status, "about", replace(Status.about, patience=1.0))
    monkeypatch.setattr(Holder, "send", _without_wake(Holder.send))
    monkeypatch.setattr(control, "_WAKE_WITHIN", 0.1)
    other = running.begin("python3", "-c", "input()", stdin=subprocess.PIPE)
    old = running.status()
    running.paths.lock.write_text(f"{other.pid}\n")
    running.halt(old.pid)
    assert control.restart(running.paths).pid != old.pid
    running._halted.remove(old.pid)
    assert other.poll() is None
    other.communicate(b"\n", timeout=60)
    assert other.returncode == 0


def test_a_storm_of_kills_under_a_stream_of_jobs(running):
    dice = random.Random(20260102)
    client = running.client()
    total = 40
    command = "echo $JOBD_JOB_ID $JOBD_ATTEMPT >>ran; sleep 0.02; exit $((JOBD_JOB_ID % 5))"
    submitted = []
    for number in range(total):
        submitted.append(running.submit(command, client=client))
        if number % 8 == 4:
            running.kill(running.answers().pid)
        elif number == total // 2:
            running.jobd("restart")
        else:
            time.sleep(dice.random() / 50)
    jobs = running.wait(submitted[0], submitted[-1])
    assert submitted == sorted(set(submitted))
    assert sorted(jobs) == submitted
    ran = Counter(running.lines("ran"))
    assert ran == {f"{job} 1": 1 for job in submitted}
    assert {job: found.exit_code for job, found in jobs.items()} == {j: j % 5 for j in submitted}


def test_a_home_that_was_deleted_is_not_replaced_by_an_empty_one(running):
    """Its jobs go on to their end, and nothing is pretended to be known of them."""
    gate = running.gate()
    client = running.client()
    running.submit(f"echo >>ran; read _ <{gate.path}; echo whole >>ran")
    running.await_lines("ran", 1)
    found = client.status()  # connected before the socket goes
    shutil.rmtree(running.home)
    with pytest.raises(StoreGone, match="was deleted or moved"):
        running.submit("true", client=client)
    assert "was deleted or moved" in client.status().error
    running.kill(found.pid)
    gate.open()
    wait_until(lambda: not running.processes(), 60)
    assert running.lines("ran") == ["", "whole"]
    assert not running.paths.database.exists()
    running.start()
    assert running.jobctl("ls", "--ids").stdout == ""


def test_a_supervisor_without_descriptors_stays_with_its_jobs(running):
    """It can neither look after them nor start a daemon, and leaves neither undone."""
    gate = running.gate()
    job = running.submit(f"echo >>ran; read _ <{gate.path}; exit 3")
    running.await_lines("ran", 1)
    old = running.status()
    supervisor = str(old.supervisor_pid)
    subprocess.run(["prlimit", "--pid", supervisor, "--nofile=3:"], check=True)
    running.kill(old.pid)
    told = "cannot look after the jobs just now"
    wait_until(lambda: told in running.paths.log.read_text(), 60)
    gate.open()
    subprocess.run(["prlimit", "--pid", supervisor, "--nofile=1000:"], check=True)
    found = running.wait(job)[job]
    assert (found.exit_code, found.attempt, running.lines("ran")) == (3, 1, [""])
    assert found.cpu_s is not None
    assert str(running.answers_anew(old.pid).supervisor_pid) == supervisor
