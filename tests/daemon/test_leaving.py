"""How a daemon makes way for the next one: by its supervisor, or in the place of one that died."""

import logging
import os
from types import SimpleNamespace

import pytest

from jobd import supervisor
from jobd.daemon import __main__ as daemon
from jobd.daemon.shutdown import News
from jobd.engines.base import Heritage

TOKEN = "0123456789abcdef" * 2
PLAN = {
    "state": "/s", "config_path": "/c", "config": {}, "ephemeral": False, "lock_path": "/l",
    "lock": 3, "link": 4, "gate_r": 5, "gate_w": 6,
}  # fmt: skip


class LeftError(Exception):
    """It exits with this code, or is replaced by a supervisor with this plan."""

    def __init__(self, how):
        self.how = how


class Leaving:
    """A daemon of which one sees what it does, in order; `supervised`: its supervisor lives."""

    def __init__(self):
        self.supervised = True
        self.did = []
        self.unsaved = {}
        engines = SimpleNamespace(
            freeze=lambda: self.did.append("freeze"),
            heritage=lambda: {"local": Heritage({TOKEN: 9})},
        )
        self.built = SimpleNamespace(
            ground=SimpleNamespace(engines=engines, ledger=SimpleNamespace(draining=True)),
            execution=SimpleNamespace(runs=SimpleNamespace(unsaved=lambda: self.unsaved)),
            ending=SimpleNamespace(drain_until=77, hear_out=lambda: self.did.append("hear out")),
        )

    def wind_up(self, *, clean):
        self.did.append(f"wind up {clean}")

    def is_cut(self):
        return not self.supervised

    def told(self, ends):
        self.did.append(("unsaved", ends))

    def leaves(self, news):
        link = SimpleNamespace(is_cut=self.is_cut, unsaved=self.told)
        signals = SimpleNamespace(hand_on=lambda: self.did.append("hand on"))
        with pytest.raises(LeftError) as left:
            daemon._leave(self, news, PLAN, link, signals)
        return left.value.how


@pytest.fixture
def leaving(monkeypatch):
    def left(how):
        raise LeftError(how)

    monkeypatch.setattr(os, "_exit", left)
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    monkeypatch.setattr(supervisor, "become_supervisor", left)
    return Leaving()


def test_the_supervisor_starts_the_next_one(leaving):
    assert leaving.leaves(News.RENEW) == supervisor.EXIT_RENEW
    assert leaving.did == ["wind up False", "hear out"]


def test_the_supervisor_is_told_of_ends_that_could_not_be_saved(leaving):
    leaving.unsaved = {TOKEN: 5}
    assert leaving.leaves(News.RENEW) == supervisor.EXIT_RENEW
    assert leaving.did == ["wind up False", "hear out", ("unsaved", {TOKEN: 5})]


def test_where_the_supervisor_has_died_meanwhile_it_becomes_one(leaving):
    """Jobs are its children, and nobody would start the next daemon."""
    leaving.supervised, leaving.unsaved = False, {TOKEN: 5}
    plan = leaving.leaves(News.RENEW)
    assert leaving.did == ["wind up False", "hand on", "hear out", "freeze"]
    assert (plan["gate"], plan["lock"], plan["established"]) == (5, 3, True)
    assert (plan["draining"], plan["drain_until"]) == (True, 77)
    assert (plan["pidfds"], plan["unsaved"]) == ({TOKEN: 9}, {TOKEN: 5})


def test_an_orphan_becomes_one_as_it_is(leaving):
    leaving.supervised = False
    assert leaving.leaves(News.ORPHANED)["pidfds"] == {TOKEN: 9}
    assert leaving.did == ["hand on", "hear out", "freeze"]


def test_who_is_done_needs_nobody_to_follow(leaving):
    leaving.supervised = False
    assert leaving.leaves(News.IDLE) == supervisor.EXIT_CLEAN
    assert leaving.did == ["wind up True"]


def test_one_that_has_not_begun_hands_on_what_it_was_told():
    """Apart from children of the supervisor that has died: their numbers may be others' now."""
    told = {**PLAN, "established": True, "ends": {"7": 1, TOKEN: 2}, "pidfds": {TOKEN: 9}}
    plan = daemon._as_told(told)
    assert plan == {
        **{key: told[key] for key in ("lock", *supervisor.HERITAGE) if key in told},
        "established": True, "gate": 5, "ends": {TOKEN: 2}, "pidfds": {TOKEN: 9},
    }  # fmt: skip
