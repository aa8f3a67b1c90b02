"""Commands that go on end when nobody reads them any more, also while nothing happens."""

import os
import socket
import time

import pytest

from tests.e2e.instance import PATIENCE
from tests.helpers import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def job(shared, tmp_path):
    """It has said that it is ready, and says no more."""
    gate = shared.gate(str(tmp_path / "gate"))
    found = shared.id_of(f"echo ready; read _ <{gate.path}")
    output = shared.output_of(found, 1)
    wait_until(lambda: output.exists() and output.read_bytes(), PATIENCE)
    yield found
    gate.open()


def follows(job):
    return [
        ["logs", "-f", str(job)], ["logs", "-f", "-n", "1", str(job)], ["watch", str(job)],
        ["logs", "-f", "--unfinished"],
        ["watch", "--json", str(job)], ["events", "-f", "-n", "1"], ["events", "-f", str(job)],
    ]  # fmt: skip


@pytest.mark.parametrize("which", range(7))
def test_a_command_ends_when_its_reader_has_gone(which, job, shared):
    words = follows(job)[which]
    process = shared.begin("jobctl", *words)
    # What tells changes alone has nothing to say yet.
    assert "--json" in words or process.stdout.readline()
    process.stdout.close()
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == b""
    assert shared.client().show(job).job.state == "running"


def test_it_ends_before_the_first_line_too(shared):
    held = shared.id_of("--hold", "true")
    process = shared.begin("jobctl", "logs", "-f", str(held))
    process.stdout.close()
    assert process.wait(PATIENCE) == 0


def test_a_shell_has_its_line_and_goes_on(job, shared):
    began = time.monotonic()
    done = shared.sh(f"jobctl logs -f {job} | grep -m1 ready; echo after")
    assert done.stdout == "ready\nafter\n"
    assert time.monotonic() - began < PATIENCE / 2


def test_a_socket_is_a_reader_too(job, shared):
    ours, theirs = socket.socketpair()
    process = shared.begin("jobctl", "logs", "-f", str(job), stdout=theirs)
    theirs.close()
    assert ours.recv(100) == b"ready\n"
    ours.close()
    assert process.wait(PATIENCE) == 0


def test_who_follows_sleeps_while_nothing_happens(job, shared):
    process = shared.begin("jobctl", "logs", "-f", str(job))
    assert process.stdout.readline() == b"ready\n"

    def switches():
        total = 0
        for task in os.listdir(f"/proc/{process.pid}/task"):
            with open(f"/proc/{process.pid}/task/{task}/status") as status:
                total += sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
        return total

    # Four seconds with one wake-up at most: what looks every second or two has none such.
    wait_until(lambda: _still(switches), timeout=PATIENCE)
    process.stdout.close()
    assert process.wait(PATIENCE) == 0


def _still(count):
    before, until = count(), time.monotonic() + 4
    wait_until(lambda: time.monotonic() > until)
    return count() - before <= 1


def test_the_end_of_a_line_of_gigabytes_is_there_at_once(shared):
    job = shared.id_of("printf 'begin\\n'; truncate -s 3G /dev/stdout; printf 'the end\\n'")
    shared.wait(job)
    began = time.monotonic()
    told = shared.jobctl("logs", "-n", "1", str(job), text=False)
    assert told.stdout.endswith(b"the end\n")
    assert len(told.stdout) <= 2**20 + 2**16
    assert b"the end of a line" in told.stderr
    assert time.monotonic() - began < PATIENCE / 4
