"""`q` leaves `watch`, and whatever ends or stops it, the terminal is as it was before."""

import os
import re
import signal
import subprocess

import pytest

from tests.e2e.instance import PATIENCE
from tests.helpers import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def job(shared, tmp_path):
    gate = shared.gate(str(tmp_path / "gate"))
    yield shared.id_of("-n", "train", f"echo epoch 1; read _ <{gate.path}")
    gate.open()


@pytest.mark.parametrize("key", [b"q", b"xQ", b"\x03"])
def test_a_key_leaves_it_and_the_job_goes_on(shared, sit, job, key):
    seat = sit("jobctl", "watch", str(job))
    seat.watches()
    seat.type(key)
    assert seat.ends() == 0
    assert shared.job(job).state == "running"
    assert b"x" not in re.sub(rb"\x1b\S*|epoch|Exit", b"", seat.shown)
    seat.waits_for(b"1 running")


def test_the_end_of_what_is_watched(shared, sit):
    seat = sit("jobctl", "watch", str(shared.id_of("sleep 0.2")))
    assert seat.ends() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_that_ends_it(sit, job, number):
    seat = sit("jobctl", "watch", str(job))
    seat.watches()
    os.kill(seat.process.pid, number)
    assert seat.ends() == -number


def test_it_is_stopped_and_goes_on(sit, job):
    shell = sit("/bin/bash", "--norc", "--noediting", "-i")
    shell.waits_for(b"$ ")
    shell.type(b"jobctl watch %d\n" % job)
    shell.watches()
    shell.type(b"\x1a")
    shell.waits_for(b"Stopped")
    wait_until(lambda: not shell.reads_keys())
    shell.type(b"echo in''between\n")
    shell.waits_for(b"inbetween")
    shell.type(b"fg\n")
    shell.waits_for(b"q leaves", 2)
    wait_until(shell.reads_keys)
    shell.type(b"q")
    wait_until(lambda: not shell.reads_keys())
    shell.type(b"echo co''de $?\n")
    shell.waits_for(b"code 0")
    shell.type(b"exit\n")
    assert shell.process.wait(PATIENCE) == 0


def test_in_the_background_it_leaves_the_terminal_alone(sit, job):
    shell = sit("/bin/bash", "--norc", "--noediting", "-i")
    shell.waits_for(b"$ ")
    shell.type(b"jobctl watch %d &\n" % job)
    shell.waits_for(b"Ctrl-C leaves")
    assert not shell.reads_keys()
    shell.type(b"echo q''uiet\n")
    shell.waits_for(b"quiet")
    shell.type(b"kill %1; wait; echo go''ne\n")
    shell.waits_for(b"gone")
    assert not shell.reads_keys()
    shell.type(b"exit\n")
    assert shell.process.wait(PATIENCE) == 0


def test_stdin_that_is_no_terminal_is_left_alone(sit, job):
    reading, writing = os.pipe()
    seat = sit("jobctl", "watch", str(job), stdin=reading)
    seat.waits_for(b"Ctrl-C leaves")
    os.write(writing, b"q")
    assert not seat.reads_keys()
    with pytest.raises(subprocess.TimeoutExpired):
        seat.process.wait(0.3)
    os.set_blocking(reading, False)
    assert os.read(reading, 9) == b"q"
    seat.process.send_signal(signal.SIGINT)
    assert seat.process.wait(PATIENCE) == 0
    os.close(reading)
    os.close(writing)
