"""An intent in the run table and no pid: which child of the supervisor it is, if any."""

import os
import signal
import struct
import subprocess
import sys
from types import SimpleNamespace

import pytest

from jobd.engines.base import Attempt, Fate
from jobd.engines.local import run_table
from jobd.engines.local.engine import LocalEngine
from jobd.engines.local.process_snapshot import token_of
from jobd.system import linux
from tests.engines.contexts import context_of
from tests.helpers import wait_until

TOKEN = "0123456789abcdef" * 2
SLOT = 1


@pytest.fixture
def engine(tmp_path):
    """This process is daemon and supervisor at once: what it spawns stays its child."""
    link = SimpleNamespace(last_daemon=None, settle=lambda _adopted: None)
    made = LocalEngine(context_of(tmp_path, link=link))
    made._supervisor = os.getpid()
    made._table.begin()
    made._table.intend(SLOT, TOKEN, os.getpid())
    os.ftruncate(made._table.mark, 0)  # as a new process does
    yield made
    made.close()


@pytest.fixture
def spawn():
    started = []

    def start(code="import time; time.sleep(100)", token=""):
        env = {"JOBD_RUN": token} if token else {}
        command = [sys.executable, "-S", "-c", code]
        process = subprocess.Popen(command, env=env, start_new_session=True)
        started.append(process)
        # It counts as one that shows no token until its exec is done, and that it is not yet when
        # Popen hears of it.
        wait_until(
            lambda: token_of(process.pid) == token.encode() if token else _is_itself(process)
        )
        return process.pid

    yield start
    for process in started:
        process.kill()
        process.wait()


def _is_itself(process):
    with open(f"/proc/{process.pid}/cmdline", "rb") as file:
        return file.read().split(b"\0")[:-1] == [os.fsencode(word) for word in process.args]


def ended(pid):
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: linux.stat_of(pid).state == "Z")
    return pid


def next_tick():
    now = linux.ticks()
    wait_until(lambda: linux.ticks() > now)


def recovered(engine):
    return engine.recover([Attempt(TOKEN, 1, 1, SLOT)])[TOKEN]


def test_nobody_is_there(engine):
    assert recovered(engine) is Fate.NEVER_STARTED


@pytest.mark.parametrize("parents_live", [True, False])
def test_it_never_began_whoever_else_is_there(engine, spawn, parents_live):
    os.ftruncate(engine._table.mark, 1)
    ended(spawn())
    if not parents_live:
        engine._supervisor = 1
    assert recovered(engine) is Fate.NEVER_STARTED


def test_it_bears_its_token(engine, spawn):
    spawn()
    mine = spawn(token=TOKEN)
    wait_until(lambda: linux.stat_of(mine).session == mine)
    assert recovered(engine).pid == mine


@pytest.mark.parametrize("lives", [True, False])
def test_it_shows_no_token(engine, spawn, lives):
    other, mine = spawn(token="f" * 32), spawn()
    assert linux.stat_of(other).session == other
    if not lives:
        ended(mine)
    assert recovered(engine).pid == mine


def test_two_that_it_could_be(engine, spawn):
    spawn()
    ended(spawn())
    assert recovered(engine) is Fate.LOST


@pytest.mark.parametrize("lives", [True, False])
def test_who_began_after_the_death_of_the_daemon_is_a_stranger(engine, spawn, lives):
    engine._link.last_daemon = (os.getpid(), linux.ticks())
    next_tick()
    stranger = spawn()
    if not lives:
        ended(stranger)
    assert recovered(engine) is Fate.NEVER_STARTED


def test_the_death_of_another_daemon_says_nothing(engine, spawn):
    engine._link.last_daemon = (os.getppid(), linux.ticks())
    next_tick()
    mine = ended(spawn())
    assert recovered(engine).pid == mine


class TornError(Exception):
    pass


@pytest.fixture
def stores(monkeypatch):
    """Kills, as it were, before the given store into the map; a store is whole or not there."""

    class Store:
        left = 1000

        def __init__(self, layout):
            self.layout = struct.Struct(layout)
            self.size = self.layout.size

        def pack_into(self, *args):
            if not Store.left:
                raise TornError
            Store.left -= 1
            self.layout.pack_into(*args)

    for name in ("_TOKEN", "_PID", "_REST", "_LATEST"):
        monkeypatch.setattr(run_table, name, Store(getattr(run_table, name).format))
    return Store


@pytest.mark.parametrize("after", range(6))
def test_a_line_is_never_half_that_of_another_attempt(tmp_path, stores, after):
    made = run_table.RunTable(tmp_path / "run-table")
    made.begin()
    old, new = "0" * 32, "f" * 32
    made.intend(SLOT, old, 42)
    made.spawned(SLOT, 99)
    before = made.find(SLOT, old)
    stores.left = after
    try:
        made.intend(SLOT, new, 42)
    except TornError:
        stores.left = 1000
    assert made.find(SLOT, old) in (None, before)
    found = made.find(SLOT, new)
    assert found is None or (found.pid == 0 and found.latest == 0)
    assert (found is None) == (after < 4)
    made.close()


@pytest.mark.parametrize("after", range(3))
def test_a_pid_stands_on_the_board_with_its_time(tmp_path, stores, after):
    made = run_table.RunTable(tmp_path / "run-table")
    made.begin()
    made.intend(SLOT, TOKEN, 42)
    stores.left = after
    try:
        made.spawned(SLOT, 99)
    except TornError:
        stores.left = 1000
    found = made.find(SLOT, TOKEN)
    assert found.pid in (0, 99)
    assert not found.pid or found.latest > 0
    assert (found.pid == 99) == (after == 2)
    made.close()


@pytest.mark.parametrize("after", range(3))
def test_what_is_settled_is_never_taken_for_one_that_never_started(tmp_path, stores, after):
    made = run_table.RunTable(tmp_path / "run-table")
    made.begin()
    made.intend(SLOT, TOKEN, 42)
    stores.left = after
    try:
        made.settle(SLOT, TOKEN, os.getpid(), 42)
    except TornError:
        stores.left = 1000
    found, start = made.find(SLOT, TOKEN), linux.stat_of(os.getpid()).start
    assert found.pid in (0, os.getpid())
    assert not found.pid or found.earliest == found.latest == start
    made.close()
