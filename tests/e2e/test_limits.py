"""Little to work with: few descriptors, few processes, very many clients."""

import contextlib
import os
import pwd
import resource
import shutil
import signal
import subprocess

import pytest

from jobd.client.client import Client
from jobd.contract import wire
from jobd.contract.models import Status
from jobd.contract.paths import locate
from tests.e2e.instance import BIN, PATIENCE
from tests.e2e.test_access import STRANGER, needs_users, public  # noqa: F401 - a fixture
from tests.helpers import processes_with, wait_until
from tests.integration.test_hostile import Raw

pytestmark = pytest.mark.e2e


def test_a_start_with_too_little_memory_says_so(instance):
    """`ulimit -v` once gave a traceback in the log, and "internal error"."""
    done = instance.sh("ulimit -v 100000; jobd start")
    assert done.returncode == 1
    assert done.stderr.startswith("jobd: jobd cannot start: ")
    assert "ulimit -v" in done.stderr
    assert "Traceback" not in done.stderr


CLIENTS = 1100


@pytest.fixture
def many_files():
    """This process holds the other ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CLIENTS + 200:
        pytest.skip(f"{hard} descriptors are too few")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, CLIENTS + 200), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def limited(name, value):
    return {"preexec_fn": lambda: resource.setrlimit(name, (value, value))}


def threads_of(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def descriptors_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def is_hung_up_on(raw):
    """Whether the daemon has turned it away; it sends nothing unasked but that."""
    raw.socket.setblocking(False)
    try:
        raw.socket.recv(4096)
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    return True


def test_more_clients_than_the_daemon_takes(running, many_files):
    """Those who have a place are served; who finds none sees a clear end, and may come again."""
    pid = running.status().pid
    before = descriptors_of(pid)
    with contextlib.ExitStack() as stack, Client(running.paths.socket) as early:
        assert early.status().running
        crowd = [stack.enter_context(Raw(running.paths.socket)) for _ in range(CLIENTS)]
        turned_away = wait_until(
            lambda: (n := sum(map(is_hung_up_on, crowd))) >= CLIENTS - 1000 and n, PATIENCE
        )
        assert turned_away < CLIENTS
        job = running.submit("echo served", client=early)
        assert early.status().running
        served = next(raw for raw in crowd if not is_hung_up_on(raw))
        served.socket.settimeout(PATIENCE)
        served.call(wire.encode_request(Status()))
        assert served.answer() is not None
    assert running.wait(job)[job].state == "completed"
    assert "too many clients" in running.paths.log.read_text()
    wait_until(lambda: descriptors_of(pid) <= before + 10, PATIENCE)


def test_who_waits_takes_no_worker(running):
    """Ten wait, on three workers; the jobs run all the same."""
    gate = running.gate()
    first = running.submit(f"read _ < {gate.path}")
    waiting = [running.begin("jobctl", "wait", str(first)) for _ in range(10)]
    wait_until(lambda: running.connections() >= 10, PATIENCE)
    others = running.submit("true", "true")
    running.wait(others, others + 1)
    gate.open()
    assert [process.wait(PATIENCE) for process in waiting] == [0] * 10


def test_few_descriptors_are_enough(instance):
    """64 of them: jobs run, and a crowd cannot use them all up."""
    instance.start(**limited(resource.RLIMIT_NOFILE, 64))
    with contextlib.ExitStack() as stack, Client(instance.paths.socket) as early:
        assert early.status().running
        crowd = [stack.enter_context(Raw(instance.paths.socket)) for _ in range(100)]
        wait_until(lambda: sum(map(is_hung_up_on, crowd)) >= 60, PATIENCE)
        first = instance.submit(*["echo here"] * 30, client=early)
        done = {}

        def finished():
            found = early.status().jobs
            done.update(found)
            return found["completed"] == 30

        wait_until(finished, PATIENCE, lambda: f"{done}")
        assert done["failed"] == 0
    assert instance.output(first) == b"here\n"


@needs_users
@pytest.mark.local("a job there is no process of this user here")
def test_without_processes_jobs_are_put_back_and_the_daemon_answers(home, public):  # noqa: F811
    """As another user, since the kernel does not count root's processes (RLIMIT_NPROC)."""
    state, entry = public / "state", pwd.getpwnam(STRANGER)
    mark = f"JOBD_TEST_LIMITS={state}"
    environment = {**os.environ, "JOBD_HOME": str(state), "HOME": "/nonexistent"}
    environment["JOBD_TEST_LIMITS"] = str(state)
    state.mkdir(mode=0o700)
    os.chown(state, entry.pw_uid, entry.pw_gid)
    # It may read all the same: this checkout, or its interpreter, may lie in a private directory.
    setpriv = [
        shutil.which("setpriv"), f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}",
        "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
    ]  # fmt: skip

    def run(*args):
        command = [*setpriv, "--clear-groups", "--", *args]
        done = subprocess.run(
            command, env=environment, cwd="/", capture_output=True, text=True, check=False,
            timeout=PATIENCE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done

    run(BIN / "jobd", "start", "--workers", "2")
    try:
        with Client(locate({"JOBD_HOME": str(state)}).socket, owner=entry.pw_uid) as client:
            pid = client.status().pid
            submit(client, 6)  # from now on there are threads that work, and none can be added
            wait_until(lambda: client.status().jobs["completed"] == 6, PATIENCE)
            run("prlimit", f"--pid={pid}", "--nproc=1:")
            first = submit(client, 3)
            wait_until(lambda: "no job can be started" in (client.status().error or ""), PATIENCE)
            assert client.status().jobs["failed"] == 0
            run("prlimit", f"--pid={pid}", "--nproc=1000:")
            wait_until(lambda: client.status().jobs["completed"] == 9, PATIENCE)
            assert [client.show(first + n).job.attempt for n in range(3)] == [1, 1, 1]
            wait_until(lambda: client.status().error is None, PATIENCE)
    finally:
        run(BIN / "jobd", "stop", "--now")
        wait_until(lambda: not processes_with(mark), PATIENCE)


def submit(client, count):
    from tests.integration.inside import submit_of

    return client.submit(submit_of(*["true"] * count)).first


def test_hand_overs_leave_nothing_behind(running):
    """Many of them: neither descriptors nor variables nor arguments grow, of nobody."""
    gate = running.gate()
    through_all = running.submit(f"read _ <{gate.path}; exit 6")

    def hand_over(how):
        before = running.status()
        if how == "restart":
            running.jobd("restart")
        else:
            victim = before.pid if how == "daemon" else before.supervisor_pid
            os.kill(victim, signal.SIGKILL)
        return wait_until(lambda: (found := running.status()).pid != before.pid and found, PATIENCE)

    def variables(found):
        """Of the daemon, and of a job."""
        job = running.submit("env | grep -v -e '^JOBD_[JPR]' -e '^SLURM'")
        running.wait(job)
        return set(read_of(found.pid, "environ").split("\0")), running.output(job)

    ways = ["restart", "daemon", "supervisor"]
    first = [hand_over(how) for how in ways][-1]
    inherited = variables(first)
    words = sum(len(read_of(pid, "cmdline")) for pid in pids_of(first))
    descriptors = sum(map(descriptors_of, pids_of(first)))
    last = [hand_over(how) for how in ways * 3][-1]
    assert variables(last) == inherited
    assert sum(len(read_of(pid, "cmdline")) for pid in pids_of(last)) <= words + 50
    wait_until(
        # A connection that is being taken or given up may be among them.
        lambda: sum(map(descriptors_of, pids_of(last))) <= descriptors + 2,
        PATIENCE,
        lambda: str([os.listdir(f"/proc/{pid}/fd") for pid in pids_of(last)]),
    )
    gate.open()
    assert running.wait(through_all)[through_all].exit_code == 6


def pids_of(status):
    return status.pid, status.supervisor_pid


def read_of(pid, name):
    with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
        return file.read()
