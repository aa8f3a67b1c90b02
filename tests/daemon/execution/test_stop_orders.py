"""When KILL is due: by a clock that nobody sets, also for the daemon that comes later."""

import time

import pytest

from jobd.daemon.execution.stop_orders import deadline
from jobd.store.records import StopOrder
from jobd.system import clock
from jobd.system.clock import boot_us


def order(grace, ago=0.0):
    return StopOrder("by user", 15, grace, boot_us() - int(ago * 1e6))


@pytest.mark.parametrize(
    ("grace", "ago", "left"),
    [(10, 0, 10), (10, 4, 6), (10, 40, 0), (0, 0, 0), (10, -3600, 10)],
)
def test_an_order_keeps_its_time(grace, ago, left):
    before = time.monotonic()
    due = deadline(order(grace, ago))
    assert before + left - 0.01 <= due <= time.monotonic() + left


def test_a_jump_of_the_wall_clock_moves_nothing(monkeypatch):
    given = order(10)
    fine = time.time_ns
    for jump in (-3600, 3600):
        monkeypatch.setattr(clock.time, "time_ns", lambda jump=jump: fine() + jump * 10**9)
        assert 9 < deadline(given) - time.monotonic() <= 10


def test_the_earlier_of_two_orders_counts():
    assert order(10, ago=5).due < order(10).due < order(60, ago=5).due
