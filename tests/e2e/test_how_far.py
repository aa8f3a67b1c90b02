"""Whoever waits before a terminal sees how far it is, in one line that leaves nothing behind."""

import signal

import pytest

from tests.e2e.instance import PATIENCE

pytestmark = pytest.mark.e2e

WIPED = b"\r\x1b[J"


@pytest.fixture
def gate(shared, tmp_path):
    made = shared.gate(str(tmp_path / "gate"))
    yield made
    made.open()


@pytest.fixture
def job(shared, gate):
    return shared.id_of(f"echo '40 epoch 4' >$JOBD_PROGRESS; read _ <{gate.path}; exit 3")


def test_it_is_gone_before_the_verdict(shared, sit, gate, job):
    seat = sit("jobctl", "wait", str(job))
    seat.waits_for(b"  40%  epoch 4  Ctrl-C only ends the waiting")
    gate.open()
    assert seat.ends() == 3
    seat.waits_for(WIPED + b"job %d failed (exit code 3)" % job)
    assert b"\n" not in seat.shown.rpartition(WIPED)[0]


def test_it_follows_what_happens(shared, sit, gate):
    first = int(
        shared.jobctl(
            "submit", "--array", "1-2", f'[ "$JOBD_ARRAY_INDEX" = 1 ] || read _ <{gate.path}'
        ).stdout.partition("-")[0]
    )
    seat = sit("jobctl", "wait", f"{first}-{first + 1}")
    seat.waits_for(b"array 1-2  1 completed, 1 running  50%")
    gate.open()
    assert seat.ends() == 0
    seat.waits_for(WIPED + b"array 1-2: 2 of 2 completed\r\n")


def test_ctrl_c_leaves_nothing_of_it(sit, job):
    seat = sit("jobctl", "wait", str(job))
    seat.waits_for(b"Ctrl-C only ends the waiting")
    seat.type(b"\x03")
    assert seat.ends() == 130
    assert seat.shown.rpartition(WIPED)[2] == b""


def test_output_of_submit_takes_its_place(shared, sit, gate):
    seat = sit("jobctl", "submit", "-w", f"read _ <{gate.path}; echo out; read _ <{gate.path}")
    seat.waits_for(b"running for ")
    gate.open()
    seat.waits_for(b"out\r\n")
    gate.open()
    assert seat.ends() == 0
    seat.waits_for(WIPED + b"out\r\njob ")
    assert seat.shown.rpartition(WIPED)[2].startswith(b"out")


@pytest.mark.parametrize(
    ("argv", "term"),
    [
        (["jobctl", "wait", "-q"], "xterm"),
        (["jobctl", "wait", "--json"], "xterm"),
        (["jobctl", "wait"], "dumb"),
        (["jobctl", "wait", "--timeout", "0"], "xterm"),
    ],
)
def test_nothing_of_it(shared, sit, argv, term):
    job = shared.id_of("sleep 1.2; exit 3")
    seat = sit(*argv, str(job), term=term)
    assert seat.ends() in (3, 124)
    if "-q" not in argv:
        seat.waits_for(b"\n")
    assert b"\x1b" not in seat.shown
    assert "-q" not in argv or not seat.shown


def test_quiet_still_names_what_is_not_there(shared, sit):
    seat = sit("jobctl", "wait", "-q", "999999")
    assert seat.ends() == 1
    seat.waits_for(b"job 999999 does not exist")


def test_a_quiet_submit_prints_the_id_alone(shared, sit):
    seat = sit("jobctl", "submit", "-q", "-t", "1-00:00:00", "true")
    assert seat.ends() == 0
    seat.waits_for(b"\n")
    assert seat.shown.strip().isdigit()
    seat = sit("jobctl", "submit", "-q", "-w", "echo out; exit 3")
    assert seat.ends() == 3
    seat.waits_for(b"out\r\n")
    assert seat.shown == b"out\r\n"


def test_in_the_background_it_leaves_the_terminal_alone(sit, job):
    shell = sit("/bin/bash", "--norc", "--noediting", "-i")
    shell.waits_for(b"$ ")
    shell.type(b"jobctl wait %d & sleep 2; echo q''uiet\n" % job)
    shell.waits_for(b"quiet")
    assert b"running for" not in shell.shown
    shell.type(b"fg\n")
    shell.waits_for(b"epoch 4")
    shell.type(b"\x03")
    shell.waits_for(WIPED + b"$ ")
    shell.type(b"exit\n")
    assert shell.process.wait(PATIENCE) in (0, 128 + signal.SIGINT)
