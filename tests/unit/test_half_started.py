"""An intent on the board and no pid: which child of the supervisor it is, if any."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from jobd import kernel
from jobd.engines.base import Fate
from jobd.engines.local import LocalEngine
from tests.helpers import wait_until

TOKEN = "0123456789abcdef" * 2
SLOT = 1


@pytest.fixture
def engine(tmp_path):
    """This process is daemon and supervisor at once: what it spawns stays its child."""
    link = SimpleNamespace(pidfds={}, used={}, last_daemon=None, settle=lambda _adopted: None)
    made = LocalEngine(tmp_path / "running", link)
    made._supervisor = os.getpid()
    made._board.begin()
    made._board.intend(SLOT, TOKEN, os.getpid())
    yield made
    for process in made._adopted.values():
        process._drop_handle()
    made.close()


@pytest.fixture
def spawn():
    started = []

    def start(code="import time; time.sleep(100)", token=""):
        env = {"JOBD_RUN": token} if token else {}
        command = [sys.executable, "-S", "-c", code]
        process = subprocess.Popen(command, env=env, start_new_session=True)
        started.append(process)
        return process.pid

    yield start
    for process in started:
        process.kill()
        process.wait()


def ended(pid):
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: kernel.stat_of(pid).state == "Z")
    return pid


def next_tick():
    now = kernel.ticks()
    wait_until(lambda: kernel.ticks() > now)


def recovered(engine):
    return engine.recover({TOKEN: SLOT})[TOKEN]


def test_nobody_is_there(engine):
    assert recovered(engine) is Fate.NEVER_STARTED


def test_it_bears_its_token(engine, spawn):
    spawn()
    mine = spawn(token=TOKEN)
    wait_until(lambda: kernel.stat_of(mine).session == mine)
    assert recovered(engine).pid == mine


@pytest.mark.parametrize("lives", [True, False])
def test_it_shows_no_token(engine, spawn, lives):
    other, mine = spawn(token="f" * 32), spawn()
    assert kernel.stat_of(other).session == other
    if not lives:
        ended(mine)
    assert recovered(engine).pid == mine


def test_two_that_it_could_be(engine, spawn):
    spawn()
    ended(spawn())
    assert recovered(engine) is Fate.LOST


@pytest.mark.parametrize("lives", [True, False])
def test_who_began_after_the_death_of_the_daemon_is_a_stranger(engine, spawn, lives):
    engine._link.last_daemon = (os.getpid(), kernel.ticks())
    next_tick()
    stranger = spawn()
    if not lives:
        ended(stranger)
    assert recovered(engine) is Fate.NEVER_STARTED


def test_the_death_of_another_daemon_says_nothing(engine, spawn):
    engine._link.last_daemon = (os.getppid(), kernel.ticks())
    next_tick()
    mine = ended(spawn())
    assert recovered(engine).pid == mine
