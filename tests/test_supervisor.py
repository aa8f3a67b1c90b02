"""What the supervisor does where the machine refuses: it never leaves jobs alone."""

import contextlib
import errno
import fcntl
import json
import os
import resource
import signal
import struct
import subprocess
import time

import pytest

from jobd import supervisor
from jobd.daemon import __main__ as daemon
from jobd.supervisor import EXIT_REFUSED, EXIT_RENEW, Supervisor
from jobd.system import handover, linux
from jobd.system.clock import boot_us
from tests.helpers import descriptors


@pytest.fixture
def made(tmp_path):
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    one = Supervisor({"lock": lock})
    yield one
    for descriptor in (lock, *one._wake):
        os.close(descriptor)


def refusal(code):
    def refuse(*_args, **_options):
        raise OSError(code, os.strerror(code))

    return refuse


@pytest.mark.parametrize("what", ["posix_spawn", "pipe2"])
def test_a_daemon_that_cannot_be_started_is_one_that_died_quickly(made, monkeypatch, capfd, what):
    before = descriptors()
    monkeypatch.setattr(os, what, refusal(errno.EAGAIN))
    assert made._start_daemon() is False
    assert descriptors().items() <= before.items()
    assert (made._daemon, made._gate, made._link) == (0, None, None)
    assert "cannot start a daemon just now: Resource temporarily" in capfd.readouterr().err
    assert not made._was_ready


def test_it_is_tried_again_for_as_long_as_a_job_lives(made, monkeypatch):
    monkeypatch.setattr(os, "posix_spawn", refusal(errno.EAGAIN))
    job = linux.Stat(pid=7, state="S", ppid=1, pgrp=7, session=7, start=1)
    monkeypatch.setattr(linux, "children_of", lambda _pid: [job])
    assert not any(made._hopeless(1) for _ in range(20))
    monkeypatch.setattr(linux, "children_of", lambda _pid: [])
    assert made._hopeless(1)


def test_it_says_why_no_daemon_follows(made, monkeypatch, capfd):
    """What ends without a word cannot be told from what was killed."""
    monkeypatch.setattr(made, "_start_daemon", lambda: False)
    monkeypatch.setattr(made, "_back_off", lambda: None)
    monkeypatch.setattr(made, "_catch_signals", lambda: None)
    monkeypatch.setattr(linux, "set_child_subreaper", lambda: None)
    monkeypatch.setattr(linux, "children_of", lambda _pid: [])
    assert made.run() == 1
    assert "no daemon follows: 5 in a row ended before they were ready" in capfd.readouterr().err
    made._stopping = True
    assert made.run() == 1
    assert "the last one was to stop, and no job is left" in capfd.readouterr().err


@pytest.fixture
def alone(made, monkeypatch):
    """A supervisor that is to stop and has no child, behind a daemon that was ready."""
    monkeypatch.setattr(linux, "children_of", lambda _pid: [])
    made._hear({"ready": True})
    made._hear({"draining": True, "until": 7})
    return made


def test_whoever_stops_is_followed_also_without_a_child(alone):
    """Jobs may run elsewhere, and somebody may wait for the end of one that has ended here."""
    assert alone._hopeless(-signal.SIGKILL) is None
    assert (alone._plan["draining"], alone._plan["drain_until"]) == (True, 7)


def test_whoever_stops_and_cannot_start_any_more_is_not_followed(alone):
    alone._was_ready = False
    assert alone._hopeless(EXIT_REFUSED) == "the last one could not start"


@pytest.mark.parametrize("status", [-signal.SIGKILL, 1, EXIT_RENEW])
def test_whoever_dies_in_each_stop_is_not_followed_forever(alone, status):
    """As where the machine has no memory for it: a service that is stopped ends."""
    assert [bool(alone._hopeless(status)) for _ in range(5)] == [False] * 4 + [True]
    assert alone._hopeless(status) == "6 daemons died during one stop"


def test_those_who_die_young_in_a_stop_are_followed_no_longer_than_elsewhere(alone):
    alone._was_ready = False
    assert [bool(alone._hopeless(1)) for _ in range(5)] == [False] * 4 + [True]


def test_in_a_stop_no_job_of_ours_is_left_alone_however_many_have_died(alone, monkeypatch):
    job = linux.Stat(pid=7, state="S", ppid=1, pgrp=7, session=7, start=1)
    monkeypatch.setattr(linux, "children_of", lambda _pid: [job])
    assert not any(alone._hopeless(-signal.SIGKILL) for _ in range(20))
    monkeypatch.setattr(linux, "children_of", lambda _pid: [])
    assert not alone._hopeless(-signal.SIGKILL), "those had a reason to go on"


@pytest.fixture
def lock(tmp_path):
    descriptors = [os.open(tmp_path / "it", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC) for _ in "ab"]
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


def test_whoever_only_looks_at_the_lock_is_in_nobodys_way(lock, monkeypatch):
    """A client that finds nobody, just when somebody starts: it holds the lock for a moment."""
    ours, theirs = lock
    fcntl.flock(theirs, fcntl.LOCK_SH)
    monkeypatch.setattr(supervisor, "_PROBED_S", 60.0)
    monkeypatch.setattr(time, "sleep", lambda _: fcntl.flock(theirs, fcntl.LOCK_UN))
    supervisor._take(ours)
    with pytest.raises(BlockingIOError):
        fcntl.flock(theirs, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_a_lock_that_is_held_is_held(lock):
    ours, theirs = lock
    fcntl.flock(theirs, fcntl.LOCK_EX)
    with pytest.raises(BlockingIOError):
        supervisor._take(ours)


def test_who_cannot_be_looked_for_is_not_gone(made, monkeypatch):
    tries = []

    def look(_pid):
        tries.append(1)
        if len(tries) < 3:
            refusal(errno.EMFILE)()
        return []

    monkeypatch.setattr(supervisor, "_RETRY_S", 0.001)
    monkeypatch.setattr(linux, "children_of", look)
    assert made._children() == []
    assert len(tries) == 3


def test_a_job_ended_when_that_was_seen_first(made, monkeypatch):
    """The daemon may be told much later, perhaps by another supervisor in its place."""
    job = linux.Stat(pid=7, state="Z", ppid=1, pgrp=7, session=7, start=1)
    orphan, running = job._replace(pid=8), job._replace(pid=9, session=9, state="S")
    made._note_ends([job, orphan, running])
    first = made._plan["ends"]["7"]
    assert list(made._plan["ends"]) == ["7"]
    made._note_ends([job])
    assert json.loads(json.dumps(made._plan["ends"])) == {"7": first}
    sent = []
    ended = linux.Exit(7, 3, None, 0.1, 1000)
    monkeypatch.setattr(linux, "look", lambda pid, block: ended)
    monkeypatch.setattr(made, "_send", lambda message: sent.append(message) or True)
    made._announce(7)
    assert sent == [{"ended": ended._asdict(), "at": first}]
    monkeypatch.setattr(linux, "reap", lambda _pid: None)
    made._hear({"reap": 7})
    assert made._plan["ends"] == {}


TOKEN = "0123456789abcdef" * 2


@pytest.fixture
def orphan(made):
    """A job that is no child of the supervisor, which has a handle of it."""
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    handle = os.pidfd_open(process.pid)
    made._plan["pidfds"] = {TOKEN: handle}
    yield process
    process.kill()
    process.wait()
    with contextlib.suppress(OSError):
        os.close(handle)


def test_a_job_that_is_nobodys_child_ended_when_that_was_seen_first(made, orphan, monkeypatch):
    """No daemon may live then, or none that is not halted."""
    sent = []
    monkeypatch.setattr(made, "_send", lambda message: sent.append(message) or True)
    monkeypatch.setattr(linux, "children_of", lambda _pid: [])
    handle = made._plan["pidfds"][TOKEN]
    assert made._await({}, 0) == {}
    made._look_after_children()
    assert (made._plan["ends"], sent) == ({}, [])
    orphan.kill()
    assert made._await({}, 60).keys() == {handle}, "it is woken, and looks at nobody in between"
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    made._look_after_children()
    at = made._plan["ends"][TOKEN]
    assert abs(at - before) < 10_000_000
    for _ in range(2):
        made._look_after_children()
        assert sent == [{"gone": TOKEN, "at": at}]
    assert made._await({}, 0) == {}, "what has ended wakes nobody again"
    # The next daemon is told the same.
    made._announced = set()
    made._look_after_children()
    assert sent == 2 * [{"gone": TOKEN, "at": at}]


def test_a_handle_is_kept_until_the_end_is_on_disk(made, orphan):
    handle = made._plan["pidfds"][TOKEN]
    made._plan["ends"] = {TOKEN: 5}
    made._hear({"let_go": TOKEN})
    made._hear({"let_go": "f" * 32})
    assert (made._plan["pidfds"], made._plan["ends"]) == ({}, {})
    assert str(handle) not in descriptors()


def test_a_handle_that_a_daemon_gives_is_kept_and_handed_on(made, orphan):
    made._plan.pop("pidfds")
    for _ in range(2):
        given = os.pidfd_open(orphan.pid)
        made._hear({"hold": TOKEN}, [(0, 0, struct.pack("i", given))])
        assert supervisor._descriptors(made._plan).count(given) == 1
    assert len([one for one in descriptors().values() if "pidfd" in one]) == 2, "ours, and the last"
    made._hear({"let_go": TOKEN})


def test_what_another_engine_leaves_is_nobodys_end(made):
    """It is kept open and handed on; what it is, only that engine knows."""
    with open("/dev/null", "rb") as ready:
        made._plan["pidfds"] = {"far:socket": ready.fileno()}
        assert made._await({}, 0) == {}
        made._note_ends([])
    assert made._plan["ends"] == {}


def test_it_is_told_by_numbers_that_select_does_not_take(made):
    """A daemon with many jobs has left as many descriptors open (select(2), FD_SETSIZE)."""
    high = 1500
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] <= high:
        pytest.skip("this process may not have so many descriptors")
    os.dup2(made._wake[0], high, inheritable=False)
    os.close(made._wake[0])
    made._wake = (high, made._wake[1])
    os.write(made._wake[1], b"x")
    assert made._await({}, 60).keys() == {high}


def test_ends_that_a_daemon_could_not_save_go_to_the_next_one(made):
    made._hear({"unsaved": {TOKEN: 5}})
    assert made._plan["unsaved"] == {TOKEN: 5}


def test_a_signal_just_before_it_renews_itself_is_not_lost(made, monkeypatch):
    """What is in its memory alone does not outlive execve(2)."""
    plans, masks = [], []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    made._note_signal(signal.SIGTERM, None)
    monkeypatch.setattr(
        supervisor,
        "become_supervisor",
        lambda plan: (plans.append(plan), masks.append(signal.pthread_sigmask(0, []))),
    )
    try:
        made._renew()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert plans[0]["draining"] is True
    assert masks[0] >= {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1}


def test_a_second_order_between_two_daemons_is_for_the_next_one(made):
    made._note_signal(signal.SIGTERM, None)
    made._pass_signals_on()
    assert (made._plan["draining"], made._plan["drain_until"]) == (True, None)
    made._note_signal(signal.SIGTERM, None)
    before = boot_us()
    made._pass_signals_on()
    told = made._plan["drain_until"]
    assert before <= told <= boot_us()
    made._hear({"draining": True, "until": None})
    assert made._plan["drain_until"] == told, "it was behind the first order then"
    made._hear({"draining": True, "until": 7})
    assert made._plan["drain_until"] == 7


def test_the_end_of_a_daemon_is_none_of_a_job(made):
    """Its number may be a job's later, which would have ended then."""
    made._daemon = 7
    daemon = linux.Stat(pid=7, state="Z", ppid=1, pgrp=7, session=7, start=1)
    made._note_ends([daemon, daemon._replace(pid=8, session=8)])
    assert list(made._plan["ends"]) == ["8"]


def test_without_its_interpreter_it_stays_what_it_is(made, monkeypatch, capfd):
    """`jobd restart` after the environment was deleted: the jobs keep their parent."""
    monkeypatch.setattr(os, "execve", refusal(errno.ENOENT))
    monkeypatch.setattr(linux, "children_of", lambda _pid: [])
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        made._renew()
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert "cannot renew the supervisor: No such file" in capfd.readouterr().err
    made._was_ready = True
    assert not made._hopeless(EXIT_RENEW)


def test_a_daemon_that_cannot_become_a_supervisor_stays_with_its_jobs(monkeypatch, caplog):
    """Its supervisor has died while the interpreter was replaced by another version."""
    tries = []

    class ItsPlaceIsTakenError(Exception):
        pass

    def execve(*_):
        tries.append(1)
        if len(tries) < 3:
            refusal(errno.ENOENT)()
        raise ItsPlaceIsTakenError

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(daemon, "_RETRY_S", 0.001)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        with pytest.raises(ItsPlaceIsTakenError):
            daemon._become_supervisor(dict)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert len(tries) == 3
    assert caplog.text.count("cannot become a supervisor: No such file") == 2


def test_what_could_not_be_handed_over_is_held_by_nobody(tmp_path, monkeypatch):
    """The next daemon, and the jobs, inherit neither the lock nor what was told."""
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    told = []

    def execve(_program, words, _environment):
        told.append(json.loads(os.pread(int(words[-1]), 1000, 0)))
        assert os.get_inheritable(lock)
        assert os.get_inheritable(int(words[-1]))
        refusal(errno.ENOENT)()

    monkeypatch.setattr(os, "execve", execve)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    before = descriptors()
    try:
        with pytest.raises(FileNotFoundError):
            supervisor.become_supervisor({"lock": lock, "state": "here"})
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    assert (told, descriptors()) == ([{"lock": lock, "state": "here"}], before)
    assert not os.get_inheritable(lock)
    os.close(lock)


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_what_is_told_travels_by_descriptor_whatever_its_size(size):
    """As an argument more than 128 kB would be refused (execve(2), MAX_ARG_STRLEN)."""
    plan = {"config": "x" * size, "pidfds": {}}
    descriptor = handover.opened(plan)
    try:
        assert handover.read(str(descriptor)) == plan
        assert handover.read(str(descriptor)) == plan
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


def test_an_older_version_tells_it_in_the_argument():
    plan = {"state": "/somewhere", "config": {}}
    assert handover.descriptor_in(json.dumps(plan)) is None
    assert handover.read(json.dumps(plan)) == plan
    for wrong in ("[]", "nonsense", "-1"):
        with pytest.raises(ValueError, match=r"no plan|Expecting value"):
            handover.read(wrong)
