"""Metrics of a daemon at work: they agree with its store, wherever they are read."""

import contextlib
import http.client
import json
import os
import socket
import stat
import subprocess
import sys
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jobd.contract.errors import JobdError, Refused
from jobd.contract.models import Edit, Groups, Shutdown
from jobd.contract.states import State
from jobd.daemon.metrics import textfile
from tests.helpers import free_port, wait_until
from tests.integration.inside import ids
from tests.integration.test_scheduling import after, request, submit


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def measured(make, port):
    return make(metrics={"listen": f"127.0.0.1:{port}"})


class AtPath(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("jobd")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def asked(connection, path, method="GET"):
    with contextlib.closing(connection):
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def get(port, path, **options):
    return asked(http.client.HTTPConnection("127.0.0.1", port, timeout=10), path, **options)


def values(text):
    """Samples by their name and their labels."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(inside):
    return values(inside.client.metrics().text)


def on_disk(inside):
    rows = inside.sql("SELECT group_name, state, COUNT(*) FROM jobs GROUP BY 1, 2")
    return {(group, state): count for group, state, count in rows}


def told(inside):
    text = inside.client.metrics().text
    (jobs,) = [each for each in text_string_to_metric_families(text) if each.name == "jobd_jobs"]
    found = {(one.labels["group"], one.labels["state"]): one.value for one in jobs.samples}
    return {key: value for key, value in found.items() if value}


def live(inside):
    """Something of everything that can become of a job."""
    client = inside.client
    client.groups(Groups(name="net", action="add", workers=2))
    bad = submit(inside, "exit 3")
    inside.wait(bad)
    submit(inside, "true", after=after(bad))  # fails at once
    many = [submit(inside, "true"), submit(inside, "exit 1", retries=1, retry_delay=0.0)]
    client.submit(request("true", array=[(1, 20)], group="net"))
    held = [submit(inside, "true", hold=True) for _ in range(3)]
    moved = submit(inside, "true", hold=True, group="net")
    client.edit(Edit(id=held[0], group="net"))
    client.stop(ids(held[1], moved))
    client.submit(request("true", "true", delay=3600.0, group="net"))
    inside.wait(*many)
    wait_until(lambda: not inside.sql("SELECT 1 FROM jobs WHERE state = 'running'"))
    wait_until(lambda: inside.sql("SELECT COUNT(*) FROM jobs WHERE state = 'completed'") == [(21,)])
    client.restart(ids(bad))
    inside.wait(bad)
    client.rm(ids(many[0]))


def test_counts_are_those_of_the_store_and_survive_the_daemon(measured, make, port):
    live(measured)
    assert told(measured) == on_disk(measured)
    again = make(metrics={"listen": f"127.0.0.1:{port}"})
    assert told(again) == on_disk(again)


def test_a_refused_change_and_a_dry_run_count_nothing(measured):
    submit(measured, "true", hold=True)
    with pytest.raises(JobdError):
        submit(measured, "true", group="nowhere")
    measured.client.stop(ids(1), dry_run=True)
    assert told(measured) == {("default", "pending"): 1}


def test_attempts_are_told_with_their_ends(measured):
    job = submit(measured, "echo hello; exit 4", retries=1, retry_delay=0.0)
    measured.wait(job)
    found = of(measured)
    assert found["jobd_jobs_finished_total", "default", "exit code", "failed"] == 1
    assert found["jobd_attempts_started_total", "default"] == 2
    assert found["jobd_attempts_retried_total", "default"] == 1
    assert found["jobd_attempts_lost_total", "default"] == 0
    assert found["jobd_job_wait_seconds_count", "default"] == 2
    assert found["jobd_attempt_run_seconds_count", "default"] == 2
    assert found["jobd_output_bytes_total",] == 12


def test_messages_that_do_not_arrive_are_counted(measured):
    assert of(measured)["jobd_notifications_failing",] == 0
    measured.send("false")
    wait_until(lambda: of(measured)["jobd_notifications_failing",] == 1)


def test_workers_groups_and_who_waits_longest(make, port):
    inside = make(
        workers=4, groups={"net": {"workers": 1}}, metrics={"listen": f"127.0.0.1:{port}"}
    )
    running = submit(inside, "sleep 60", group="net", slots=1)
    waiting = [submit(inside, "true", group="net") for _ in range(3)]
    submit(inside, "true", hold=True)
    wait_until(lambda: inside.job(running).state is State.RUNNING)
    found = of(inside)
    assert found["jobd_workers",] == 4
    assert found["jobd_workers_busy",] == 1
    assert found["jobd_group_workers", "net"] == 1
    assert found["jobd_group_workers_busy", "net"] == 1
    assert found["jobd_jobs_ready",] == 3
    since = found["jobd_oldest_ready_job_timestamp_seconds",]
    assert since == pytest.approx(inside.job(waiting[0]).submitted_at.timestamp(), abs=0.001)
    inside.client.stop(ids(running), grace=0.0)


def test_starts_are_counted_over_all_daemons(measured, make, port):
    assert of(measured)["jobd_daemon_starts_total",] == 1
    again = make(metrics={"listen": f"127.0.0.1:{port}"})
    assert of(again)["jobd_daemon_starts_total",] == 2


def test_messages_that_do_not_arrive_are_told(make, port):
    rule = {"name": "no", "on": ["failed"], "command": "exit 1", "retries": 0}
    inside = make(notify=[rule], metrics={"listen": f"127.0.0.1:{port}"})
    assert of(inside)["jobd_notifications_failing",] == 0
    inside.wait(submit(inside, "exit 3"))
    wait_until(lambda: of(inside)["jobd_notifications_failing",] == 1)


def test_requests_are_timed_but_for_those_that_wait(measured):
    with pytest.raises(JobdError):
        measured.job(77)
    measured.wait(submit(measured, "true"))
    found = of(measured)
    assert found["jobd_request_seconds_count", "show"] == 1
    assert found["jobd_requests_failed_total", "show"] == 1
    assert found["jobd_request_seconds_count", "submit"] == 1
    assert ("jobd_request_seconds_count", "wait") not in found
    assert found["jobd_commit_seconds_count",] > 2


def test_http_answers_what_there_is(measured, port):
    status, text = get(port, "/metrics?x=1")
    assert status == 200
    assert ("jobd_workers",) in values(text)
    assert get(port, "/metrics", method="HEAD") == (200, "")
    status, text = get(port, "/jobs")
    assert (status, text) == (404, "there is nothing here; see: /metrics /healthz\n")
    assert get(port, "/metrics", method="POST")[0] == 501


def test_health_is_told_with_what_it_rests_on(measured, port):
    status, text = get(port, "/healthz")
    found = json.loads(text)
    assert status == 200
    assert found["ready"]
    assert found["store_writable"]
    assert found["workers"] == 3
    assert found["busy"] == 0
    assert found["free_bytes"] > 0
    assert 0 <= found["last_commit_age_s"] < 60
    assert found["error"] is None


def test_who_drains_is_not_ready(measured, port):
    held = submit(measured, "sleep 60")
    wait_until(lambda: measured.job(held).state is State.RUNNING)
    measured.client.request(Shutdown(), Shutdown.about.reply)
    status, text = get(port, "/healthz")
    assert status == 503
    assert json.loads(text)["ready"] is False


def test_a_store_that_cannot_be_written_is_not_well(measured, port):
    reserve = measured.daemon.built.ground.reserve
    reserve.in_use, reserve._possible = True, False
    assert get(port, "/healthz")[0] == 503
    assert of(measured)["jobd_store_writable",] == 0
    reserve.in_use = False


def test_a_writer_that_hangs_keeps_nobody_waiting_for_metrics(measured, port):
    going_on = threading.Event()
    measured.daemon.built.ground.writer.post(going_on.wait)
    try:
        assert get(port, "/metrics")[0] == 200
        assert get(port, "/healthz")[0] == 503
    finally:
        going_on.set()


def test_a_unix_socket_is_for_its_owner_and_goes_with_the_daemon(make, jobd_home):
    path = jobd_home.parent / "m.sock"
    inside = make(metrics={"listen": str(path)})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert asked(AtPath(path), "/healthz")[0] == 200
    inside.close()
    assert not path.exists()


def test_what_lies_at_the_path_is_left_alone(make, jobd_home):
    path = jobd_home.parent / "m.sock"
    path.write_text("mine")
    with pytest.raises(JobdError, match=r"\[metrics\] listen = .*name another path"):
        make(metrics={"listen": str(path)})
    assert path.read_text() == "mine"


def test_an_address_that_is_taken_is_named(make):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(JobdError, match=rf"\[metrics\] listen: {address}: Address already"):
            make(metrics={"listen": address})


def test_a_path_that_is_too_long_is_named_with_the_reason(make, tmp_path):
    path = tmp_path / ("x" * 120)
    with pytest.raises(JobdError, match=r"x: AF_UNIX path too long; name another"):
        make(metrics={"listen": str(path)})


def test_who_asks_without_end_takes_no_place_for_ever(measured, port):
    """Of those who connect and say nothing some are heard, and the others are hung up on."""
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    hung_up = [sock for sock in silent if _is_hung_up(sock)]
    assert len(hung_up) == 12
    for sock in silent:
        sock.close()
    wait_until(lambda: _answers(port))


def _is_hung_up(sock):
    sock.settimeout(0.3)
    try:
        return sock.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


def _answers(port):
    try:
        return get(port, "/healthz")[0] == 200
    except (http.client.HTTPException, OSError):
        return False


# --- the file -----------------------------------------------------------------------------------


def test_the_file_is_whole_told_anew_and_gone_with_the_daemon(make, tmp_path, monkeypatch):
    monkeypatch.setattr(textfile, "_PAUSE_S", 0.05)
    inside = make(metrics={"textfile": str(tmp_path)})
    file = tmp_path / "jobd.prom"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert values(file.read_text())["jobd_workers",] == 3
    inside.wait(submit(inside, "true"))
    key = ("jobd_jobs_finished_total", "", "completed", "default")
    wait_until(lambda: values(file.read_text()).get(key) == 1)
    assert os.listdir(tmp_path) == ["jobd.prom"]
    inside.close()
    assert os.listdir(tmp_path) == []


def test_a_directory_that_is_not_there_is_told_once_and_the_queue_goes_on(
    make, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(textfile, "_PAUSE_S", 0.01)
    inside = make(metrics={"textfile": str(tmp_path / "none")})
    for _ in range(3):
        inside.wait(submit(inside, "true"))
    assert caplog.text.count("[metrics] textfile") == 1
    (tmp_path / "none").mkdir()
    inside.wait(submit(inside, "true"))
    wait_until((tmp_path / "none/jobd.prom").exists)


# --- off ----------------------------------------------------------------------------------------


def test_off_they_are_refused_with_the_way_to_them(daemon):
    with pytest.raises(Refused, match=r"metrics are off; set listen or textfile in \[metrics\]"):
        daemon.client.metrics()


def test_off_nothing_of_their_library_is_loaded():
    """It is large, and may not be installed."""
    program = "import sys, jobd.daemon.instance; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_without_their_library_the_start_says_what_to_install(make, port, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    for name in list(sys.modules):
        if name.startswith(("jobd.daemon.metrics.families", "jobd.daemon.metrics.metrics")):
            monkeypatch.delitem(sys.modules, name)
    with pytest.raises(
        JobdError, match=r"\[metrics\] needs .*pip install 'jobctl-queue\[metrics\]'"
    ):
        make(metrics={"listen": f"127.0.0.1:{port}"})


def test_gpus_are_counted_by_the_jobs_that_have_a_place_on_them(make, port, gate):
    metrics = {"listen": f"127.0.0.1:{port}"}
    daemon = make(metrics=metrics, gpus={"devices": [0, 3], "per_device": 2})
    seen = of(daemon)
    assert (seen["jobd_gpus",], seen["jobd_gpus_busy",]) == (4, 0)
    job = submit(daemon, f"read _ < {gate.path}", gpus=1)
    wait_until(lambda: daemon.job(job).state is State.RUNNING)
    seen = of(daemon)
    assert (seen["jobd_gpus",], seen["jobd_gpus_busy",]) == (4, 1)
    gate.open()
    daemon.wait(job)
    assert of(daemon)["jobd_gpus_busy",] == 0
