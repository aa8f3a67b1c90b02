"""Start, stop, status: each situation has a clear result."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobd.system import linux
from tests.e2e.instance import Instance, json_of
from tests.helpers import processes_with, wait_until

pytestmark = pytest.mark.e2e
NO_TRACE = "Traceback"


# --- start --------------------------------------------------------------------------------------


def test_start_says_what_runs_and_status_agrees(instance):
    assert "not running" in instance.jobd("status", code=3).stdout
    said = instance.start("--workers", "2").stdout
    found = json_of(instance.jobd("status", "--json"))
    assert found["output_bytes"] == 0
    assert f"started: pid {found['pid']}, 2 workers" in said
    assert (found["running"], found["workers"], found["busy"]) == (True, 2, 0)
    assert found["supervisor_pid"] == linux.stat_of(found["pid"]).ppid
    assert {"version", "uptime_s", "engine", "draining", "jobs", "socket", "database", "log"} <= (
        found.keys()
    )
    again = instance.start()
    assert f"already running: pid {found['pid']}" in again.stdout
    assert not again.stderr
    assert "options stay as they were" in instance.start("--workers", "4").stderr
    assert json_of(instance.jobd("status", "--json"))["workers"] == 2
    assert "running" in instance.jobd("status").stdout
    assert "started: pid" in instance.jobd("log", "-n", "5").stdout
    for path, mode in [(instance.home, 0o700), (instance.paths.socket, 0o600)]:
        assert path.stat().st_mode & 0o777 == mode


def test_two_starts_at_once_make_one_daemon(instance):
    instance.configure()
    starts = [instance.begin("jobd", "start") for _ in range(3)]
    said = [start.communicate(timeout=60) for start in starts]
    assert [start.returncode for start in starts] == [0, 0, 0], said
    pids = {re.search(rb"pid (\d+)", out)[1] for out, _ in said}
    assert pids == {str(instance.status().pid).encode()}
    assert len(instance.processes()) == 2


def held_by(pid):
    """What its descriptors lead to. One that is closed meanwhile, as a client goes, is not held."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


def test_start_holds_nothing_of_who_started_it(instance):
    """`ssh host jobd start` returns: no terminal, no inherited descriptor, no directory."""
    read, write = os.pipe()
    controller, terminal = pty.openpty()
    instance.configure()
    try:
        done = subprocess.run(
            "jobd start | cat",
            shell=True, check=True, env=instance.env, cwd=instance.work, pass_fds=[write],
            stdin=terminal, stdout=subprocess.PIPE, stderr=terminal, timeout=60,
        )  # fmt: skip
    finally:
        for fd in (write, controller, terminal):
            os.close(fd)
    assert b"started" in done.stdout
    assert os.read(read, 1) == b""  # nobody has the other end any more
    os.close(read)
    found = instance.status()
    for pid in (found.pid, found.supervisor_pid):
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert not [path for path in held_by(pid) if path.startswith(("/dev/pts", "/dev/tty"))]
        assert linux.stat_of(pid).session == pid


def test_a_stale_socket_is_replaced(running):
    running.submit("true")
    running.wait(1)
    old = running.status()
    running.halt(old.pid)
    running.kill(old.supervisor_pid)
    running.kill(old.pid)
    assert running.paths.socket.exists()
    assert "jobd start" in running.jobctl("ls", code=69).stderr
    running.start()
    assert running.job(1).state == "completed"


def test_a_socket_path_that_is_too_long_gets_a_stand_in(home):
    long = home / ("d" * 60) / ("e" * 60)
    long.mkdir(parents=True)
    instance = Instance(long / "jobd", home / "work")
    assert len(os.fsencode(instance.paths.socket)) > 107
    instance.start()
    try:
        assert instance.jobctl("submit", "-w", "jobctl ls --ids").stdout == "1\n"
    finally:
        instance.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[daemon]\nworkers = 2\nwrokers = 3\n", ["wrokers", "line 3"]),
        ("[daemon]\n\nworkers = 'two'\n", ["workers", "line 3"]),
        ("[deamon]\nworkers = 2\n", ["deamon", "line 1"]),
        ("[daemon]\nworkers = = 2\n", ["line 2"]),
        ("[daemon]\nengine = 'nomad'\n", ["engine", "nomad", "local"]),
    ],
)
def test_a_bad_config_stops_the_start(instance, text, words):
    instance.home.mkdir(mode=0o700)
    instance.paths.config.write_text(text)
    done = instance.run("jobd", "start")
    assert done.returncode in (1, 2)
    assert [word for word in words if word not in done.stderr] == []
    assert NO_TRACE not in done.stderr
    assert instance.processes() == {}


def test_a_start_that_is_refused_has_begun_nothing_and_leaves_no_daemon(instance, tmp_path):
    instance.start()
    # A message that is tried again by each daemon that starts.
    instance.jobctl("submit", "--notify", "echo >>told; exec sleep 1000", "true")
    instance.await_lines("told", 1)
    instance.jobd("stop", "--now")
    (tmp_path / "taken").touch()
    instance.configure(f'[metrics]\nlisten = "{tmp_path}/taken"\n')
    assert "something else lies there" in instance.start(code=1).stderr
    instance.jobd("status", code=3)
    assert len(instance.lines("told")) == 1
    (tmp_path / "taken").unlink()
    instance.start()
    instance.await_lines("told", 2)


def test_the_config_and_above_it_the_options_count(instance):
    instance.configure("[daemon]\nworkers = 5\n")
    instance.start()
    assert instance.status().workers == 5
    instance.jobd("stop")
    instance.start("--workers", "7")
    assert instance.status().workers == 7


def test_a_long_log_begins_anew_for_supervisor_and_daemon(instance):
    instance.configure("[daemon]\nmax_log = 1\n")
    instance.start()
    try:
        first = instance.status()
        instance.jobd("restart")
        second = instance.answers_anew(first.pid)
        old = instance.paths.log.with_name("jobd.log.1")
        assert "started: pid" in instance.jobd("log").stdout
        assert "started: pid" not in old.read_text()
        wait_until(
            lambda: all(
                os.path.samefile(f"/proc/{pid}/fd/2", instance.paths.log)
                for pid in (second.pid, linux.stat_of(second.pid).ppid)
            )
        )
        assert instance.paths.log.stat().st_mode & 0o777 == 0o600
    finally:
        instance.jobd("stop", "--now")


def test_a_home_that_is_a_file(instance):
    instance.home.write_text("not a directory")
    done = instance.jobd("start", code=1)
    assert str(instance.home) in done.stderr
    assert "JOBD_HOME" in done.stderr
    assert NO_TRACE not in done.stderr
    instance.home.unlink()


AS_NOBODY = """
import os, sys, importlib
import jobctl.cli, jobd.client.follow, jobd.client.client, jobctl.actions.bulk, jobctl.render.data
import jobctl.render.notices, jobctl.render.table, jobctl.crash_report
import jobd.admin.cli, jobd.admin.control, jobd.supervisor, difflib, hashlib, shlex, shutil, tomllib
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
program, *args = sys.argv[1:]
if program == "jobd":
    jobd.admin.cli.main(args)
sys.exit(jobctl.cli.run(args))
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_nobody(instance, program, *args, code):
    """Run a command as another user, one who could not even read our Python."""
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, program, *args],
        env=instance.env, cwd="/", capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == code, (done.stdout, done.stderr)
    assert NO_TRACE not in done.stderr
    return done


@needs_root
def test_a_state_directory_without_permission(instance):
    instance.home.parent.chmod(0o755)
    instance.home.parent.parent.chmod(0o755)
    done = as_nobody(instance, "jobd", "start", code=1)
    assert str(instance.home) in done.stderr
    assert "JOBD_HOME" in done.stderr
    instance.home.mkdir()
    done = as_nobody(instance, "jobd", "start", code=77)
    assert f"{instance.home} belongs to user root" in done.stderr
    assert "JOBD_HOME" in done.stderr
    instance.home.rmdir()


@needs_root
def test_another_user_is_refused(running):
    instance = running
    instance.home.parent.chmod(0o755)
    instance.home.parent.parent.chmod(0o755)
    assert "not permitted" in as_nobody(instance, "jobctl", "ls", code=77).stderr
    # Even where the file modes would let him in, his credentials do not.
    instance.home.chmod(0o755)
    instance.paths.socket.chmod(0o777)
    assert "not permitted" in as_nobody(instance, "jobctl", "ls", code=77).stderr
    assert "not permitted" in as_nobody(instance, "jobctl", "stop", "1", code=77).stderr
    assert instance.jobctl("ls", "--ids").stdout == ""


def test_start_says_why_a_damaged_database_cannot_be_used(instance):
    instance.home.mkdir(mode=0o700)
    instance.paths.database.write_bytes(b"this was a database" * 1000)
    done = instance.jobd("start", code=1)
    assert str(instance.paths.database) in done.stderr
    assert NO_TRACE not in done.stderr
    assert instance.paths.database.read_bytes() == b"this was a database" * 1000
    assert instance.processes() == {}


# --- stop ---------------------------------------------------------------------------------------


def test_stop_waits_refuses_and_forgets_nothing(running):
    gate = running.gate()
    running.jobctl("workers", "1")
    running.submit(f"echo begin >>ran; read _ <{gate.path}; echo 1 >>ran")
    running.submit("echo 2 >>ran", "echo 3 >>ran")
    running.await_lines("ran", 1)
    stop = running.begin("jobd", "stop", start_new_session=True)
    assert stop.stderr.readline() == b"waiting for 1; new jobs are refused\n"
    refused = running.jobctl("submit", "true", code=75)
    assert "shutting down" in refused.stderr
    assert json_of(running.jobd("status", "--json"))["draining"] is True
    stop.send_signal(signal.SIGINT)
    assert stop.wait(30) == 130
    running.jobctl("submit", "true", code=75)
    gate.open()
    assert "not running" in running.jobd("stop").stdout or running.jobd("status", code=3)
    assert running.lines("ran") == ["begin", "1"]
    before = running.jobctl("ls", code=69).stderr
    assert before == "jobctl: jobd is not running. Start it with: jobd start\n"
    running.start("--workers", "1")
    jobs = running.wait(1, 3)
    assert [job.state for job in jobs.values()] == ["completed"] * 3
    assert running.lines("ran") == ["begin", "1", "2", "3"]
    names = [e["event"] for e in json_of(running.jobctl("show", "1", "--json"))["events"]]
    assert names == ["submitted", "started", "completed"]


def test_stop_now_ends_the_running_jobs(running):
    running.submit("echo >>ran; exec sleep 100")
    running.submit('echo >>ran; [ "$JOBD_ATTEMPT" = 2 ] || exec sleep 100', requeue=True)
    running.await_lines("ran", 2)
    running.jobd("stop", "--now")
    running.jobd("status", code=3)
    running.start()
    assert running.wait(2)[2].state == "completed"
    stopped, again = running.job(1), running.job(2)
    assert (stopped.state, stopped.reason, stopped.signal) == ("stopped", "shutdown", "TERM")
    assert (again.attempt, len(running.lines("ran"))) == (2, 3)


def test_a_graceful_stop_becomes_now_when_its_time_is_over(running):
    running.submit("echo >>ran; exec sleep 100")
    running.await_lines("ran", 1)
    running.jobd("stop", "--timeout", "0.2s")
    running.start()
    assert running.job(1).reason == "shutdown"


def test_the_time_of_a_graceful_stop_outlasts_the_daemon(running):
    """Killed while it drains: the next one goes on, and ends what runs when the time is over."""
    running.submit("echo >>ran; exec sleep 1000")
    running.await_lines("ran", 1)
    old = running.status()
    stop = running.begin("jobd", "stop", "--timeout", "3s")
    assert stop.stderr.readline() == b"waiting for 1; new jobs are refused\n"
    running.kill(old.pid)
    assert running.answers_anew(old.pid).draining
    wait_until(lambda: not running.processes() or stop.poll() is not None, 60)
    stop.communicate(timeout=60)
    wait_until(lambda: not running.processes(), 60)
    running.start()
    found = running.job(1)
    assert (found.state, found.reason, found.signal) == ("stopped", "shutdown", "TERM")
    assert found.run_s < 100


def test_term_drains_and_a_second_one_is_now(running):
    running.submit("echo >>ran; exec sleep 100")
    running.await_lines("ran", 1)
    found = running.status()
    os.kill(found.supervisor_pid, signal.SIGTERM)
    wait_until(lambda: running.status().draining, 30)
    os.kill(found.supervisor_pid, signal.SIGTERM)
    wait_until(lambda: not running.processes(), 30)
    running.start()
    assert running.job(1).reason == "shutdown"


def test_foreground_stays_and_leaves_with_ctrl_c(instance):
    instance.start()
    assert instance.jobd("log").stderr == ""
    instance.jobd("stop")
    daemon = instance.begin("jobd", "start", "--foreground", start_new_session=True)
    instance.answers()
    assert "goes to its stderr; this is older" in instance.jobd("log").stderr
    gate = instance.gate()
    instance.submit(f"echo >>ran; read _ <{gate.path}")
    instance.await_lines("ran", 1)
    os.killpg(daemon.pid, signal.SIGINT)
    wait_until(lambda: instance.status().draining, 30)
    assert daemon.poll() is None
    gate.open()
    _, said = daemon.communicate(timeout=30)
    assert daemon.returncode == 0
    assert b"started: pid" in said
    assert instance.processes() == {}
    instance.start()
    assert instance.job(1).state == "completed"


def test_ephemeral_survives_a_kill_and_is_gone_after_a_stop(instance):
    instance.start("--ephemeral")
    instance.submit("echo kept")
    instance.wait(1)
    running = instance.status()
    assert not running.database.startswith(str(instance.home))
    instance.kill(running.pid)
    instance.answers_anew(running.pid)
    assert instance.output(1) == b"kept\n"
    instance.jobd("stop")
    assert not os.path.exists(os.path.dirname(running.database))
    instance.start()
    assert instance.jobctl("ls", "--ids").stdout == ""


@pytest.mark.local("with a job Slurm ends all that it has started")
def test_a_daemon_started_inside_a_job_is_none_of_the_jobs(running):
    inner = Instance(running.home.parent / "inner", running.home.parent / "innerwork")
    try:
        job = running.id_of("-e", f"JOBD_HOME={inner.home}", "--", "jobd", "start")
        assert running.wait(job)[job].state == "completed", running.output(job)
        assert inner.answers().pid != running.status().pid
        variables = Path(f"/proc/{inner.status().pid}/environ").read_bytes().split(b"\0")
        assert not [v for v in variables if v.startswith((b"JOBD_RUN=", b"JOBD_JOB_ID="))]
        assert inner.jobctl("submit", "true").stdout == "1\n"
    finally:
        inner.close()


# --- foreseeable errors -------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["ls"], ["submit", "true"], ["wait", "1"], ["logs"]])
def test_a_daemon_that_is_not_running_is_exit_69(instance, words):
    done = instance.jobctl(*words, code=69)
    assert done.stdout == ""
    assert done.stderr == "jobctl: jobd is not running. Start it with: jobd start\n"


def test_stop_of_what_does_not_run_is_fine(instance):
    assert "not running" in instance.jobd("stop").stdout


def test_an_unknown_id_is_exit_1(running):
    for verb in ("show", "logs", "wait", "stop", "start", "restart", "rm", "ls"):
        done = running.jobctl(verb, "99", code=1)
        assert (verb, done.stdout) in ((verb, ""), ("ls", done.stdout))
        assert "99" in done.stderr
        assert NO_TRACE not in done.stderr


def test_nothing_named_is_exit_2(running):
    for verb in ("stop", "start", "restart", "rm", "wait"):
        running.jobctl(verb, code=2)


# --- at rest ------------------------------------------------------------------------------------


@pytest.mark.local("with a job Slurm ends all that it has started")
def test_orphans_of_jobs_are_reaped(running):
    running.submit("setsid -f sh -c 'echo >>ran'; (sh -c 'echo >>ran' &)")
    running.wait(1)
    running.await_lines("ran", 2)
    found = running.status()

    def zombies():
        children = [*linux.children_of(found.pid), *linux.children_of(found.supervisor_pid)]
        return [child for child in children if child.state in "ZX"]

    wait_until(lambda: not zombies(), 30)
    assert processes_with(running.mark).keys() == {found.pid, found.supervisor_pid}
