"""Who waits on behalf of a client is woken when that hangs up, and by nothing else that it does."""

import select
import socket
import threading
from contextlib import ExitStack

import pytest

from jobd.system.presence import HangUps, HungUp, Presence, Sleeper, Sleepers
from tests.helpers import wait_until

LONG_S = 60.0


class Served:
    """A client, and the thread that serves it: it waits as often as it is told to."""

    def __init__(self, hang_ups, wait, number=-1):
        """`number`: that our end has, if one of the two gets it."""
        ends = socket.socketpair()
        self.client, self._sock = ends[::-1] if ends[0].fileno() == number else ends
        self.number = self._sock.fileno()
        self.found = []
        self._presence = Presence(self._sock, hang_ups)
        self._thread = threading.Thread(target=self._run, args=[wait])
        self._thread.start()

    def _run(self, wait):
        with self._presence.served():
            try:
                self.found.append(wait())
            except HungUp:
                self.found.append(HungUp)
        self._presence.leave()
        self._sock.close()

    def ended(self):
        self._thread.join(30)
        assert not self._thread.is_alive()
        self.client.close()
        return self.found


@pytest.fixture
def hang_ups():
    made = HangUps()
    yield made
    made.close()


@pytest.fixture
def told(hang_ups):
    """In the place of the listener's thread; how often it was woken."""
    end, ended, woken = *socket.socketpair(), []

    def run():
        poll = select.poll()
        poll.register(hang_ups.fileno(), select.POLLIN)
        poll.register(ended, select.POLLIN)
        while not any(number == ended.fileno() for number, _ in poll.poll()):
            woken.append(1)
            hang_ups.tell()

    thread = threading.Thread(target=run)
    thread.start()
    yield woken
    end.close()
    thread.join(30)
    ended.close()


@pytest.fixture
def serve(hang_ups, told):
    """A function that begins to serve one who waits for what is never to come, or as told."""
    made = []

    def begin(wait=lambda: Sleeper().sleep(LONG_S), number=-1):
        before = len(hang_ups)
        made.append(Served(hang_ups, wait, number))
        wait_until(lambda: len(hang_ups) == before + 1)
        return made[-1]

    yield begin
    for each in made:
        each.client.close()
        each.ended()


def test_whoever_hangs_up_is_waited_for_no_more(serve, hang_ups):
    stays, goes = serve(), serve()
    goes.client.close()
    assert goes.ended() == [HungUp]
    assert (stays.found, len(hang_ups)) == ([], 1)


def test_whatever_else_a_client_does_wakes_nobody(serve, told):
    one = serve()
    one.client.send(b"it asks for something else")
    # It may be answered yet.
    one.client.shutdown(socket.SHUT_WR)
    goes = serve()
    goes.client.close()
    assert goes.ended() == [HungUp]
    assert (one.found, len(told)) == ([], 1)


def test_one_who_is_hung_up_on_has_gone_too(serve):
    one = serve()
    one._sock.shutdown(socket.SHUT_RDWR)
    assert one.ended() == [HungUp]


def test_who_is_woken_by_what_it_waits_for_goes_on(serve):
    sleeper = Sleeper()
    one = serve(lambda: sleeper.sleep(LONG_S))
    sleeper.wake()
    assert one.ended() == [True]


def test_who_waits_again_hears_of_what_happened_in_between(serve, hang_ups, told):
    first, between = Sleeper(), threading.Event()

    def twice():
        assert first.sleep(LONG_S)
        assert between.wait(30)
        return Sleeper().sleep(LONG_S)

    one = serve(twice)
    first.wake()
    one.client.close()
    wait_until(lambda: len(hang_ups) == 0)
    between.set()
    assert one.ended() == [HungUp]


def test_the_number_of_a_socket_is_that_of_another_one_later(serve, hang_ups):
    """The next one is not taken for gone."""
    sleeper = Sleeper()
    one = serve(lambda: sleeper.sleep(LONG_S))
    sleeper.wake()
    assert one.ended() == [True]
    wait_until(lambda: len(hang_ups) == 0)
    others = [serve(number=one.number)]
    while others[-1].number != one.number:
        others.append(serve(number=one.number))
    goes = serve()
    goes.client.close()
    assert goes.ended() == [HungUp]
    assert not any(other.found for other in others)


def test_a_thousand_hang_up_at_once(hang_ups, told):
    gong = Sleepers()
    made = [Served(hang_ups, lambda: gong.sleep_until(bool, LONG_S)) for _ in range(1000)]
    wait_until(lambda: len(gong) == len(hang_ups) == 1000, 60)
    for each in made:
        each.client.close()
    assert all(each.ended() == [HungUp] for each in made)
    assert len(gong) == len(hang_ups) == 0


def test_who_serves_nobody_waits_as_long_as_told():
    assert not Sleeper().sleep(0.0)
    gong, found = Sleepers(), []
    thread = threading.Thread(
        target=lambda: found.append(gong.sleep_until(lambda: bool(has_come), LONG_S))
    )
    has_come = []
    thread.start()
    wait_until(lambda: len(gong) == 1)
    gong.wake()  # it has not come
    has_come.append(1)
    gong.wake()
    thread.join(30)
    assert (found, len(gong)) == ([True], 0)
    assert not gong.sleep_until(bool, 0.0)


def test_once_it_is_closed_nobody_is_watched(hang_ups):
    ours, theirs = socket.socketpair()
    with ExitStack() as stack:
        stack.enter_context(ours)
        stack.enter_context(theirs)
        hang_ups.close()
        presence = Presence(theirs, hang_ups)
        with presence.served():
            assert not Sleeper().sleep(0.0)
        presence.leave()
    assert len(hang_ups) == 0
