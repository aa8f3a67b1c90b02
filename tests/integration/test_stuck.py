"""`on = ["stuck"]`: what `status` calls stuck, told once when it has come to be so."""

import pytest
from msgspec import structs

from jobctl.actions import diagnosis
from jobd.contract.models import Pause, Resume, Selector
from jobd.daemon.notifications import stuck
from tests.helpers import wait_until
from tests.integration.inside import ids, submit_of
from tests.integration.test_notifications import Told


@pytest.fixture
def told(tmp_path, monkeypatch):
    monkeypatch.setattr(stuck, "_SETTLE_S", 0.1)
    return Told(tmp_path / "told")


def rule(told, **filters):
    return {"on": ["stuck"], "command": told.command, "name": "ops", **filters}


def submit(daemon, line="true", **options):
    request = submit_of(line)
    asked = structs.replace(request.options, **options)
    return daemon.client.submit(structs.replace(request, options=asked)).first


def titles(told):
    return [message["notification"]["title"] for message in told.all]


def test_what_status_calls_stuck_is_told_once(make, told):
    daemon = make(notify=[rule(told)])
    job = submit(daemon, hold=True)
    (message,) = told.await_all(1)
    assert (message["id"], message["state"]) == (job, "pending")
    found = diagnosis.find(daemon.client, daemon.client.status()).stuck
    assert [entry.why for entry in found] == ["held"]
    assert titles(told) == [f"stuck: job {job}: held"]
    assert f"what helps: {found[0].hint}" in message["notification"]["text"]
    daemon.client.pause(Pause(group="default"))
    other = submit(daemon)
    told.await_all(2)
    assert titles(told)[1] == f"stuck: job {other}: group default is paused"


def test_it_is_told_again_once_it_was_not_so(make, told):
    daemon = make(notify=[rule(told)])
    job = submit(daemon, "sleep 60")
    wait_until(lambda: daemon.job(job).state == "running")
    for count in (1, 2):
        daemon.client.pause(Pause(selector=ids(job)))
        told.await_all(count)
        daemon.client.resume(Resume(selector=ids(job)))
        wait_until(lambda: daemon.daemon.built.telling.found.stuck() == {})
    assert titles(told) == [f"stuck: job {job}: paused"] * 2
    daemon.client.stop(ids(job), grace=0.1)


def test_the_next_daemon_does_not_tell_it_again(make, told):
    daemon = make(notify=[rule(told)])
    first = submit(daemon, hold=True)
    told.await_all(1)
    daemon = make(notify=[rule(told)])
    second = submit(daemon, hold=True)
    told.await_all(2)
    assert titles(told) == [f"stuck: job {job}: held" for job in (first, second)]


@pytest.mark.parametrize(
    ("filters", "is_told"),
    [
        ({"groups": ["default"]}, True),
        ({"groups": ["other"]}, False),
        ({"states": ["running"]}, False),
    ],
)
def test_a_rule_is_about_some_jobs(make, told, filters, is_told):
    daemon = make(groups={"other": {}}, notify=[rule(told, **filters), rule(told, name="all")])
    submit(daemon, hold=True)
    told.await_all(2 if is_told else 1)
    rules = {message["notification"]["rule"] for message in told.all}
    assert rules == ({"ops", "all"} if is_told else {"all"})


def test_a_queue_without_workers_is_stuck(make, told):
    daemon = make(workers=0, notify=[rule(told), rule(told, groups=["default"], name="choosy")])
    submit(daemon)
    (message,) = told.await_all(1)
    assert message["notification"]["title"] == "stuck: nothing starts: there are no workers"
    assert "what helps: jobctl workers 3" in message["notification"]["text"]


def test_where_nothing_happens_nothing_is_looked_at(make, told):
    daemon = make(notify=[rule(told)])
    submit(daemon, hold=True)
    told.await_all(1)
    watch = daemon.daemon.built.telling.history._stuck
    wait_until(lambda: watch.left is None)
    assert daemon.client.status().jobs["pending"] == 1
    assert daemon.client.hold(Selector(all=True)).done == []
