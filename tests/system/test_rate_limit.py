"""The log of what strangers do has a bound, and says what it left out; so has their number."""

import logging

import pytest

from jobd.daemon.rpc import clients
from jobd.system import rate_limit
from jobd.system.timer import Timer

LOG = logging.getLogger("test")


class Clock:
    """A timer whose time passes when the test says so."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        self.due = []
        monkeypatch.setattr(rate_limit.time, "monotonic", lambda: self.now)

    def at(self, when, action):
        self.due.append((when, action))

    def pass_by(self, seconds):
        self.now += seconds
        due = [entry for entry in self.due if entry[0] <= self.now]
        self.due = [entry for entry in self.due if entry[0] > self.now]
        for _, action in due:
            action()


def left_out(count, user):
    return f"{count} more such warnings were left out, the last: user {user} was refused"


def test_of_many_lines_a_hundred_a_minute_are_written_and_the_rest_is_counted(monkeypatch, caplog):
    timer = Clock(monkeypatch)
    few = rate_limit.RateLimit(LOG, timer)
    for number in range(250):
        few.warning("user %s was refused", number)
    assert len(caplog.messages) == 100
    assert caplog.messages[-1] == "user 99 was refused"
    timer.now += 61
    few.warning("again")
    assert caplog.messages[100:] == [left_out(150, 249), "again"]
    timer.now += 61
    few.warning("later")
    timer.pass_by(61)
    assert caplog.messages[102:] == ["later"]


def test_what_a_flood_leaves_out_is_told_once_when_its_minute_is_over(monkeypatch, caplog):
    """Also where nothing of its kind happens ever again; nothing is due before and after."""
    timer = Clock(monkeypatch)
    few = rate_limit.RateLimit(LOG, timer)
    for number in range(100):
        few.warning("user %s was refused", number)
    assert timer.due == []
    timer.pass_by(10)
    for number in range(100, 250):
        few.warning("user %s was refused", number)
    assert len(timer.due) == 1
    timer.pass_by(49)
    assert len(caplog.messages) == 100
    timer.pass_by(1)
    assert caplog.messages[100:] == [left_out(150, 249)]
    assert timer.due == []
    timer.pass_by(61)
    few.tell_left_out()
    assert len(caplog.messages) == 101


def test_of_two_floods_each_is_told(monkeypatch, caplog):
    timer = Clock(monkeypatch)
    few = rate_limit.RateLimit(LOG, timer, each=1)
    for user in (7, 8):
        for _ in range(5):
            few.warning("user %s was refused", user, by=0)
        timer.pass_by(61)
    assert [said for said in caplog.messages if "more" in said] == [left_out(4, 7), left_out(4, 8)]


def test_at_the_end_it_is_told_at_once(monkeypatch, caplog):
    timer = Clock(monkeypatch)
    few = rate_limit.RateLimit(LOG, timer, each=1)
    for _ in range(3):
        few.warning("broken: %s", "one line\nand more")
    few.tell_left_out()
    assert caplog.messages[1] == "2 more such warnings were left out, the last: broken: one line"
    timer.pass_by(61)
    assert len(caplog.messages) == 2


def test_a_flood_of_one_user_leaves_the_lines_of_the_others(caplog):
    few = rate_limit.RateLimit(LOG, Timer(), each=3)
    for _ in range(1000):
        few.warning("user %s was refused", 7, by=7)
    few.warning("user %s was refused", 8, by=8)
    assert caplog.messages == ["user 7 was refused"] * 3 + ["user 8 was refused"]


def test_without_a_limit_for_all_each_user_has_lines_and_memory_has_a_bound(caplog):
    few = rate_limit.RateLimit(LOG, Timer(), most=None, each=2)
    for user in range(10_000):
        few.warning("user %s", user, by=user)
        few.warning("user %s", user, by=user)
    assert len(caplog.messages) == (rate_limit._USERS + 1) * 2
    assert len(few._said) == rate_limit._USERS + 1


def test_what_is_not_said_is_not_made_into_text():
    class Costly:
        looks = 0

        def __str__(self):
            Costly.looks += 1
            return "anna"

    few = rate_limit.RateLimit(LOG, Timer(), each=1)
    few.warning("user %s was refused", Costly())
    told = Costly.looks
    for _ in range(100):
        few.warning("user %s was refused", Costly())
    assert Costly.looks == told


@pytest.mark.parametrize(("uid", "shown"), [(0, "root"), (4_000_000_000, "4000000000")])
def test_a_user_is_shown_by_login_or_by_number(uid, shown):
    assert f"{clients._User(uid)}" == shown
    assert str(clients._User(uid)) == shown
