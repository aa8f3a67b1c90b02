"""Prometheus itself, as Debian has it, and a daemon at work."""

import json
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest

from jobd.contract.models import Events
from tests.e2e.test_following import switches
from tests.helpers import free_port, wait_until
from tests.integration.test_metrics import get
from tests.prometheus import program

pytestmark = pytest.mark.e2e
_WITHIN_S = 60.0
_QUIET_S = 2.0


@pytest.fixture
def port(instance):
    found = free_port()
    instance.configure(f'[metrics]\nlisten = "127.0.0.1:{found}"\n')
    instance.start()
    return found


@pytest.fixture
def ask(port, tmp_path):
    """A function that asks a Prometheus which scrapes the daemon each second."""
    binary, web = program("prometheus"), free_port()
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs: [{job_name: jobd, static_configs: "
        f'[{{targets: ["127.0.0.1:{port}"]}}]}}]\n'
    )
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            [
                binary, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{web}",
            ],
            stdout=log, stderr=log,
        ) as process,
    ):  # fmt: skip

        def value(expression):
            query = urllib.parse.quote(expression)
            try:
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{web}/api/v1/query?query={query}", timeout=5
                ) as answer:
                    found = json.load(answer)["data"]["result"]
            except OSError:
                return None  # it has just been started
            return float(found[0]["value"][1]) if found else None

        try:
            yield value
        finally:
            process.terminate()


def test_it_scrapes_what_jobs_do(instance, ask):
    wait_until(lambda: ask('up{job="jobd"}') == 1, _WITHIN_S)
    instance.jobctl("submit", "--wait", "exit 5", code=5)
    instance.jobctl("submit", "--wait", "true")
    failed = 'jobd_jobs_finished_total{state="failed",reason="exit code"}'
    wait_until(lambda: ask(failed) == 1, _WITHIN_S)
    wait_until(lambda: ask('jobd_jobs{state="completed"}') == 1, _WITHIN_S)
    wait_until(lambda: ask("sum(jobd_attempt_run_seconds_count)") == 2, _WITHIN_S)
    instance.jobd("stop")
    wait_until(lambda: ask('up{job="jobd"}') == 0, _WITHIN_S)


def test_promtool_finds_nothing_to_say(instance, port):
    instance.jobctl("submit", "--wait", "true")
    text = instance.jobd("metrics").stdout
    done = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert "jobd_jobs_finished_total" in get(port, "/metrics")[1]


def test_a_daemon_that_is_measured_does_not_wake_up_while_idle(instance, port):
    instance.jobctl("submit", "--wait", "true")
    get(port, "/metrics")
    client, pid = instance.client(), instance.status().pid
    newest = client.events(Events(after=None)).next

    def woken():
        before = switches(pid)
        # The daemon itself measures the time: nothing happens, so it answers at the end of it.
        assert client.events(Events(after=newest, wait=_QUIET_S)).events == []
        after = switches(pid)
        # One thread answers that very question.
        return sum(after[task] > before.get(task, 0) for task in after) - 1

    wait_until(lambda: not woken(), _WITHIN_S, lambda: f"woken: {woken()} threads")


def test_a_restart_keeps_the_counts_and_the_address(instance, port):
    instance.jobctl("submit", "--wait", "true")
    instance.jobd("restart")
    text = get(port, "/metrics")[1]
    assert 'jobd_jobs{group="default",state="completed"} 1.0' in text
    assert "jobd_daemon_starts_total 2.0" in text


def test_an_address_that_somebody_took_meanwhile_is_taken_back(instance, port):
    """After a crash of the daemon nobody is there who could be told: the queue goes on."""
    assert get(port, "/healthz")[0] == 200
    holder = f"""
import os, signal, socket, sys
sock = socket.socket()
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
while True:
    try:
        sock.bind(("127.0.0.1", {port}))
        break
    except OSError:
        pass
sock.listen()
print("taken", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", holder],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as taken:  # fmt: skip
        instance.kill(instance.status().pid)
        took = taken.stdout.readline() == "taken\n"
        instance.answers()
        instance.jobctl("submit", "--wait", "true")
        taken.stdin.close()
    assert took
    wait_until(lambda: _is_told(port), _WITHIN_S)


def _is_told(port):
    try:
        return get(port, "/healthz")[0] == 200
    except OSError:
        return False
