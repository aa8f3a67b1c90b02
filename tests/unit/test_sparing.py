"""The log of what strangers do has a bound, and says what it left out; so has their number."""

import logging
import resource

import pytest

from jobd import service, sparing


def test_of_many_lines_a_hundred_a_minute_are_written_and_the_rest_is_counted(monkeypatch, caplog):
    now = [1000.0]
    monkeypatch.setattr(sparing.time, "monotonic", lambda: now[0])
    few = sparing.Sparing(logging.getLogger("test"))
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


@pytest.mark.parametrize(
    ("descriptors", "places"),
    [
        (1, 1), (64, 32), (256, 128), (1024, 768), (20_000, 1000),
        (resource.RLIM_INFINITY, 1000),
    ],
)  # fmt: skip
def test_clients_leave_descriptors_to_the_store_and_to_jobs(descriptors, places):
    assert service._places(descriptors) == places
