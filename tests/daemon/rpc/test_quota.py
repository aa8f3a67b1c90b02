"""Nobody takes more than a share, and whoever waits for one gets it."""

import threading

import pytest

from jobd.contract.call import Caller, Role
from jobd.contract.frames import MAX_FRAME, MAX_SEEING, SMALL
from jobd.daemon.rpc import access
from jobd.daemon.rpc.access import login
from jobd.daemon.rpc.quota import MEMORY, UNWEIGHED, Account, Memory, Quota, place_shares

VIEWER = Caller("v", Role.VIEWER)
OTHER = Caller("w", Role.VIEWER)
ADMIN = Caller("a", Role.ADMIN)


def taken(quota, most, caller, *, shared=True):
    """How many places one user gets."""
    count = 0
    while Account(quota, place_shares(most, caller.user, caller.role, shared=shared)).take(1):
        count += 1
    return count


@pytest.mark.parametrize("most", [1000, 768, 128, 32, 8])
def test_no_viewer_takes_the_places_of_others(most):
    quota = Quota()
    mine = taken(quota, most, VIEWER)
    assert 1 <= mine <= most // 8
    assert taken(quota, most, OTHER) == mine
    assert sum(taken(quota, most, Caller(f"v{n}", Role.VIEWER)) for n in range(50)) >= 1
    for_admins = taken(quota, most, ADMIN)
    assert for_admins >= most // 8
    assert taken(quota, most, ADMIN, shared=False) == most - most // 2


def test_the_fewest_places_are_for_anybody():
    for caller in (VIEWER, ADMIN):
        assert taken(Quota(), 1, caller) == 1
    assert taken(Quota(), 1, ADMIN, shared=False) == 1


def test_what_is_given_back_is_there_for_others():
    quota, shares = Quota(), {"all": 2, "mine": 1}
    first, second, other = (Account(quota, of) for of in (shares, shares, {"all": 2}))
    assert (first.take(1), second.take(1), other.take(1), other.take(1)) == (1, 0, 1, 0)
    first.settle()
    first.settle()
    assert (quota.taken("mine"), quota.taken("all")) == (0, 1)
    assert second.take(1)
    second.settle()
    other.settle()
    assert quota.taken("all") == 0


def test_what_is_refused_takes_nothing():
    quota = Quota()
    assert not quota.take({"all": 10, "mine": 1}, 2)
    assert (quota.taken("all"), quota.taken("mine")) == (0, 0)


def test_the_largest_answer_fits_into_every_share_and_all_viewers_leave_room():
    quota = Quota()
    viewers = [Memory(quota, Caller(f"v{n}", Role.VIEWER)) for n in range(10)]
    assert sum(viewer.take(MAX_FRAME) for viewer in viewers) == 2
    assert not viewers[0].take(SMALL + 1)
    assert viewers[0].take(SMALL)
    assert Memory(quota, ADMIN).take(MAX_FRAME)
    assert quota.taken("all") <= MEMORY


def test_many_threads_take_no_more_than_there_is():
    quota, got = Quota(), []

    def work():
        for _ in range(200):
            account = Account(quota, {"all": 5})
            if account.take(1):
                got.append(quota.taken("all"))
                account.settle()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got
    assert max(got) <= 5
    assert quota.taken("all") == 0


def test_who_knocks_again_and_again_is_looked_up_once(monkeypatch):
    asked = []

    def entry(uid):
        asked.append(uid)
        raise KeyError

    monkeypatch.setattr(access, "_period", lambda: -1)
    monkeypatch.setattr("jobd.daemon.rpc.access.pwd.getpwuid", entry)
    assert {login(99_123) for _ in range(1000)} == {"99123"}
    assert asked == [99_123]
    monkeypatch.setattr(access, "_period", lambda: -2)
    assert login(99_123) == "99123"
    assert asked == [99_123, 99_123]
    access._login.cache_clear()


def test_a_request_of_a_viewer_counts_as_what_it_becomes():
    quota = Quota()
    for caller, length, most in (
        (VIEWER, MAX_SEEING, 20),
        (VIEWER, UNWEIGHED, 1000),
        (ADMIN, MAX_SEEING, 1000),
    ):
        given = sum(Memory(quota, caller).take_request(length) for _ in range(1000))
        assert 1 <= given <= most
        assert (given < 1000) == (most < 1000 or caller is ADMIN)
