"""jobd under systemd: a real manager of a user, in namespaces of its own; and as process 1."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from jobd.contract.states import Reason, State
from jobd.system import linux
from tests.e2e.instance import BIN, PATIENCE
from tests.e2e.namespaces import Namespaces
from tests.helpers import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.local("services are of this machine")]

SYSTEMD = "/lib/systemd/systemd"
JOURNALD = "/lib/systemd/systemd-journald"
JOURNAL = "/run/systemd/journal/socket"
BEGIN = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p -m 700 /run/systemd/system "$XDG_RUNTIME_DIR"
[ ! -x "$1" ] || "$1" &
"$0" --user --unit=basic.target --log-target=console &
read -r _
"""
"""Looks as if the machine had been booted by systemd, and runs a manager until its stdin ends."""


class Manager(Namespaces):
    """systemd --user, as process 2 or so of its own namespace; `run` is in there, too."""

    def __init__(self, home, env):
        env = {
            **env, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_RUNTIME_DIR": "/run/jobd-test",
        }  # fmt: skip
        env.pop("DBUS_SESSION_BUS_ADDRESS", None)
        super().__init__(BEGIN, SYSTEMD, JOURNALD, env=env, log=home / "manager.log")

    def begin(self):
        """Whether it answers."""
        with contextlib.suppress(OSError, AssertionError, IndexError):
            return self.run("systemctl", "--user", "is-active", "basic.target").stdout == "active\n"

    def jobd(self, *words, **options):
        return self.run(BIN / "jobd", *words, **options)

    def systemctl(self, *words):
        return self.run("systemctl", "--user", *words).stdout

    def main_pid(self):
        """By its number in there."""
        return int(self.systemctl("show", "jobd", "-P", "MainPID"))

    def state(self):
        return self.systemctl("show", "jobd", "-P", "ActiveState").strip()


@pytest.fixture
def manager(instance, tmp_path):
    lacking = [name for name in ("unshare", "nsenter", "systemctl") if shutil.which(name) is None]
    if lacking or not os.access(SYSTEMD, os.X_OK):
        pytest.skip(f"there is no {', '.join(lacking) or SYSTEMD} here")
    if os.geteuid() != 0:
        pytest.skip("only root can make namespaces for a manager of units")
    made = Manager(tmp_path, instance.env)
    try:
        try:
            wait_until(made.begin, 20)
        except AssertionError:
            told = (tmp_path / "manager.log").read_text()[-500:]
            pytest.skip(f"systemd cannot run in namespaces here: {told}")
        yield made
    finally:
        made.end()


@pytest.fixture
def service(manager, instance):
    """Installed and started."""
    said = manager.jobd("install-service", "--user").stderr
    assert "systemctl --user start jobd" in said
    manager.systemctl("start", "jobd")
    instance.answers()
    yield manager
    manager.jobd("uninstall-service", "--user")
    assert manager.jobd("status", code=3)


def test_it_is_started_when_it_answers_and_stopped_when_jobs_have_ended(service, instance):
    assert service.state() == "active"
    gate = instance.gate()
    job = instance.submit(f"read _ <{gate.path}; exit 3")
    wait_until(lambda: instance.job(job).state is State.RUNNING, PATIENCE)
    gate.open()
    service.systemctl("stop", "jobd")
    assert service.state() == "inactive"
    service.systemctl("start", "jobd")
    assert instance.job(job).exit_code == 3


def test_jobs_live_through_a_restart_and_keep_their_exit_codes(service, instance):
    before, gate = instance.answers().pid, instance.gate()
    job = instance.submit(f"read _ <{gate.path}; exit 4")
    wait_until(lambda: instance.job(job).state is State.RUNNING, PATIENCE)
    service.systemctl("restart", "jobd")
    assert instance.answers().pid != before
    assert service.state() == "active"
    assert service.main_pid() == instance.status().supervisor_pid
    gate.open()
    instance.wait(job)
    assert instance.job(job).exit_code == 4
    assert instance.job(job).attempt == 1


def test_a_killed_supervisor_takes_no_job_with_it_and_is_followed(service, instance):
    gate = instance.gate()
    job = instance.submit(f"read _ <{gate.path}; exit 5")
    wait_until(lambda: instance.job(job).state is State.RUNNING, PATIENCE)
    old = service.main_pid()
    service.run("kill", "-KILL", str(old))
    wait_until(lambda: service.state() == "active" and service.main_pid() not in (0, old), PATIENCE)
    wait_until(lambda: service.main_pid() == instance.answers().supervisor_pid, PATIENCE)
    assert not instance.status().draining
    gate.open()
    instance.wait(job)
    assert instance.job(job).exit_code == 5


def test_jobd_restart_is_no_news_to_systemd(service, instance):
    main = service.main_pid()
    service.jobd("restart")
    assert (service.state(), service.main_pid()) == ("active", main)


def test_a_jobd_that_was_started_by_hand_is_not_ended_by_the_service(manager, instance):
    manager.jobd("install-service", "--user")
    instance.jobd("start")
    manager.run("systemctl", "--user", "start", "jobd", code=1)
    wait_until(lambda: manager.state() == "failed", PATIENCE)
    assert not instance.status().draining
    instance.jobd("stop")
    manager.systemctl("reset-failed", "jobd")
    manager.systemctl("start", "jobd")
    manager.jobd("uninstall-service", "--user")


def test_it_stops_where_nobody_says_whether_it_is_to_start_again(running):
    (running.work / "systemctl").write_text("#!/bin/sh\necho no bus >&2\nexit 1\n")
    (running.work / "systemctl").chmod(0o755)
    env = {"PATH": f"{running.work}:{os.environ['PATH']}", "MAINPID": "1"}
    said = running.jobd("service-stop", env=env).stderr
    assert "whether this is a restart cannot be told, so jobs are to end: no bus\n" in said
    running.jobd("status", code=3)


def test_the_journal_has_job_and_attempt_as_fields(service, instance):
    if shutil.which("journalctl") is None or not os.access(JOURNALD, os.X_OK):
        pytest.skip("there is no journal here")
    service.run("test", "-S", JOURNAL)
    gate = instance.gate()
    job = instance.submit(f"read _ <{gate.path}")
    pid = instance.pid_of(job)
    daemon = instance.status().pid
    # All at once: nobody is left who could know how it ended.
    service.run("kill", "-KILL", str(service.main_pid()), str(daemon), str(pid))
    instance.answers_anew(daemon)
    assert instance.job(job).reason == Reason.LOST

    def told():
        out = service.run("journalctl", "--no-pager", "-o", "json", f"JOBD_JOB={job}").stdout
        return [json.loads(line) for line in out.splitlines()]

    (found,) = wait_until(told, PATIENCE)
    assert found["MESSAGE"] == f"job {job}: the outcome of attempt 1 is lost"
    assert (found["JOBD_ATTEMPT"], found["PRIORITY"]) == ("1", "4")
    assert found["SYSLOG_IDENTIFIER"] == "jobd"


def test_the_log_is_lines_of_json_where_that_is_wanted(instance):
    instance.home.mkdir(mode=0o700, exist_ok=True)
    (instance.home / "config.toml").write_text('[log]\nformat = "json"\n')
    instance.start()
    old = instance.status().pid
    instance.kill(old)
    instance.answers_anew(old)
    said = [json.loads(line) for line in instance.paths.log.read_text().splitlines()]
    assert {"jobd.daemon", "jobd.supervisor"} <= {line["logger"] for line in said}
    assert all({"at", "level", "message"} <= set(line) for line in said)


def test_another_form_of_the_log_counts_after_reload_and_restart(running):
    (running.home / "config.toml").write_text('[log]\nformat = "json"\n')
    assert "log" in running.jobd("reload").stdout
    running.jobd("restart")
    last = running.paths.log.read_text().splitlines()[-1]
    assert json.loads(last)["message"].startswith("jobd ")


# --- what systemd is told -----------------------------------------------------------------------


@pytest.fixture
def told(instance, tmp_path):
    """A jobd in the foreground, and the socket at which it tells how it is."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(PATIENCE)
        env = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "1000000"}
        process = instance.begin("jobd", "start", "--foreground", env=env)
        yield sock, process


def lines(sock):
    return sock.recv(1000).decode().split("\n")


def test_it_says_when_it_is_ready_and_that_it_lives(told, instance):
    sock, process = told
    found = []
    while "READY=1" not in found:
        found = lines(sock)
    assert f"MAINPID={process.pid}" in found
    assert instance.status().supervisor_pid == process.pid
    while lines(sock) != ["WATCHDOG=1"]:
        pass
    instance.jobd("stop")
    assert process.wait(PATIENCE) == 0
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            found += lines(sock)
    assert "STATUS=Takes no more jobs, and waits for those that run" in found
    assert "STOPPING=1" not in found  # systemd would kill it while it still waits for jobs


def test_a_daemon_that_hangs_is_replaced_and_its_jobs_go_on(told, instance):
    """Half a second after half a second without an answer, here."""
    sock, _ = told
    while "READY=1" not in lines(sock):
        pass
    gate, old = instance.gate(), instance.answers().pid
    job = instance.submit(f"read _ <{gate.path}; exit 6")
    wait_until(lambda: instance.job(job).state is State.RUNNING, PATIENCE)
    for _ in range(3):
        while lines(sock) != ["WATCHDOG=1"]:
            pass
    os.kill(old, signal.SIGSTOP)
    wait_until(lambda: (s := linux.stat_of(old)) is None or s.state in "ZX", PATIENCE)
    instance.answers_anew(old)
    gate.open()
    instance.wait(job)
    assert instance.job(job).exit_code == 6


def test_no_job_and_no_daemon_in_the_background_speaks_to_systemd(instance, tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.setblocking(False)
        instance.jobd("start", env={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "1000000"})
        instance.jobctl("submit", "--wait", "true")
        with pytest.raises(BlockingIOError):
            sock.recv(1000)


# --- process 1 ----------------------------------------------------------------------------------

ORPHANS = "for n in 1 2 3; do (setsid sh -c 'exit 0' &) ; (sh -c 'exit 0' &); done; exit 7"


def test_as_process_1_it_reaps_orphans_and_ends_by_a_signal(instance):
    """As in a container: nobody else is there to reap, and only signals that are caught arrive."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can make a namespace of processes")
    process = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
         sys.executable, BIN / "jobd", "start", "--foreground"],
        env=instance.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert instance.answers().supervisor_pid == 1
        job = instance.submit(ORPHANS)
        instance.wait(job)
        assert instance.job(job).exit_code == 7
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as children:
            first = int(children.read().split()[0])
        wait_until(lambda: not [c for c in linux.children_of(first) if c.state == "Z"], PATIENCE)
        os.kill(first, signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
