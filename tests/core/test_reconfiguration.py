"""What of another configuration counts at once."""

from jobd.contract.config import Config, from_builtins
from jobd.contract.configured import keys_of
from jobd.core.reconfiguration import differences, in_place

OTHER = from_builtins(
    {
        "daemon": {
            "workers": 7, "engine": "far", "shell": "/bin/bash", "grace": 1, "env_exclude": ["A"],
            "max_output": 5, "max_log": 6, "sync_output": "never", "state_is_private": True,
        },
        "groups": {"new": {"workers": 2}, "bare": {}, "far": {"engine": "far"}},
        "gpus": {"devices": [1], "per_device": 2},
        "access": {"socket": "/x", "viewers": ["root"], "admins": ["root"]},
        "client": {"owner": "root"},
        "retention": {"max_jobs": 3, "failed": {"max_age": 4}},
        "notify": [{"command": "true"}],
        "engine": {"far": {"host": "x"}},
    }
)  # fmt: skip
"""Everything is another one, but what a daemon that has no more to do with it is asked about."""

AT_ONCE = {
    "daemon.workers", "daemon.grace", "daemon.env_exclude", "daemon.max_output", "daemon.max_log",
    "groups.new.workers", "groups.bare", "access.viewers", "access.admins", "client.owner",
    "notify[notify 1].on", "notify[notify 1].command",
}  # fmt: skip


def test_each_change_is_told_with_when_it_counts():
    found = list(differences(Config(), OTHER))
    assert {one.key for one in found if one.counts == "now"} == AT_ONCE
    assert {one.key for one in found} == {
        key for key, value in keys_of(OTHER).items() if keys_of(Config()).get(key) != value
    }
    one = next(one for one in found if one.key == "daemon.workers")
    assert (one.before, one.after) == (3, 7)


def test_what_is_in_place_differs_only_in_what_waits():
    now = in_place(Config(), OTHER)
    assert {one.counts for one in differences(now, OTHER)} == {"restart"}
    assert in_place(now, OTHER) == now
    assert list(differences(OTHER, OTHER)) == []


def test_a_group_on_another_engine_is_not_there_before_that_is():
    assert set(in_place(Config(), OTHER).groups) == {"new", "bare"}
    before = from_builtins({"groups": {"g": {"engine": "far", "workers": 1}}})
    assert {one.key: one.counts for one in differences(before, Config())} == {
        "groups.g.workers": "never", "groups.g.engine": "restart",
    }  # fmt: skip
    moved = from_builtins({"groups": {"g": {"workers": 2}}})
    group = in_place(before, moved).groups["g"]
    assert (group.engine, group.workers) == ("far", 2)
