"""When the time of an attempt is up: told by its age alone, whenever it began."""

import pytest

from jobd.daemon.execution.worker import _TimeLimit


class Times:
    """A timer that goes off when the test says so."""

    def __init__(self):
        self.pauses = []
        self._action = None

    def after(self, seconds, action):
        self.pauses.append(seconds)
        self._action = action
        return self

    def cancel(self):
        self._action = None

    def passes(self):
        action, self._action = self._action, None
        action()

    @property
    def is_armed(self):
        return self._action is not None


@pytest.mark.parametrize("limit", [0.001, 0.05, 3.0])
def test_one_that_waits_elsewhere_has_all_of_its_time_before_it(limit):
    """However short that is, and however long it waits for a node."""
    times, ages, ups = Times(), [0.0], []
    _TimeLimit(times, limit, lambda: ages[0], lambda: ups.append(1))
    for _ in range(3):
        times.passes()
        assert (ups, times.is_armed) == ([], True)
    assert min(times.pauses[1:]) >= 0.05, "it is not looked for again and again"
    ages[0] = limit
    times.passes()
    assert (ups, times.is_armed) == ([1], False)


def test_one_that_is_over_is_looked_at_no_more():
    times = Times()
    limit = _TimeLimit(times, 3.0, lambda: 1.0, lambda: None)
    limit.cancel()
    assert not times.is_armed
