"""What engines leave to the next daemon, also to and from versions that knew only one."""

import json

from jobd.daemon import heritage
from jobd.engines.base import Heritage

LOCAL = Heritage({"a" * 32: 7}, json.dumps({"a" * 32: [0.5, 1024]}).encode())
FAR = Heritage({"socket": 9}, b"\x00\xff bytes")


def carried(plan):
    """As from process to process."""
    return json.loads(json.dumps(plan))


def test_each_finds_what_it_left_itself():
    plan = carried(heritage.told({"local": LOCAL, "far": FAR, "none": Heritage()}))
    assert heritage.left_to("local", plan) == LOCAL
    assert heritage.left_to("far", plan) == FAR
    assert heritage.left_to("none", plan) == heritage.left_to("else", plan) == Heritage()


def test_a_supervisor_of_any_version_keeps_the_descriptors_open():
    """All that it knows are the values of `pidfds`."""
    assert sorted(heritage.told({"local": LOCAL, "far": FAR})["pidfds"].values()) == [7, 9]


def test_the_version_before_reads_what_the_local_engine_left():
    plan = carried(heritage.told({"local": LOCAL}))
    assert plan == {"pidfds": {"a" * 32: 7}, "used": {"a" * 32: [0.5, 1024]}, "heritage": {}}


def test_what_the_version_before_left_is_read():
    plan = {"pidfds": {"a" * 32: 7, "b" * 32: 8}, "used": {"a" * 32: [0.5, 1024], "b" * 32: None}}
    left = heritage.left_to("local", carried(plan))
    assert left.descriptors == {"a" * 32: 7, "b" * 32: 8}
    assert json.loads(left.data) == {"a" * 32: [0.5, 1024]}
    assert heritage.left_to("local", {}) == Heritage()
