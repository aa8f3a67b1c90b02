"""`[[notify]]` with a command: who is told of what, once, and what is told."""

import json
import os
import threading
import time

import pytest
from msgspec import structs

from jobd.contract.destinations import shell_line
from jobd.contract.errors import StoreFailed
from jobd.core.notification.message import Target, encoder
from jobd.store import deliveries
from jobd.store.delivery_reader import DeliveryReader
from tests.helpers import wait_until
from tests.integration.inside import ids, submit_of


@pytest.fixture
def told(tmp_path):
    """A command that keeps what it is told, a file a message; and what it was told so far."""
    return Told(tmp_path / "told")


class Told:
    def __init__(self, folder):
        self._folder = folder
        folder.mkdir()
        self.command = (
            f'cd "{folder}" && cat >.$JOBD_NOTIFICATION && env >$JOBD_NOTIFICATION.env'
            " && mv .$JOBD_NOTIFICATION $JOBD_NOTIFICATION"
        )

    @property
    def all(self):
        files = [f for f in self._folder.iterdir() if f.name[0] != "." and not f.suffix]
        files.sort(key=lambda file: file.stat().st_mtime_ns)
        return [json.loads(file.read_text()) for file in files]

    def await_all(self, count):
        wait_until(lambda: len(self.all) >= count)
        return self.all

    def variables(self, message):
        text = (self._folder / f"{message['notification']['id']}.env").read_text()
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def latest(daemon, limit=100):
    return DeliveryReader(daemon.daemon.built.ground.reader).latest(limit)


def test_who_has_a_rule_is_told_of_a_failure(make, told):
    daemon = make(notify=[{"on": ["failed"], "command": told.command, "name": "ops"}])
    daemon.submit("true")
    job = daemon.submit("echo one; echo two; exit 3", name="train")
    (message,) = told.await_all(1)
    assert (message["id"], message["state"], message["exit_code"]) == (job, "failed", 3)
    said = message["notification"]
    assert (said["on"], said["rule"], said["count"]) == ("failed", "ops", 1)
    assert said["title"] == f"job {job} (train) failed: exit code 3"
    assert said["last_lines"] == ["one", "two"]
    assert said["again"] == f"jobctl restart {job}"
    for text in ("echo one; echo two; exit 3", "jobctl restart", "  two", said["id"]):
        assert text in said["text"]
    variables = told.variables(message)
    assert variables["JOBD_JOB_ID"] == str(job)
    assert (variables["JOBD_STATE"], variables["JOBD_EXIT_CODE"]) == ("failed", "3")
    assert variables["JOBD_SOCKET"] == str(daemon.paths.socket)
    wait_until(lambda: latest(daemon)[0].state == "delivered")
    assert len(told.all) == 1


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"on": ["completed", "failed"]}, {"plain", "grouped", "tagged", "long"}),
        ({"groups": ["gpu"]}, {"grouped"}),
        ({"tags": ["nightly", "other"]}, {"tagged"}),
        ({"min_runtime": 0.3}, {"long"}),
        ({"states": ["failed"]}, {"tagged"}),
        ({"groups": ["gpu"], "states": ["failed"]}, set()),
    ],
)
def test_a_rule_is_about_some_jobs(make, told, filters, expected):
    daemon = make(
        groups={"gpu": {}},
        notify=[
            {"command": told.command, **filters},
            {"on": ["queue empty"], "command": told.command, "name": "end"},
        ],
    )
    daemon.client.workers(0)
    for name, line, options in (
        ("plain", "true", {}),
        ("grouped", "true", {"group": "gpu"}),
        ("tagged", "false", {"tags": ["nightly"]}),
        ("long", "sleep 0.4", {}),
    ):
        request = submit_of(line, name=name)
        asked = structs.replace(request.options, **options)
        daemon.client.submit(structs.replace(request, options=asked))
    daemon.client.workers(4)
    found = told.await_all(len(expected) + 1)
    assert {message["name"] for message in found if "name" in message} == expected
    assert [m["notification"]["on"] for m in found if "name" not in m] == ["queue empty"]


def test_the_queue_is_empty_each_time_it_becomes_so(make, told):
    daemon = make(notify=[{"on": ["queue empty"], "command": told.command}])
    daemon.wait(daemon.submit("true"))
    told.await_all(1)
    held = daemon.client.submit(held_one()).first
    daemon.wait(daemon.submit("true"))
    daemon.client.start(ids(held))
    daemon.wait(held)
    assert [m["notification"]["title"] for m in told.await_all(2)] == ["the queue is empty"] * 2


def held_one():
    request = submit_of("true")
    return structs.replace(request, options=structs.replace(request.options, hold=True))


def test_what_fails_is_tried_again_under_the_same_id(make, told, tmp_path):
    flag = tmp_path / "flag"
    command = (
        f'echo $JOBD_NOTIFICATION >>"{tmp_path}/tries";'
        f' [ -e "{flag}" ] || {{ echo not yet >&2; exit 7; }}; {told.command}'
    )
    daemon = make(notify=[{"command": command, "retry_delay": 0.1, "name": "ops"}])
    daemon.submit("true")
    wait_until(lambda: latest(daemon) and latest(daemon)[0].error == "exit code 7: not yet")
    assert daemon.daemon.built.telling.found.failing(0)[0] == 1
    flag.touch()
    told.await_all(1)
    wait_until(lambda: latest(daemon)[0].state == "delivered")
    assert latest(daemon)[0].tries == len((tmp_path / "tries").read_text().split())
    assert len(set((tmp_path / "tries").read_text().split())) == 1
    assert daemon.daemon.built.telling.found.failing(0)[0] == 0


def test_what_fails_for_good_is_given_up(make):
    rule = {"command": "exit 1", "retry_delay": 0, "retries": 2, "name": "ops"}
    daemon = make(notify=[rule])
    daemon.submit("true")
    wait_until(lambda: latest(daemon) and latest(daemon)[0].state == "given up")
    assert (latest(daemon)[0].tries, latest(daemon)[0].error) == (3, "exit code 1")


def test_one_that_hangs_delays_nobody_else(make, told):
    """It ends at its time limit, with all that it has started."""
    rules = [
        {"command": "sleep 1000 & sleep 1000", "timeout": 0.4, "retries": 0, "name": "hangs"},
        {"command": told.command, "name": "well"},
    ]
    daemon = make(notify=rules)
    first = daemon.submit(*["true"] * 5)
    assert {m["id"] for m in told.await_all(5)} == set(range(first, first + 5))
    hung = lambda: [row for row in latest(daemon) if row.target.rule == "hangs"]  # noqa: E731
    wait_until(lambda: any(row.state == "given up" for row in hung()))
    assert {row.error for row in hung() if row.error} == {"not done within 0.4 s"}


def test_a_program_that_cannot_be_started_is_told(make):
    daemon = make(notify=[{"command": ["/no/such/program"], "retries": 0}])
    daemon.submit("true")
    wait_until(lambda: latest(daemon) and latest(daemon)[0].state == "given up")
    assert latest(daemon)[0].error == "/no/such/program: no such file or directory"


def test_what_a_command_leaves_behind_keeps_nobody_waiting(make, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    daemon = make(notify=[{"command": f'cat "{gate}" & exit 0'}])
    daemon.submit("true")
    wait_until(lambda: latest(daemon) and latest(daemon)[0].state == "delivered")
    gate.write_text("")


def test_a_flood_is_gathered(make, told, monkeypatch):
    """Five a window go out one by one, what comes beyond them as one that names the first."""
    monkeypatch.setattr(deliveries, "WINDOW_US", 1_000_000)
    daemon = make(workers=8, notify=[{"on": ["failed"], "command": told.command}])
    begun = time.monotonic()
    first = daemon.client.submit(daemon.many("exit 4", 300)).first
    counted = lambda: sum(m["notification"]["count"] for m in told.all)  # noqa: E731
    wait_until(lambda: counted() == 300)
    # What was gathered has waited for the end of its own window.
    windows = int(time.monotonic() - begun) or 1
    singles = [m for m in told.all if m["notification"]["count"] == 1]
    gathered = [m["notification"] for m in told.all if m["notification"]["count"] > 1]
    # On a machine that is so busy that they end in several windows, as many of each.
    assert 5 <= len(singles) <= 5 * windows
    assert 1 <= len(gathered) <= 2 + windows
    assert len(gathered[0]["jobs"]) == 10
    assert f"job {gathered[0]['jobs'][0]} failed: exit code 4" in gathered[0]["text"]
    assert "jobctl restart --failed" in gathered[0]["text"]
    assert first <= min(m["id"] for m in singles)


def test_where_nobody_wants_to_be_told_nothing_happens(make):
    daemon = make()
    bell = daemon.daemon.built.telling.notifications._bell
    daemon.wait(daemon.submit(*["true"] * 10))
    assert not bell.is_rung
    assert daemon.sql("SELECT * FROM settings WHERE name = 'notified'") == []


def test_the_next_daemon_goes_on_where_the_last_one_was(make, told):
    """What happened under no daemon, or without a rule, is told to nobody."""
    daemon = make()
    daemon.wait(daemon.submit("true"))
    rules = [{"command": told.command}]
    daemon = make(notify=rules)
    job = daemon.submit("true")
    assert [m["id"] for m in told.await_all(1)] == [job]
    daemon = make(notify=rules)
    other = daemon.submit("true")
    assert [m["id"] for m in told.await_all(2)] == [job, other]
    daemon = make()
    wait_until(lambda: daemon.sql("SELECT * FROM settings WHERE name = 'notified'") == [])


def test_what_was_being_sent_when_the_daemon_died_is_sent_again(make, told):
    daemon = make(notify=[{"command": "exit 1", "name": "ops"}])
    daemon.submit("true")
    wait_until(lambda: latest(daemon) and latest(daemon)[0].error)
    daemon.close()
    target = Target(rule="ops", to=shell_line(told.command))
    daemon.sql("UPDATE deliveries SET state = 'sending', target = ?", encoder.encode(target))
    make()
    assert [m["notification"]["tries"] for m in told.await_all(1)] == [2]


def test_the_history_is_not_shortened_past_what_was_read(make, told, monkeypatch):
    daemon = make(workers=8, retention={"max_events": 20}, notify=[{"command": "true"}])
    reading = daemon.daemon.built.telling.history._reading
    gate = threading.Event()
    read = reading.read

    def slow(after, limit):
        gate.wait()
        return read(after, limit)

    monkeypatch.setattr(reading, "read", slow)
    jobs = daemon.client.submit(daemon.many("true", 400))
    daemon.wait(*range(jobs.first, jobs.last + 1))
    assert daemon.sql("SELECT COUNT(*) FROM events")[0][0] >= 1200
    gate.set()
    wait_until(lambda: daemon.sql("SELECT COUNT(*) FROM events")[0][0] <= 20)
    found = lambda: sum(row.message.count for row in latest(daemon))  # noqa: E731
    wait_until(lambda: found() == 400)


def test_while_the_store_is_full_nothing_is_sent_and_jobs_go_on(make, told, monkeypatch):
    monkeypatch.setattr("jobd.daemon.notifications.notifications._RETRY_S", 0.1)
    daemon = make(notify=[{"command": told.command}])
    ground = daemon.daemon.built.ground
    monkeypatch.setattr(ground.reserve, "refuse", broken)
    job = daemon.submit("true")
    daemon.wait(job)
    monkeypatch.undo()
    assert [m["id"] for m in told.await_all(1)] == [job]


def broken():
    raise StoreFailed("no space")


def test_a_job_that_is_removed_at_once_is_told_of_all_the_same(make, told):
    """What the rule is about, only the job itself says; it stays until that is known."""
    daemon = make(notify=[{"command": told.command, "tags": ["x"]}])
    for _ in range(5):
        request = submit_of("true")
        asked = structs.replace(request.options, tags=["x"])
        job = daemon.client.submit(structs.replace(request, options=asked)).first
        daemon.wait(job)
        assert daemon.client.rm(ids(job)).done == [job]
    assert len(told.await_all(5)) == 5


def test_retention_leaves_what_is_still_to_be_told(make, told):
    """Also where it keeps hardly any jobs; afterwards it does as ever."""
    rule = {"command": told.command, "min_runtime": 0.001}
    daemon = make(workers=8, retention={"max_jobs": 1}, notify=[rule])
    daemon.client.submit(daemon.many("true", 200))
    wait_until(lambda: daemon.client.status().jobs["completed"] <= 1, 30)
    found = lambda: sum(row.message.count for row in latest(daemon))  # noqa: E731
    wait_until(lambda: found() == 200)


def test_one_damaged_event_stops_no_other(make, told):
    daemon = make(workers=0, notify=[{"command": told.command}])
    first = daemon.submit("exit 3", "exit 3")
    daemon.close()
    daemon.sql(
        "INSERT INTO events (at, job, event, user, data) VALUES (0, ?, 'failed', '', x'5b31')",
        first,
    )
    daemon = make(workers=0, notify=[{"command": told.command}])
    daemon.client.workers(1)
    assert {message["id"] for message in told.await_all(3)} == {first, first + 1}
