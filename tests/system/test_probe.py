"""A program that is asked about the machine: shared, limited in time, and gone at the end."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobd.system import linux
from jobd.system.probe import Probe
from tests.helpers import descriptors, wait_until


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A function that makes the program `probed` of a shell line; each call leaves its pid."""

    def make(line):
        made = tmp_path / "probed"
        made.write_text(f"#!/bin/sh\necho $$ >>{tmp_path}/pids\n{line}\n")
        made.chmod(0o755)

    def pids():
        there = tmp_path / "pids"
        return [int(pid) for pid in there.read_text().split()] if there.exists() else []

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    make.pids = pids
    return make


def probing():
    return [thread for thread in threading.enumerate() if thread.name == "probe"]


def test_its_stdout_is_told_and_nothing_of_it_is_left(program):
    program('echo "$0 $*"; echo no >&2; read _ || echo "no stdin"')
    probe, before = Probe("probed", "-a", "b c"), descriptors()
    found = probe.said().decode().splitlines()
    assert [line.rpartition("/")[2] for line in found] == ["probed -a b c", "no stdin"]
    wait_until(lambda: not probing())
    assert descriptors().items() <= before.items()


def test_it_leads_a_group_and_no_session(program):
    """As an orphan that leads a session it might be taken for a job that has half started."""
    program("read -r stat </proc/$$/stat; echo $stat")
    pid, _, _, _, group, session, *_ = Probe("probed").said().split()
    assert group == pid
    assert int(session) == os.getsid(0)


def test_much_that_it_says_is_no_obstacle(program):
    program("head -c 300000 /dev/zero")
    assert Probe("probed").said() == bytes(300000)


def test_many_who_ask_meanwhile_share_its_answer(program, tmp_path):
    os.mkfifo(tmp_path / "gate")
    program(f"read line <{tmp_path}/gate; echo $line")
    probe = Probe("probed")
    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(probe.said) for _ in range(5)]
        wait_until(lambda: probe._run and len(probe._run.said._condition._waiters) == 5)
        (tmp_path / "gate").write_text("it\n")
        assert {answer.result() for answer in answers} == {b"it\n"}
    assert len(program.pids()) == 1


def test_one_that_is_not_there_is_looked_for_again_after_a_while(program):
    now = 0.0
    probe = Probe("probed", clock=lambda: now)
    assert probe.said() is None
    program("echo it")
    assert probe.said() is None
    now = 60.0
    assert probe.said() == b"it\n"


def test_who_comes_when_its_time_is_up_does_not_wait(program, monkeypatch):
    """As where a dead file server holds its thread while the program is looked for."""
    held, now = threading.Event(), 0.0
    monkeypatch.setattr("shutil.which", lambda _: held.wait(60) and None)
    monkeypatch.setattr("jobd.system.probe._PATIENCE_S", 0.2)
    probe = Probe("probed", clock=lambda: now)
    assert probe.said() is None
    now, waits = 0.3, []
    monkeypatch.setattr("jobd.system.probe.Future.result", lambda _, seconds: waits.append(seconds))
    assert probe.said() is None
    assert waits == [0.0]
    held.set()
    wait_until(lambda: not probing())


def test_at_the_end_it_is_killed_with_what_it_has_started(program):
    program("sleep 100 & echo $! >>${0%/*}/pids; wait")
    probe = Probe("probed")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(probe.said)
        wait_until(lambda: len(program.pids()) == 2)
        probe.close()
        assert not probing()
        assert answer.result() is None
    leader, other = program.pids()
    assert linux.stat_of(leader) is None
    wait_until(lambda: (found := linux.stat_of(other)) is None or found.state in "ZX")
    assert probe.said() is None
    assert len(program.pids()) == 2, "it is not run any more"


def test_without_a_descriptor_to_wait_with_it_is_not_waited_for(program, monkeypatch):
    def none_left(_):
        raise OSError(24, "Too many open files")

    program("exec sleep 100")
    monkeypatch.setattr(os, "pidfd_open", none_left)
    assert Probe("probed").said() is None
    wait_until(lambda: not probing())


def test_without_a_thread_nothing_is_known_and_it_is_asked_again(program, monkeypatch):
    def none_left(_):
        raise RuntimeError("can't start new thread")

    program("echo it")
    probe = Probe("probed")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        assert probe.said() is None
    assert probe.said() == b"it\n"
