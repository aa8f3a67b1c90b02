"""`notify --test`, `notifications` and `status`: what became of messages, and who may see what."""

import json
import os

import pytest
from msgspec.structs import asdict

from jobctl.cli import run
from jobd.client import follow
from jobd.contract import wire
from jobd.contract.call import Caller, Role
from jobd.contract.errors import BadRequest, NotFound, NotPermitted, NotRunning
from jobd.contract.models import (
    DaemonStatus,
    Deliveries,
    Notifications,
    Notified,
    Notify,
    Status,
)
from tests.helpers import wait_until
from tests.integration.test_notifications import Told, latest

VIEWER = Caller("guest", Role.VIEWER)


@pytest.fixture
def told(tmp_path):
    return Told(tmp_path / "told")


def test_a_rule_is_tried_and_nothing_of_it_is_a_job(make, told, capfd):
    daemon = make(
        notify=[
            {"name": "ops", "command": told.command, "states": ["failed"]},
            {"name": "bad", "command": "echo no way >&2; exit 5"},
        ]
    )
    assert run(["notify", "--test", "ops"], daemon.client) == 0
    assert capfd.readouterr().out.startswith("ops: cd ")
    (message,) = told.await_all(1)
    assert "id" not in message
    assert message["notification"]["on"] == "test"
    assert run(["notify", "--test"], daemon.client) == 1
    shown = capfd.readouterr()
    assert "ops: " in shown.out
    assert "bad: echo no way >&2; exit 5: not delivered: exit code 5: no way" in shown.err
    assert run(["notify", "--test", "--json"], daemon.client) == 1
    states = {one["rule"]: one["state"] for one in json.loads(capfd.readouterr().out)}
    assert states == {"ops": "delivered", "bad": "given up"}


def test_what_cannot_be_tried(daemon, capfd):
    for to, kind in (("", NotFound), ("ops", NotFound), ("json://a b", BadRequest)):
        with pytest.raises(kind, match="--test: "):
            daemon.client.notify(to)
    assert run(["notify"], daemon.client) == 2
    assert "jobctl notify --test" in capfd.readouterr().err
    assert run(["notify", "--test", "ops"], daemon.client) == 1
    assert "config.toml has no [[notify]]" in capfd.readouterr().err


def test_a_test_that_is_asked_for_again_is_sent_once(make, told):
    daemon = make(notify=[{"name": "ops", "command": told.command}])
    first = daemon.ask(Notify(to="ops"), b"x" * 16, Notified)
    assert daemon.ask(Notify(to="ops"), b"x" * 16, Notified) == first
    follow.until_delivered(daemon.client, first.ids)
    assert len(told.all) == 1


def test_the_latest_are_listed(make, told, capfd):
    rules = [
        {"name": "ops", "command": told.command},
        {"name": "bad", "command": "echo no way >&2; exit 5", "retries": 1000},
    ]
    daemon = make(notify=rules)
    assert run(["notifications"], daemon.client) == 0
    assert "no messages" in capfd.readouterr().out
    job = daemon.submit("exit 3", name="train")
    wait_until(lambda: [row for row in latest(daemon) if row.error])
    wait_until(lambda: [row for row in latest(daemon) if row.state == "delivered"])
    assert run(["notifications"], daemon.client) == 0
    head, *rows = capfd.readouterr().out.splitlines()
    assert head.split() == ["ID", "AT", "STATE", "TRIES", "RULE", "TO", "MESSAGE", "ERROR"]
    (bad,) = [row for row in rows if " bad " in row]
    assert "waiting" in bad
    assert bad.endswith(f"job {job} (train) failed: exit code 3  exit code 5: no way")
    assert run(["notifications", "-n", "1", "--json"], daemon.client) == 0
    (one,) = json.loads(capfd.readouterr().out)
    assert (one["job"], one["count"], one["on"]) == (job, 1, "failed")
    assert run(["status"], daemon.client) == 0
    assert "1 message not delivered: exit code 5: no way" in capfd.readouterr().out
    assert run(["status", "--json"], daemon.client) == 0
    assert json.loads(capfd.readouterr().out)["notifications_failing"] == 1


def as_viewer(daemon, request, kind):
    answer = daemon.daemon.built.server.dispatch.answer(wire.encode_request(request), VIEWER)
    return wire.decode_reply(answer, kind)


def test_a_viewer_sees_how_far_they_have_come_and_nothing_of_where(make):
    daemon = make(notify=[{"name": "bad", "command": "echo hidden-word >&2; exit 5"}])
    daemon.submit("true")
    wait_until(lambda: latest(daemon) and latest(daemon)[0].error)
    (one,) = as_viewer(daemon, Notifications(), Deliveries).notifications
    status = as_viewer(daemon, Status(), DaemonStatus)
    assert (one.rule, one.to, one.tries) == ("bad", "", 1)
    assert status.notifications_failing == 1
    assert "hidden" not in str(asdict(one)) + str(asdict(status))
    with pytest.raises(NotPermitted):
        as_viewer(daemon, Notify(to="bad"), Notified)


def test_whoever_waits_for_one_is_told_when_the_daemon_leaves(make, tmp_path):
    os.mkfifo(gate := tmp_path / "gate")
    daemon = make(notify=[{"name": "slow", "command": f'cat "{gate}"'}])
    (number,) = daemon.client.notify("slow").ids
    outbox = daemon.daemon.built.telling.outbox
    wait_until(lambda: outbox._couriers.busy)
    outbox.dismiss()
    with pytest.raises(NotRunning):
        daemon.ask(Notifications(ids=[number], wait=20.0), kind=Deliveries)
    gate.write_text("")
