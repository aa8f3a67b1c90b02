"""`jobctl logs -f` and `watch` cost nothing while nothing is printed, however many follow."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from jobd.contract.models import Events
from tests.e2e.instance import PATIENCE, Terminal
from tests.helpers import wait_until

pytestmark = pytest.mark.e2e

FOLLOWERS = 10
SPAN_S = 1.0


def switches(pid):
    """By thread, how often it went to sleep by itself, and so was woken (proc_pid_status(5))."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            status = (task / "status").read_text()
        except OSError:
            continue  # it has ended
        fields = dict(line.split(":", 1) for line in status.splitlines())
        found[task.name] = int(fields["voluntary_ctxt_switches"])
    return found


def watches(pid, file):
    """How many watches inotify keeps for a file."""
    inode = f" ino:{os.stat(file).st_ino:x} "
    count = 0
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(OSError):  # it was closed just now
            lines = info.read_text().splitlines()
            count += sum(line.startswith("inotify ") and inode in line for line in lines)
    return count


class Log:
    """`logs -f`, and what it has printed."""

    def __init__(self, instance, job):
        self._process = instance.begin("jobctl", "logs", "-f", str(job))
        self.shown = self._process.stdout.readline()

    def end(self):
        self.shown += self._process.communicate(timeout=PATIENCE)[0]
        return self._process.returncode


class Screen(Terminal):
    """`watch` on a terminal that shows the job by now."""

    def __init__(self, instance, job):
        super().__init__(instance, "jobctl", "watch", str(job))
        wait_until(lambda: b"begin" in self.shown, PATIENCE, lambda: repr(self.shown))


@pytest.mark.local("a file server tells of no change: somebody looks once a second")
@pytest.mark.parametrize(
    ("kind", "is_whole"),
    [
        (Log, lambda shown: shown == b"begin\nend\n"),
        (Screen, lambda shown: b"1 completed" in shown),
    ],
    ids=["logs", "watch"],
)
def test_ten_followers_of_a_silent_job_cost_no_wake_ups(running, kind, is_whole):
    gate = running.gate()
    job = running.submit(f"echo begin; read _ <{gate.path}; echo end")
    output = running.paths.output_of(job, 1)
    wait_until(lambda: output.exists() and output.read_bytes() == b"begin\n", PATIENCE)
    pid = running.status().pid
    before = set(switches(pid))
    client = running.client()
    newest = client.events(Events(after=None)).next
    asking = set(switches(pid)) - before
    others = before | asking
    followers = [kind(running, job) for _ in range(FOLLOWERS)]
    assert all(b"begin" in follower.shown for follower in followers)
    wait_until(lambda: watches(pid, output) == 1, PATIENCE)
    of_followers = set(switches(pid)) - others
    assert len(of_followers) >= FOLLOWERS

    def woken():
        before = switches(pid)
        # The daemon itself measures the time: nothing happens, so it answers at the end of it.
        assert client.events(Events(after=newest, wait=SPAN_S)).events == []
        after = switches(pid)
        # Also none of those that look after the job.
        awake = after.keys() & before.keys() - asking
        return {task: after[task] - before[task] for task in awake if after[task] > before[task]}

    # Who has begun to follow comes to rest.
    wait_until(lambda: not woken(), PATIENCE, message=lambda: f"woken: {woken()}")
    assert watches(pid, output) == 1
    gate.open()
    assert {follower.end() for follower in followers} == {0}
    assert all(is_whole(follower.shown) for follower in followers)
    wait_until(lambda: watches(pid, output) == 0, PATIENCE)


def going_on(job, others):
    """Commands that go on for as long as a job does, or for good."""
    return [
        ["logs", "-f", str(job)], ["logs", "-f", str(job), str(others)],
        ["logs", "-f", "--unfinished"],
        ["watch", str(job)], ["watch", "--json", str(job)], ["watch"], ["events", "-f"],
        ["wait", str(job)], ["wait", str(job), str(others)], ["wait", "--any", str(job)],
        ["wait", "--running", str(others)], ["wait", "--idle", "--all"],
    ]  # fmt: skip


@pytest.mark.local("a file server tells of no change: somebody looks once a second")
def test_neither_the_daemon_nor_a_command_that_goes_on_wakes_while_nothing_happens(running):
    """And those that are killed are gone at once."""
    gate = running.gate()
    job = running.submit(f"echo begin; read _ <{gate.path}; echo end")
    held = running.id_of("--hold", "true")
    wait_until(lambda: running.client().show(job).job.state == "running", PATIENCE)
    daemon = running.status()
    threads = set(switches(daemon.pid))
    client = running.client()
    newest = client.events(Events(after=None)).next
    asking = set(switches(daemon.pid)) - threads
    # One that has hung up is there for another moment.
    before = len(running._clients)
    wait_until(lambda: running.connections() == before, PATIENCE)
    begun = [running.begin("jobctl", *words) for words in going_on(job, held)]
    wait_until(
        lambda: running.connections() == before + len(begun),
        PATIENCE,
        lambda: str([(p.args, p.stderr.read()) for p in begun if p.poll() is not None]),
    )
    pids = [daemon.pid, daemon.supervisor_pid, *(process.pid for process in begun)]

    def woken():
        seen = [switches(pid) for pid in pids]
        # The daemon itself measures the time: nothing happens, so it answers at the end of it.
        assert client.events(Events(after=newest, wait=SPAN_S)).events == []
        found = [
            set(switches(pid).items() - known.items())
            for pid, known in zip(pids, seen, strict=True)
        ]
        return {task for tasks in found for task, _ in tasks} - asking

    wait_until(lambda: not woken(), PATIENCE, lambda: f"woken: {woken()}")
    for process in begun:
        process.kill()
    wait_until(lambda: running.connections() == before, 5)
    gate.open()


@pytest.mark.local("a file server tells of no change: somebody looks once a second")
def test_times_on_a_terminal_go_on_while_nothing_is_asked(running):
    gate = running.gate()
    job = running.submit(f"echo begin; read _ <{gate.path}")
    terminal = Screen(running, job)
    drawn = terminal.shown.count(b"begin")
    wait_until(lambda: terminal.shown.count(b"begin") >= drawn + 3, PATIENCE)
    # What is printed is there long before it would be asked for again.
    output = running.paths.output_of(job, 1)
    with output.open("ab") as file:
        file.write(b"more\n")
    wait_until(lambda: b"more" in terminal.shown, 10)
    gate.open()
    assert terminal.end() == 0
