"""RunTable and members: which process belongs to which attempt."""

import errno
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobd.contract.models import MAX_WORKERS
from jobd.engines.local import process_snapshot, process_tree
from jobd.engines.local.process_snapshot import Survey, token_of
from jobd.engines.local.process_tree import Family
from jobd.engines.local.processes import Adopted
from jobd.engines.local.run_table import RunTable
from jobd.system import linux
from tests.helpers import wait_until

TOKEN = uuid.uuid4().hex
"""Of this process: another one runs tests of this file beside it."""


@pytest.fixture
def table(tmp_path):
    made = RunTable(tmp_path / "running")
    made.begin()
    yield made
    made.close()


def test_an_intent_has_no_pid_and_a_spawn_has(table):
    table.intend(1, TOKEN, 42)
    line = table.find(1, TOKEN)
    assert (line.pid, line.daemon, line.supervisor) == (0, os.getpid(), 42)
    table.spawned(1, 99)
    assert table.find(1, TOKEN).pid == 99
    assert table.find(1, "f" * 32) is None
    assert table.find(2, TOKEN) is None
    assert table.find(MAX_WORKERS + 1, TOKEN) is None


def test_the_next_daemon_reads_what_the_last_one_wrote(table, tmp_path):
    table.intend(MAX_WORKERS, TOKEN, 42)
    table.spawned(MAX_WORKERS, os.getpid())
    again = RunTable(tmp_path / "running")
    assert again.trusted
    assert again.find(MAX_WORKERS, TOKEN).pid == os.getpid()
    again.close()


def test_after_a_reboot_it_says_nothing(table, tmp_path, monkeypatch):
    table.intend(1, TOKEN, 42)
    monkeypatch.setattr(linux, "boot_id", lambda: "another boot")
    again = RunTable(tmp_path / "running")
    assert not again.trusted
    assert again.find(1, TOKEN) is None
    again.begin()
    assert again.find(1, TOKEN) is None
    again.close()


@pytest.mark.parametrize("content", [b"", b"x" * 10, os.urandom(100_000)])
def test_what_is_no_board_is_not_trusted(tmp_path, content):
    (tmp_path / "running").write_bytes(content)
    made = RunTable(tmp_path / "running")
    assert not made.trusted
    made.begin()
    assert made.trusted
    made.close()


def test_a_process_began_between_its_ticks(table):
    table.intend(1, TOKEN, 42)
    with subprocess.Popen(["sleep", "100"]) as process:
        table.spawned(1, process.pid)
        line, stat = table.find(1, TOKEN), linux.stat_of(process.pid)
        assert line.earliest <= stat.start <= line.latest <= linux.ticks() + 1
        process.kill()


@pytest.fixture
def family():
    """A leader, its child, one in a session of its own, and one without the token."""
    script = (
        "sleep 1000 & setsid sleep 1001 & setsid env -i /bin/sleep 1002 & echo up;"
        " exec 2>&-; wait"
    )  # fmt: skip
    process = subprocess.Popen(
        ["sh", "-c", script],
        env={**os.environ, "JOBD_RUN": TOKEN},
        start_new_session=True,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"up\n"
    wait_until(lambda: len(relatives(process.pid)) == 4 and len(sessions(process.pid)) == 3)
    everybody = relatives(process.pid)
    yield process
    # Once its parent is gone, nothing leads to the one that has shed the token.
    process_tree.send(everybody, signal.SIGKILL)
    process.communicate()


def sessions(leader):
    """A child is there before it has changed its session."""
    return {stat.session for stat in relatives(leader)}


def relatives(leader):
    return Survey().take().members(TOKEN, leader)


def test_all_of_a_job_are_found_and_nobody_else(family):
    found = relatives(family.pid)
    assert os.getpid() not in {stat.pid for stat in found}
    names = {linux.stat_of(stat.pid).session == family.pid for stat in found}
    assert names == {True, False}
    assert Survey().take().members("f" * 32, None) == []
    assert token_of(family.pid) == TOKEN.encode()
    assert token_of(1 << 30) == b""


@pytest.mark.parametrize(
    ("environment", "token"),
    [
        ({"X_JOBD_RUN": "1", "JOBD_RUN": "2"}, b"2"),
        ({"JOBD_RUN": "3", "A": "JOBD_RUN=4"}, b"3"),
        ({"X_JOBD_RUN": "5"}, b""),
    ],
)
def test_a_token_is_that_of_the_whole_name(environment, token):
    with subprocess.Popen(["/bin/sleep", "100"], env=environment) as process:
        # In the midst of its execve(2) it seems to have none.
        wait_until(lambda: Path(f"/proc/{process.pid}/environ").read_bytes())
        assert token_of(process.pid) == token
        process.kill()


def test_whoever_seems_to_have_no_environment_is_looked_at_again(family, monkeypatch):
    seen = []

    def late(pid):
        seen.append(pid)
        return b"" if seen.count(pid) == 1 else kept(pid)

    kept = process_snapshot._environment
    monkeypatch.setattr(process_snapshot, "_environment", late)
    assert family.pid in {stat.pid for stat in relatives(None)}


def test_ending_all_leaves_nobody(family):
    everybody = relatives(family.pid)
    assert Family(TOKEN, Survey()).end(family.pid, time.monotonic()) == []
    assert [stat for stat in everybody if lives(stat)] == []


def lives(stat):
    now = linux.stat_of(stat.pid)
    return now is not None and now.start == stat.start and now.state not in "ZX"


def test_who_was_seen_once_is_a_member_for_good(family):
    """What has shed token and session is known by its parents, and they may be the first to go."""
    seen = Family(TOKEN, Survey())
    # Until it has come to its exec the one that sheds it still has it.
    wait_until(lambda: sum(token_of(s.pid) == TOKEN.encode() for s in relatives(family.pid)) == 3)
    everybody = {stat.pid for stat in seen.living(family.pid)}
    family.kill()
    family.wait()
    process_tree.send(relatives(None), signal.SIGKILL)
    (last,) = wait_until(lambda: len(left := seen.living(None)) == 1 and left)
    assert last.pid in everybody
    assert relatives(None) == []
    assert seen.end(None, time.monotonic()) == []
    assert not lives(last)


def test_who_has_ended_is_forgotten_some_time():
    """A job may start processes without end, and somebody watch what it uses all the while."""
    me = linux.stat_of(os.getpid())
    asked = []

    class Looked:
        """A look at the machine that finds one more process of the job each time."""

        def members(self, _token, _leader, known):
            asked.append(known)
            return [me, *([me._replace(pid=(1 << 22) + len(asked))] if len(asked) < 1000 else [])]

    seen = Family(TOKEN, None)
    for _ in range(1000):
        seen.living(None, Looked())
    assert max(map(len, asked)) < 100
    assert all((me.pid, me.start) in known for known in asked[1:])


def test_a_process_whose_first_thread_has_ended_lives():
    code = (
        "import ctypes, threading, time; threading.Thread(target=time.sleep, args=[100]).start();"
        " print('up', flush=True); ctypes.CDLL(None).pthread_exit(None)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        wait_until(lambda: b") Z" in _name(process.pid))
        stat = linux.stat_of(process.pid)
        assert stat.state == "S"
        process_tree.send([stat], signal.SIGKILL)
        assert process_tree.wait_gone([stat], time.monotonic() + 30)
        assert linux.stat_of(process.pid).state == "Z"


def test_a_pid_that_is_anothers_by_now_is_left_alone(family):
    stat = linux.stat_of(family.pid)
    process_tree.send([stat._replace(start=stat.start - 1)], signal.SIGKILL)
    process_tree.send([stat._replace(pid=1 << 22)], signal.SIGKILL)
    assert family.poll() is None
    assert process_tree.wait_gone([stat._replace(start=stat.start - 1)], time.monotonic() + 30)
    process_tree.send([stat], signal.SIGKILL)
    assert family.wait(10) == -signal.SIGKILL


def test_waiting_ends_with_the_last_that_goes():
    with subprocess.Popen(["sleep", "0.05"]) as short, subprocess.Popen(["sleep", "100"]) as long:
        both = [linux.stat_of(process.pid) for process in (short, long)]
        assert process_tree.wait_gone(both[:1], time.monotonic() + 30)
        assert not process_tree.wait_gone(both, time.monotonic() + 0.01)
        long.kill()
        assert process_tree.wait_gone(both, time.monotonic() + 30)


def test_waiting_outlasts_a_lack_of_descriptors(monkeypatch):
    errors = [OSError(errno.EMFILE, "too many open files")]

    def scarce(pid):
        if errors:
            raise errors.pop()
        return kept(pid)

    kept = os.pidfd_open
    monkeypatch.setattr(os, "pidfd_open", scarce)
    with subprocess.Popen(["sleep", "0.05"]) as short:
        assert process_tree.wait_gone([linux.stat_of(short.pid)], time.monotonic() + 30)
    assert errors == []


def test_how_a_child_ended_stays_in_the_kernel_until_it_is_reaped():
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 7"], {})
    ended = linux.look(pid, block=True)
    assert (ended.exit_code, ended.signal) == (7, None)
    assert ended.max_rss_kb > 0
    assert linux.look(pid, block=False) == ended
    assert linux.stat_of(pid).state == "Z"
    linux.reap(pid)
    assert linux.stat_of(pid) is None
    with pytest.raises(ChildProcessError):
        linux.look(pid, block=True)


def test_a_name_full_of_parentheses_is_no_trouble(tmp_path):
    odd = tmp_path / "a) Z 1 (b"
    os.symlink("/bin/sleep", odd)
    with subprocess.Popen([odd, "100"]) as process:
        wait_until(lambda: b") Z 1" in _name(process.pid))
        stat = linux.stat_of(process.pid)
        assert (stat.ppid, stat.state in "SR") == (os.getpid(), True)
        process.kill()


def _name(pid):
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read()


def test_a_group_is_not_signalled_once_others_have_reaped_its_leader():
    """The supervisor has died, and the daemon has not yet followed it: nobody keeps the pid."""
    other = subprocess.Popen(["sleep", "100"], start_new_session=True)
    gone = subprocess.Popen(["true"])
    pidfd = os.pidfd_open(gone.pid)
    gone.wait()
    survey = Survey()
    adopted = Adopted(other.pid, "f" * 32, survey, pidfd, SimpleNamespace())
    try:
        # Who is halted keeps what it gets, so it can be seen.
        other.send_signal(signal.SIGSTOP)
        wait_until(lambda: linux.stat_of(other.pid).state == "T")
        adopted.signal_all(signal.SIGTERM, survey.take())
        assert linux.stat_of(other.pid).state == "T"
        status = Path(f"/proc/{other.pid}/status").read_text()
        assert int(status.partition("ShdPnd:")[2].split()[0], 16) == 0
        living = Adopted(other.pid, "f" * 32, survey, os.pidfd_open(other.pid), SimpleNamespace())
        living.signal_all(signal.SIGKILL, survey.take())
        assert other.wait(10) == -signal.SIGKILL
        living.leave()
    finally:
        adopted.leave()
        other.kill()
        other.wait()


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENOENT, errno.ESRCH])
def test_one_that_cannot_be_looked_at_just_now_is_not_gone(monkeypatch, code):
    def refuse(*_args, **_options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(linux, "open", refuse, raising=False)
    if code == errno.EMFILE:
        with pytest.raises(OSError, match="Too many open files"):
            linux.age_of(os.getpid())
    else:
        assert linux.age_of(os.getpid()) is None
