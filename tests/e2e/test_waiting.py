"""Whoever waits for a job is told how it ended, whatever becomes of the daemon meanwhile."""

import itertools
import json
import os
import threading
import time
from datetime import datetime

import pytest

from jobctl.actions.wait import wait_for
from jobctl.actions.watch import Watching
from jobd.client import follow
from jobd.client.client import Client
from jobd.contract.errors import NotRunning
from jobd.contract.models import Events, Selector, Submitted
from tests.e2e.instance import PATIENCE, Instance
from tests.helpers import wait_until

pytestmark = pytest.mark.e2e

WITHIN_S = 2.0
"""Of the end, or of the start of the daemon that tells it."""
TOLD_FIRST = "waited for is told first"
"""In the log, where the daemon stays for somebody."""
OUTPUT = b"first words\nlast words\n"


class Waiting:
    """A command that waits: what it prints, and when it was over."""

    def __init__(self, instance, *args):
        self._out = instance.work / f"{'-'.join(args[:2])}.out"
        with self._out.open("wb") as out:
            self._process = instance.begin("jobctl", *args, stdout=out)
        self._err = b""
        self.over_at = None
        self._thread = threading.Thread(target=self._stay, daemon=True)
        self._thread.start()

    def _stay(self):
        self._err = self._process.stderr.read()
        self._process.wait()
        self.over_at = time.time()

    def out(self):
        """What it has printed so far."""
        return self._out.read_bytes()

    def end(self):
        """Exit code, standard output and standard error."""
        self._thread.join(PATIENCE)
        assert self.over_at is not None, "it waits on"
        return self._process.returncode, self.out(), self._err.decode()


def said_at(instance, text):
    """When that was written to the log, each time."""
    lines = instance.paths.log.read_text().splitlines()
    return [datetime.fromisoformat(line[:23]) for line in lines if text in line]


ONE = Selector(ids=[(1, 1)])
SIX = ("submit -w", "wait", "wait --json", "logs -f", "watch", "watch --json")


def all_six(instance, gate):
    """Everybody who can wait for job 1, which does not end before the gate opens, or by TERM."""
    line = (
        f"trap : TERM; exec 2>/dev/null; echo first words; head -n 1 {gate.path} >ran; "
        "echo last words; touch ended; exit 7"
    )
    found = {"submit -w": Waiting(instance, "submit", "-w", line)}
    output = instance.output_of(1, 1)
    wait_until(lambda: output.exists() and output.read_bytes(), PATIENCE)
    found |= {how: Waiting(instance, *how.split(), "1") for how in SIX[1:]}
    wait_until(lambda: instance.connections() == len(SIX), PATIENCE)
    # To whoever has not begun to watch when the job ends there is nothing to tell.
    with Client(instance.paths.socket) as client:
        percent = itertools.count(1)
        wait_until(
            lambda: (
                client.progress(1, next(percent) % 100)
                and all(b"progress" in found[how].out() for how in ("watch", "watch --json"))
            ),
            PATIENCE,
        )
    return found


def stopped(instance, gate):
    instance.begin("jobd", "stop")
    wait_until(lambda: instance.status().draining)
    gate.open()


def stopped_now(instance, _gate):
    instance.begin("jobd", "stop", "--now")


def restarted(instance, gate):
    instance.begin("jobd", "restart")
    gate.open()
    return instance.answers_anew(instance.first)


def killed(instance, gate):
    instance.kill(instance.first.pid)
    gate.open()
    return instance.answers_anew(instance.first)


def killed_with_its_supervisor(instance, gate):
    instance.halt(instance.first.pid)
    instance.kill(instance.first.supervisor_pid)
    gate.open()
    ended(instance)
    instance._halted.remove(instance.first.pid)
    instance.kill(instance.first.pid)
    instance.start()
    return True


def killed_while_it_stopped(instance, gate):
    """The daemon that follows has nothing to do but to tell."""
    instance.begin("jobd", "stop")
    wait_until(lambda: instance.status().draining)
    instance.halt(instance.first.supervisor_pid)
    instance.kill(instance.first.pid)
    gate.open()
    ended(instance)
    instance.go_on(instance.first.supervisor_pid)
    return wait_until(lambda: instance.paths.log.read_text().count(" started: pid") == 2, PATIENCE)


def ended(instance):
    """When the job said its last words."""
    return wait_until((instance.work / "ended").exists, PATIENCE)


FAILED = {"state": "failed", "reason": "exit code 7", "exit_code": 7}
STOPPED = {"state": "stopped", "reason": "shutdown", "exit_code": 143}
LOST = {"state": "failed", "reason": "lost", "exit_code": 1}
ALONE = LOST if Instance.engine == "local" else FAILED
"""Of one that nobody's child was when it ended: another engine keeps its exit code."""


@pytest.mark.parametrize(
    ("happens", "end"),
    [
        (stopped, FAILED),
        (stopped_now, STOPPED),
        (restarted, FAILED),
        (killed, FAILED),
        (killed_with_its_supervisor, ALONE),
        (killed_while_it_stopped, FAILED),
    ],
)
def test_whoever_waits_is_told_the_end_whatever_the_daemon_does(running, happens, end):
    running.first = running.status()
    gate = running.gate()
    waiting = all_six(running, gate)
    followed = happens(running, gate) is not None
    ended(running)
    since = time.time() if followed else (running.work / "ended").stat().st_mtime

    told = {how: each.end() for how, each in waiting.items()}
    late = {how: each.over_at - since for how, each in waiting.items()}
    assert {how: took for how, took in late.items() if took > WITHIN_S} == {}
    codes = {how: code for how, (code, _, _) in told.items()}
    own = dict.fromkeys(("submit -w", "wait", "wait --json"), end["exit_code"])
    assert codes == own | dict.fromkeys(("logs -f", "watch", "watch --json"), 0)

    says = f"{end['state']} ({end['reason']})"
    assert (told["submit -w"][1], told["logs -f"][1]) == (OUTPUT, OUTPUT)
    assert f"job 1 {says}" in told["submit -w"][2]
    assert f"job 1 {says}" in told["wait"][2]
    assert told["watch"][1].splitlines()[-1] == f"job 1 {says}".encode()
    verdict = json.loads(told["wait --json"][1])
    assert verdict["exit_code"] == end["exit_code"]
    assert [(job["state"], job["reason"]) for job in verdict["jobs"]] == [
        (end["state"], end["reason"])
    ]
    events = [json.loads(line) for line in told["watch --json"][1].splitlines()]
    assert [(event["job"], event["event"]) for event in events[-1:]] == [(1, end["state"])]


class Screen:
    """A terminal, as `watch` draws on it; `first`: called when it shows something at last."""

    def __init__(self, first):
        self.shown = []
        self._first = first

    def room(self):
        return 20

    def show(self, picture, said):
        self.shown += [(event.job, event.event) for event in said]
        first, self._first = self._first, lambda: None
        first()

    def idle(self):
        pass

    def busy(self):
        pass


def on_a_terminal(client, after, first):
    screen = Screen(first)
    Watching(client, ONE, after, screen).run()
    return screen.shown


def elsewhere(client, after, first):
    first()
    pages = follow.changes(client, ONE, after)
    return [(event.job, event.event) for page in pages for event in page.events]


@pytest.mark.parametrize("watch", [on_a_terminal, elsewhere])
def test_a_daemon_that_left_behind_the_end_is_not_needed_any_more(running, watch, monkeypatch):
    """Whoever watches may be slow: all that it has not asked for then is not to be had."""
    gate, client = running.gate(), running.client()
    running.submit(f"head -n 1 {gate.path}; exit 7")
    after = client.events(Events()).next
    asked = client.events

    def events(request):
        page = asked(request)
        if not page.unfinished:
            running.jobd("stop")
        return page

    monkeypatch.setattr(client, "events", events)
    told = watch(client, after, gate.open)
    assert told[-1] == (1, "failed")
    with pytest.raises(NotRunning):
        client.status()


class Silent:
    """Somebody who is told by `submit --wait`, and to whom it does not matter."""

    def __getattr__(self, _name):
        return lambda *_: True


def test_a_client_that_is_slow_behind_the_last_output_is_told_the_exit_code(running, monkeypatch):
    """As on a machine that is busy with other things."""
    gate, client = running.gate(), running.client()
    job = running.submit(f"head -n 1 {gate.path}; exit 7")
    asked, stops = client.wait, []

    def wait(request):
        stops.append(running.begin("jobd", "stop"))
        wait_until(lambda: "is told first" in running.paths.log.read_text(), PATIENCE)
        now = time.monotonic()
        wait_until(lambda: time.monotonic() > now + 1.5)
        return asked(request)

    monkeypatch.setattr(client, "wait", wait)
    gate.open()
    assert wait_for(client, Submitted(first=job, last=job), Silent()) == 7
    assert stops[0].wait(PATIENCE) == 0


def test_who_waits_for_what_does_not_end_any_more_is_told_at_once(running):
    """A job that is held, and news without end: nobody waits for half a minute."""
    job = str(running.id_of("--hold", "true"))
    commands = [["wait", job], ["wait", "--timeout", "1h", job], ["logs", "-f", job]]
    commands += [["watch", job], ["events", "-f"], ["submit", "-w", "--hold", "true"]]
    waiting = [Waiting(running, *command) for command in commands]
    wait_until(lambda: running.connections() == len(commands), PATIENCE)
    running.jobd("stop")
    for each in waiting:
        code, _, err = each.end()
        assert (code, "jobd is not running any more" in err) == (69, True), err
    # The daemon stays for none of them, and none of them looks for another one, which takes 30 s.
    (left,) = said_at(running, "leaves (stopped)")
    for since in said_at(running, TOLD_FIRST):
        assert (left - since).total_seconds() < WITHIN_S
    assert max(each.over_at for each in waiting) - left.timestamp() < 10.0


def test_output_is_whole_though_its_reader_is_slow_and_the_daemon_is_stopped(running):
    gate, size = running.gate(), 30_000_000
    line = f"echo >ran; head -n 1 {gate.path} >go; head -c {size} /dev/zero; exit 3"
    clients = [running.begin("jobctl", "submit", "-w", line)]
    running.await_lines("ran", 1)
    clients.append(running.begin("jobctl", "logs", "-f", "1"))
    wait_until(lambda: running.connections() == len(clients), PATIENCE)
    stop = running.begin("jobd", "stop")
    wait_until(lambda: running.status().draining)
    gate.open()
    wait_until(lambda: running.output_of(1, 1).stat().st_size == size, PATIENCE)
    wait_until(lambda: "is told first" in running.paths.log.read_text(), PATIENCE)
    assert stop.poll() is None
    for client, code in zip(clients, (3, 0), strict=True):
        out, _ = client.communicate(timeout=PATIENCE)
        assert (len(out), client.returncode) == (size, code)
    assert stop.wait(PATIENCE) == 0


def test_a_daemon_killed_while_it_tells_the_end_is_followed_by_one_that_goes_on(running):
    """No job runs any more, but somebody has not heard all of what it waited for."""
    gate, size = running.gate(), 30_000_000
    line = f"echo >ran; head -n 1 {gate.path} >go; head -c {size} /dev/zero; exit 3"
    client = running.begin("jobctl", "submit", "-w", line)
    running.await_lines("ran", 1)
    wait_until(lambda: running.connections() == 1, PATIENCE)
    first = running.status()
    stop = running.begin("jobd", "stop")
    wait_until(lambda: running.status().draining)
    gate.open()
    wait_until(lambda: said_at(running, TOLD_FIRST), PATIENCE)
    running.kill(first.pid)
    out, err = client.communicate(timeout=PATIENCE)
    assert (len(out), client.returncode) == (size, 3), err
    assert stop.wait(PATIENCE) == 0
    assert len(said_at(running, " started: pid")) == 2


@pytest.mark.parametrize("command", ["submit -w", "logs -f"])
def test_whoever_reads_slowly_from_the_first_byte_on_is_told_the_end(running, command):
    """It has never waited for anything when the daemon is told to stop: its own reader holds it."""
    gate, size = running.gate(), 3_000_000
    line = f"echo >ran; head -c {size} /dev/zero; head -n 1 {gate.path} >go; exit 3"
    client = running.begin("jobctl", "submit", "-w", line)
    running.await_lines("ran", 1)
    wait_until(lambda: running.output_of(1, 1).stat().st_size == size, PATIENCE)
    if command == "logs -f":
        client.kill()
        wait_until(lambda: not running.connections(), PATIENCE)
        client = running.begin("jobctl", "logs", "-f", "1")
    assert os.read(client.stdout.fileno(), 1) == b"\0"
    stop = running.begin("jobd", "stop")
    wait_until(lambda: running.status().draining)
    gate.open()
    wait_until(lambda: "is told first" in running.paths.log.read_text(), PATIENCE)
    out, _ = client.communicate(timeout=PATIENCE)
    assert (1 + len(out), client.returncode) == (size, 3 if command == "submit -w" else 0)
    assert stop.wait(PATIENCE) == 0


def test_a_client_that_hears_nothing_keeps_the_daemon_ten_seconds_at_most(running):
    gate = running.gate()
    go = f"head -n 1 {gate.path} >go"
    running.submit(f"echo begin; {go}; echo more; {go}; head -c 30000000 /dev/zero")
    deaf = running.begin("jobctl", "logs", "-f", "1")
    assert deaf.stdout.readline() == b"begin\n"
    gate.open()
    # What it has not seen at its first look it has waited for.
    assert deaf.stdout.readline() == b"more\n"
    running.halt(deaf.pid)
    gate.open()
    running.wait(1)
    running.jobd("stop")
    (first,) = said_at(running, TOLD_FIRST)
    (last,) = said_at(running, "1 client did not take what was still to be told")
    assert 9.0 < (last - first).total_seconds() < 11.0
    running.go_on(deaf.pid)
