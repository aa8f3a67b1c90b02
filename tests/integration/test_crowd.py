"""Many who wait for whatever happens: what one of them is told is made once for all."""

import threading

from jobd.contract import wire
from jobd.contract.models import EventPage, Events
from tests.helpers import wait_until

EYES = 20
JOBS = 60


class Eye:
    """Waits for everything in a thread of its own."""

    def __init__(self, daemon, after):
        self.seen = []
        self._client = daemon.connect()
        self._thread = threading.Thread(target=self._run, args=[after])
        self._thread.start()

    def _run(self, after):
        while len(self.seen) < JOBS:
            page = self._client.events(Events(after=after, wait=20.0, follows=True))
            self.seen += [event.job for event in page.events]
            after = page.next

    def join(self):
        self._thread.join(60)
        return self.seen


def test_what_many_are_told_is_read_and_encoded_once(quiet, monkeypatch):
    quiet.submit("true")  # something is left to finish
    after = quiet.client.events(Events(after=None)).next
    ground, read, encoded = quiet.daemon.built.ground, [], []
    events, encode = ground.reader.events, wire.encode_reply

    def reading(*asked):
        read.append(asked)
        return events(*asked)

    def encoding(view):
        if isinstance(view, EventPage):
            encoded.append(view)
        return encode(view)

    monkeypatch.setattr(ground.reader, "events", reading)
    monkeypatch.setattr(wire, "encode_reply", encoding)
    crowd = quiet.daemon.built.questions.queries.events._crowd
    eyes = [Eye(quiet, after) for _ in range(EYES)]
    wait_until(lambda: len(crowd._waiting) == EYES)
    jobs = [quiet.submit("true") for _ in range(JOBS)]
    assert [eye.join() for eye in eyes] == [jobs] * EYES
    # However slow the machine is: once an event at most, and some more before all are in step. Two
    # threads may come to encode the same.
    assert len(read) <= JOBS + EYES
    assert len(encoded) <= 2 * (JOBS + EYES)
