"""The log of what strangers do has a bound, and says what it left out; so has their number."""

import logging
import resource

import pytest

from jobd.daemon.rpc import clients
from jobd.system import rate_limit


def test_of_many_lines_a_hundred_a_minute_are_written_and_the_rest_is_counted(monkeypatch, caplog):
    now = [1000.0]
    monkeypatch.setattr(rate_limit.time, "monotonic", lambda: now[0])
    few = rate_limit.RateLimit(logging.getLogger("test"))
    for number in range(250):
        few.warning("user %s was refused", number)
    assert len(caplog.messages) == 100
    assert caplog.messages[-1] == "user 99 was refused"
    now[0] += 61
    few.warning("again")
    assert caplog.messages[100:] == ["150 more such warnings were left out", "again"]
    now[0] += 61
    few.warning("later")
    assert caplog.messages[102:] == ["later"]


def test_a_flood_of_one_user_leaves_the_lines_of_the_others(caplog):
    few = rate_limit.RateLimit(logging.getLogger("test"), each=3)
    for _ in range(1000):
        few.warning("user %s was refused", 7, by=7)
    few.warning("user %s was refused", 8, by=8)
    assert caplog.messages == ["user 7 was refused"] * 3 + ["user 8 was refused"]


def test_without_a_limit_for_all_each_user_has_lines_and_memory_has_a_bound(caplog):
    few = rate_limit.RateLimit(logging.getLogger("test"), most=None, each=2)
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

    few = rate_limit.RateLimit(logging.getLogger("test"), each=1)
    few.warning("user %s was refused", Costly())
    told = Costly.looks
    for _ in range(100):
        few.warning("user %s was refused", Costly())
    assert Costly.looks == told


@pytest.mark.parametrize(("uid", "shown"), [(0, "root"), (4_000_000_000, "4000000000")])
def test_a_user_is_shown_by_login_or_by_number(uid, shown):
    assert f"{clients._User(uid)}" == shown
    assert str(clients._User(uid)) == shown


@pytest.mark.parametrize(
    ("descriptors", "places"),
    [
        (1, 1), (64, 32), (256, 128), (1024, 768), (20_000, 1000),
        (resource.RLIM_INFINITY, 1000),
    ],
)  # fmt: skip
def test_clients_leave_descriptors_to_the_store_and_to_jobs(descriptors, places):
    assert clients._places(descriptors) == places
