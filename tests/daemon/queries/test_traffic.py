"""When long lists make way for the queue, and how."""

import threading
from types import SimpleNamespace

import pytest

from jobd.daemon.queries import traffic as module
from jobd.daemon.queries.traffic import Traffic
from jobd.system.turn import Turn, has_turn
from tests.helpers import wait_until


@pytest.fixture
def now(monkeypatch):
    """The monotonic clock; it stands still."""
    made = [100.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: made[0]))
    return made


def commits(traffic, now, count, pause):
    for number in range(count):
        now[0] += pause if number else 0
        traffic.published(number)


@pytest.mark.parametrize(
    ("count", "pause", "heavy"),
    [(0, 0, False), (4, 0, False), (5, 0, True), (5, 0.02, True), (50, 0.03, False)],
)
def test_it_is_heavy_while_one_commit_follows_the_other(now, count, pause, heavy):
    traffic = Traffic()
    commits(traffic, now, count, pause)
    assert traffic.is_heavy is heavy
    with traffic.way_given():
        assert has_turn() is heavy


def test_it_is_light_again_a_moment_later(now):
    traffic = Traffic()
    commits(traffic, now, 5, 0)
    now[0] += 0.11
    assert not traffic.is_heavy


def test_one_page_is_made_at_a_time_while_it_is_heavy(now):
    traffic, both = Traffic(), []
    commits(traffic, now, 5, 0)

    def look():
        with traffic.way_given():
            both.append(threading.get_ident())

    other = threading.Thread(target=look)
    with traffic.way_given():
        other.start()
        wait_until(lambda: traffic._turn._condition._waiters)
        assert both == []
    other.join(10)
    assert both == [other.ident]


def test_who_takes_turns_already_does_not_rest_twice(now):
    traffic = Traffic()
    commits(traffic, now, 5, 0)
    with Turn().taken(), traffic.way_given():
        assert traffic._turn._holder is None
