"""The wall clock is set while jobs wait: nothing but the times that are shown follows it."""

import time

from jobd.contract.models import Events, Submitted
from jobd.system import clock
from tests.integration.inside import submit_of

HOURS = (0, 5, -5, 2)


def test_a_jump_of_the_wall_clock_changes_no_order(quiet, monkeypatch):
    true = time.time_ns
    request = submit_of("true")
    for number, hours in enumerate(HOURS, start=1):
        monkeypatch.setattr(clock.time, "time_ns", lambda h=hours: true() + h * 3600 * 10**9)
        given = f"{number:016}".encode()
        first = quiet.ask(request, given, Submitted).first
        assert quiet.ask(request, given, Submitted).first == first == number
    assert quiet.listed() == [1, 2, 3, 4]
    told = quiet.client.events(Events(after=0)).events
    assert [event.job for event in told if event.event == "submitted"] == [1, 2, 3, 4]
    quiet.client.workers(1)
    quiet.wait(1, 2, 3, 4)
    told = quiet.client.events(Events(after=0)).events
    assert [event.job for event in told if event.event == "started"] == [1, 2, 3, 4]
