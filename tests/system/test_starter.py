"""What systemd is told, and when a daemon counts as hung."""

import os
import socket
import subprocess

import pytest

from jobd.system import starter
from jobd.system.starter import Starter, Watchdog, hand_over, notify


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """A socket as systemd has it, which `NOTIFY_SOCKET` names."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        monkeypatch.setattr(
            starter.notify, "__kwdefaults__", {"environ": {"NOTIFY_SOCKET": sock.getsockname()}}
        )
        yield sock


def heard(sock):
    return sock.recv(1000).decode().split("\n")


def test_it_hears_that_we_are_ready_and_who_is_the_main_process(manager):
    Starter(None).tell("ready 77")
    assert heard(manager) == [
        "READY=1",
        f"MAINPID={os.getpid()}",
        "STATUS=Takes jobs; daemon: pid 77",
    ]


@pytest.mark.parametrize(("environ", "told"), [({}, "0"), ({"WATCHDOG_USEC": "6000"}, "6000")])
def test_it_hears_which_watchdog_the_one_knows_that_goes_on(manager, environ, told):
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(["/bin/sh", "-c", "echo; read _"], env=environ, **streams) as other:
        other.stdout.readline()
        hand_over(other.pid)
        other.stdin.close()
    assert heard(manager) == ["READY=1", f"MAINPID={other.pid}", f"WATCHDOG_USEC={told}"]


def test_of_one_that_cannot_be_read_it_hears_no_watchdog(manager):
    with subprocess.Popen(["/bin/true"]) as other:
        other.wait()
    hand_over(other.pid)
    assert heard(manager) == ["READY=1", f"MAINPID={other.pid}"]


def test_it_hears_why_there_is_no_start(manager):
    Starter(None).tell("failed the disk is full")
    assert heard(manager) == ["STATUS=the disk is full"]


def test_an_abstract_address_is_one():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0jobd-test-" + str(os.getpid()))
        name = "@" + sock.getsockname()[1:].decode()
        notify("WATCHDOG=1", environ={"NOTIFY_SOCKET": name})
        assert heard(sock) == ["WATCHDOG=1"]


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "vsock:2:1234"])
def test_where_nobody_listens_nothing_fails(address):
    notify("READY=1", environ={"NOTIFY_SOCKET": address})


def test_the_pipe_is_closed_with_good_news_alone():
    reading, writing = os.pipe()
    told = Starter(writing)
    told.tell("failed no")
    told.tell("ready 3")
    with open(reading) as lines:
        assert lines.read() == "failed no\nready 3\n"  # its end is there


class Clock:
    now = 1000.0


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(starter.time, "monotonic", lambda: Clock.now)
    Clock.now = 1000.0
    return Clock


@pytest.mark.parametrize("period", ["", "0", "soon"])
def test_without_a_watchdog_nothing_is_ever_due(period, clock):
    watchdog = Watchdog({"WATCHDOG_USEC": period})
    clock.now += 1e6
    watchdog.asked()
    assert watchdog.left is None
    assert not watchdog.is_due()
    assert not watchdog.is_hung()


def test_it_is_due_twice_in_a_period(clock):
    watchdog = Watchdog({"WATCHDOG_USEC": "60000000"})
    assert watchdog.is_due()
    assert not watchdog.is_due()
    assert watchdog.left == 30
    clock.now += 30
    assert watchdog.is_due()


def test_who_does_not_answer_for_a_period_is_hung(clock):
    watchdog = Watchdog({"WATCHDOG_USEC": "60000000"})
    watchdog.asked()
    watchdog.answered()
    clock.now += 30
    watchdog.asked()
    clock.now += 30
    watchdog.asked()  # again: the first question counts
    assert not watchdog.is_hung()
    clock.now += 30
    assert watchdog.is_hung()
    watchdog.answered()
    assert not watchdog.is_hung()


def test_who_has_never_answered_may_not_know_the_question(clock):
    watchdog = Watchdog({"WATCHDOG_USEC": "60000000"})
    watchdog.asked()
    clock.now += 600
    assert not watchdog.is_hung()
    watchdog.answered()
    watchdog.asked()
    watchdog.forget()  # another daemon
    clock.now += 600
    assert not watchdog.is_hung()
