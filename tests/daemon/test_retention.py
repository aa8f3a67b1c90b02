"""What wakes the thread that deletes what is too old."""

import threading

from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.retention import Pruner


class Events:
    """A history that is too long; how often it was looked at is counted."""

    def __init__(self):
        self.looks = threading.Semaphore(0)

    def is_long(self, _last):
        return True

    def slice(self):
        self.looks.release()
        return False

    def settle(self):
        pass

    def next_at(self):
        return None


def test_events_that_had_to_stay_until_they_were_read_go_then_whatever_else_is_kept():
    """Nothing happens behind the last of them that would say so."""
    events, notifier = Events(), Notifier()
    pruner = Pruner(None, events, None, Events(), notifier)
    pruner.start()
    try:
        assert events.looks.acquire(timeout=10)
        notifier.released()
        assert events.looks.acquire(timeout=10)
    finally:
        pruner.close()
