"""A request that waits costs nothing until there is news, or its client is gone."""

import socket
import threading

import pytest

from jobd.contract import frames, wire
from jobd.contract.models import Events, Notifications, Output, Request, Wait, Waited
from jobd.system import presence as module
from tests.helpers import wait_until
from tests.integration.inside import ids
from tests.integration.test_hostile import Raw

LONG_S = 10 * wire.MAX_WAIT
AT_ONCE_S = 5.0
FOLLOWERS = 10

WAITING = {
    "wait": lambda job, last, sent: Wait(selector=ids(job), wait=LONG_S),
    "wait of several": lambda job, last, sent: Wait(selector=ids(job, job + 1), wait=LONG_S),
    "wait --any": lambda job, last, sent: Wait(selector=ids(job, job + 1), any=True, wait=LONG_S),
    "wait --fail-fast": lambda job, last, sent: Wait(
        selector=ids(job), fail_fast=True, wait=LONG_S
    ),
    "wait --running": lambda job, last, sent: Wait(
        selector=ids(job + 1), running=True, wait=LONG_S
    ),
    "logs -f": lambda job, last, sent: Output(id=job, wait=LONG_S),
    "logs -f before the start": lambda job, last, sent: Output(id=job + 1, wait=LONG_S),
    "events -f": lambda job, last, sent: Events(after=last, wait=LONG_S),
    "watch": lambda job, last, sent: Events(after=last, wait=LONG_S, written={job: 0}),
    "notify": lambda job, last, sent: Notifications(ids=[sent], wait=LONG_S),
}


@pytest.fixture
def waiting(make, gate):
    """A function that gives requests that wait, by their names: for a job that runs and says
    nothing, the one behind it, and a message that is on its way.
    """
    daemon = make(workers=1)
    job = daemon.submit(f"read _ <{gate.path}")
    daemon.submit("true")
    wait_until(lambda: daemon.job(job).state == "running")
    sent = daemon.send(f"read _ <{gate.path}")
    wait_until(lambda: daemon.daemon.built.telling.outbox._couriers.busy)
    last = daemon.client.events(Events(after=None)).next
    yield daemon, lambda name: WAITING[name](job, last, sent)
    gate.open(2)


class Asked(Raw):
    """A client that has asked, and waits."""

    def __init__(self, daemon, request):
        super().__init__(daemon.paths.socket)
        self.frame(frames.request(1, wire.encode_request(request)))


@pytest.fixture
def naps(monkeypatch):
    """For how many seconds each thread that serves a client sleeps at most, once it does."""
    found, wait = [], module.Presence.wait

    def noted(presence, woken, seconds):
        found.append(seconds)
        return wait(presence, woken, seconds)

    monkeypatch.setattr(module.Presence, "wait", noted)
    return found


class Hall:
    """What a daemon keeps of its clients."""

    def __init__(self, daemon):
        self._built = daemon.daemon.built
        self._clients = self._built.server.clients

    @property
    def watched(self):
        return len(self._clients.hang_ups)

    def left_behind(self):
        """What is there of clients, but for the one of the tests."""
        notifier, questions = self._built.ground.notifier, self._built.questions
        threads = [each for each in threading.enumerate() if each.name == "client"]
        return {
            "threads": len(threads) - 1,
            "places": self._clients.places.taken("all") - 1,
            "attendees": len(self._built.server.dispatch.attendance._present) - 1,
            "watched": self.watched,
            "waiters": len(notifier._single) + len(notifier._several) + len(notifier._awaited),
            "events": len(notifier._for_events._all) - bool(questions.followers._by_job),
            "followers": len(questions.followers._by_job),
            "crowd": len(questions.queries.events._crowd._waiting),
            "messages": len(self._built.telling.outbox._news),
        }


def test_every_request_that_waits_is_here():
    made = {type(make(1, 1, 1)) for make in WAITING.values()}
    assert made == {kind for kind in Request.__subclasses__() if kind.about.waits}


@pytest.mark.parametrize("name", WAITING)
def test_one_that_hangs_up_is_gone_at_once(waiting, name):
    daemon, request = waiting
    hall = Hall(daemon)
    asked = Asked(daemon, request(name))
    wait_until(lambda: hall.watched == 1)
    asked.socket.close()
    kept = {}

    def is_gone():
        kept.update(hall.left_behind())
        # The thread of the followers may wait for the next event yet.
        return not any(count for what, count in kept.items() if what != "events")

    wait_until(is_gone, AT_ONCE_S, lambda: str(kept))
    assert kept["events"] <= 1


@pytest.mark.parametrize("name", WAITING)
def test_one_that_waits_is_not_woken_by_time(waiting, naps, name):
    """Held back for less, each of them would ask again, and wake the daemon."""
    daemon, request = waiting
    with Asked(daemon, request(name)):
        # Who watches is not told of each line: first it waits for half a second.
        wait_until(lambda: naps and max(naps) > wire.MAX_WAIT - 60)
        assert len(naps) <= 2


@pytest.mark.parametrize("name", WAITING)
def test_one_that_has_only_ended_to_send_is_answered(waiting, gate, name):
    daemon, request = waiting
    hall = Hall(daemon)
    with Asked(daemon, request(name)) as asked:
        wait_until(lambda: hall.watched == 1)
        asked.socket.shutdown(socket.SHUT_WR)
        gate.open(2)
        _, (_, content) = asked.answer()
        assert wire.decode_reply(content, request(name).about.reply)


def test_a_hundred_that_hang_up_at_once_are_gone_at_once(waiting):
    daemon, request = waiting
    hall = Hall(daemon)
    asked = [Asked(daemon, request(name)) for name in WAITING for _ in range(FOLLOWERS)]
    wait_until(lambda: hall.watched == len(asked), 30)
    for each in asked:
        each.socket.close()
    wait_until(lambda: hall.left_behind()["threads"] == 0, 30)
    assert daemon.client.status().running
    assert hall.left_behind()["places"] == 0


def test_whoever_is_sent_away_while_it_waits_goes_at_once(waiting):
    """From the socket for others, when that is closed."""
    daemon, request = waiting
    hall = Hall(daemon)
    clients = daemon.daemon.built.server.clients
    with Asked(daemon, request("logs -f")) as asked:
        wait_until(lambda: hall.watched == 1)
        serving = next(iter(clients.hang_ups._watched.values()))
        clients._others.add(serving._sock)
        clients.close_to_others()
        assert asked.answer() is None
        wait_until(lambda: hall.left_behind()["threads"] == 0, AT_ONCE_S)
        clients._others.clear()


def test_a_client_that_is_gone_keeps_no_daemon_from_leaving(waiting):
    daemon, request = waiting
    attendance = daemon.daemon.built.server.dispatch.attendance
    asked = Asked(daemon, request("wait"))
    wait_until(lambda: attendance.left() >= 1)
    asked.socket.close()
    wait_until(lambda: not [each for each in attendance._present if each.until == float("inf")])


def test_what_it_says_of_a_client_that_is_gone_is_nothing(waiting, caplog):
    daemon, request = waiting
    hall = Hall(daemon)
    asked = Asked(daemon, request("events -f"))
    wait_until(lambda: hall.watched == 1)
    asked.socket.close()
    wait_until(lambda: hall.left_behind()["threads"] == 0, AT_ONCE_S)
    assert [line.message for line in caplog.records if line.levelname != "INFO"] == []


def test_one_of_an_earlier_version_is_answered_when_it_wants_it(waiting):
    """It asks again every few seconds."""
    daemon, _ = waiting
    with Asked(daemon, Wait(selector=ids(1), wait=0.05)) as asked:
        _, (_, content) = asked.answer()
    assert not wire.decode_reply(content, Waited).done
