"""Slurm's programs are waited for, but not for ever: one that hangs keeps nobody else."""

import os
import signal
import threading
from contextlib import contextmanager

import pytest

from jobd.engines.base import Away
from jobd.engines.slurm import programs
from jobd.engines.slurm.programs import Programs
from jobd.system import linux, spawning
from tests.helpers import descriptors, wait_until

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere"}


@pytest.fixture
def run(tmp_path):
    """A function that makes the program `asked` of a shell line, and runs it."""
    all_of_them = Programs(str(tmp_path))

    def run(line, *arguments, given=b""):
        made = tmp_path / "asked"
        made.write_text(f"#!/bin/sh\n{line}\n")
        made.chmod(0o755)
        return all_of_them.run("asked", *arguments, given=given, environment=ENVIRONMENT)

    return run


def running():
    return [thread for thread in threading.enumerate() if thread.name == "slurm program"]


@contextmanager
def out_of_reach(monkeypatch):
    """KILL does not reach what is killed meanwhile, as in state D; what was to be killed."""
    reached = []
    with monkeypatch.context() as patched:
        patched.setattr(programs, "_PATIENCE_S", 0.05)
        patched.setattr(os, "killpg", lambda pid, _: reached.append(pid))
        yield reached


def test_it_gets_what_is_given_and_its_words_and_code_come_back(run):
    before = descriptors()
    said = run(
        'cat; echo "$@" "$HOME" "$PWD"; echo no >&2; exit 3', "a b", "", given=b"it\n" * 9999
    )
    assert said == (3, b"it\n" * 9999 + b"a b  /nowhere /\n", b"no\n")
    assert run("kill -9 $$").code == -signal.SIGKILL
    wait_until(lambda: not running())
    # Those of tests before this one may have been closed meanwhile.
    assert descriptors().items() <= before.items()


def test_much_that_it_says_and_what_it_leaves_behind_is_no_obstacle(run):
    assert run("head -c 300000 /dev/zero; sleep 0.2 &").stdout == bytes(300000)


def test_one_that_does_not_answer_is_killed_with_what_it_has_started(run, tmp_path, monkeypatch):
    there = tmp_path / "pid"

    def not_in_time(_, seconds):
        assert seconds == 30
        wait_until(lambda: there.exists() and there.read_text())
        raise TimeoutError

    monkeypatch.setattr(programs.Future, "result", not_in_time)
    with pytest.raises(Away, match="asked has not answered within 30 s"):
        run(f"sleep 100 & echo $! >{there}; wait")
    wait_until(lambda: not running())
    other = int(there.read_text())
    wait_until(lambda: (found := linux.stat_of(other)) is None or found.state in "ZX")


def test_one_that_not_even_kill_ends_keeps_nobody_and_they_do_not_grow(run, monkeypatch):
    before = descriptors()
    with out_of_reach(monkeypatch) as hung:
        for _ in range(programs._MOST_HUNG):
            with pytest.raises(Away, match="has not answered"):
                run("exec sleep 100")
        wait_until(lambda: len(hung) == programs._MOST_HUNG)
        with pytest.raises(Away, match=r"8 of Slurm's programs hang"):
            run("exec sleep 100")
    assert len(hung) == len(running()) == programs._MOST_HUNG
    for pid in hung:
        os.killpg(pid, signal.SIGKILL)
    wait_until(lambda: not running())
    assert run("echo it").stdout == b"it\n"
    wait_until(lambda: not running())
    # Those of tests before this one may have been closed meanwhile.
    assert descriptors().items() <= before.items()


def test_one_that_hangs_before_it_has_begun_is_killed_as_soon_as_it_has(run, monkeypatch):
    """As where the program lies on a dead file server."""
    answers, spawn = threading.Event(), spawning.spawn_helper

    def late(*arguments):
        answers.wait(60)
        return spawn(*arguments)

    monkeypatch.setattr(spawning, "spawn_helper", late)
    monkeypatch.setattr(programs, "_PATIENCE_S", 0.05)
    with pytest.raises(Away, match="has not answered"):
        run("exec sleep 100")
    answers.set()
    wait_until(lambda: not running())


def test_what_cannot_be_run_is_away(run, tmp_path, monkeypatch):
    with pytest.raises(Away, match="absent cannot be run: no such file or directory"):
        Programs("").run("absent", given=b"", environment=ENVIRONMENT)
    with pytest.raises(Away, match="absent cannot be run: no such file or directory"):
        Programs(str(tmp_path)).run("absent", given=b"", environment=ENVIRONMENT)

    def none_left(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        with pytest.raises(Away, match="no thread is left"):
            run("echo it")
    assert run("echo it").stdout == b"it\n"
