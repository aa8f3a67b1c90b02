"""Every request says of itself what client and daemon have to know of it."""

from typing import get_type_hints

import pytest
from msgspec.structs import fields

from jobd.client.client import Client
from jobd.contract import models, wire
from jobd.contract.errors import BadRequest
from jobd.contract.models import (
    About,
    Groups,
    Hold,
    Pause,
    Record,
    Request,
    Restart,
    Resume,
    Rm,
    Selector,
    Show,
    Start,
    Stop,
    View,
    Workers,
)

KINDS = list(wire.REQUESTS.values())
NAMES = {
    "submit", "graph", "list", "show", "output", "events", "wait", "start", "hold", "stop",
    "restart", "rm", "progress", "pause", "resume", "edit", "workers", "groups", "status",
    "shutdown", "renew", "forget", "notify", "notifications", "reload", "configuration", "history",
}  # fmt: skip
"""Names on the wire: other versions know them by these."""
SEE = {
    "list", "show", "output", "events", "wait", "status", "metrics", "notifications", "history",
}  # fmt: skip
"""By these nothing is changed, whatever they ask for, and a viewer may ask for it."""
LOOK = SEE | {"configuration"}
"""By these nothing is changed."""


def an_example(kind):
    """A request of this kind with as little in it as there can be."""
    given = {
        "selector": Selector(),
        "id": 1,
        "cwd": b"/",
        "percent": 0.0,
        "nodes": [],
        "commands": [],
    }
    return kind(**{f.name: given[f.name] for f in fields(kind) if f.required})


def test_a_dry_run_only_looks_and_has_time_to_tell_all_of_it():
    whole = Selector(all=True)
    for kind in (Start, Hold, Stop, Restart, Rm, Pause, Resume):
        real, dry = kind(selector=whole), kind(selector=whole, dry_run=True)
        assert (real.only_looks, dry.only_looks) == (False, True)
        assert real.patience == kind.about.patience < dry.patience


def test_no_request_is_left_out():
    """A record that stands beside the requests, and is none, would be asked for in vain."""
    parts = {
        models.Bundle, models.Command, models.Node, models.Options, models.Selector, Record, Request
    }  # fmt: skip
    found = {
        kind
        for kind in vars(models).values()
        if isinstance(kind, type) and issubclass(kind, Record) and kind not in parts
    }
    assert found == set(KINDS)


def test_the_names_on_the_wire_stay():
    assert set(wire.REQUESTS) >= NAMES
    for name, kind in wire.REQUESTS.items():
        envelope = wire.decode_envelope(wire.encode_request(an_example(kind)))
        assert (envelope.name, kind.wire_name()) == (name, name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_says_everything_about_itself(kind):
    """One that has been given no answer of its own fails here, and not at a client."""
    about = vars(kind).get("about")
    assert isinstance(about, About)
    assert issubclass(about.reply, View)
    assert 0 < about.patience <= 300
    # Whoever is held back outlasts a restart of the daemon.
    assert about.waits == ("wait" in kind.__struct_fields__)
    # What ends the daemon is never sent a second time.
    assert not (about.ends and (about.changes or about.waits or about.viewer))


@pytest.mark.parametrize("kind", KINDS)
def test_the_client_answers_what_the_request_says(kind):
    method = getattr(Client, kind.wire_name())
    assert get_type_hints(method)["return"] is kind.about.reply


def test_what_is_not_said_cannot_be_made():
    for said in ({}, {"reply": View}, {"reply": View, "changes": True}):
        with pytest.raises(TypeError):
            About(**said)


def test_what_says_nothing_about_itself_is_found():
    with pytest.raises(AttributeError):
        Request().about  # noqa: B018


def test_only_these_may_be_asked_by_a_viewer():
    assert {kind.wire_name() for kind in KINDS if kind.about.viewer} == SEE | {"workers", "groups"}


def test_what_only_looks():
    for kind in set(KINDS) - {Workers, Groups}:
        assert an_example(kind).only_looks == (kind.wire_name() in LOOK)
    assert Workers().only_looks
    assert not Workers(workers=0).only_looks
    assert Groups().only_looks
    assert not any(Groups(action=each, name="x").only_looks for each in ("add", "set", "rm"))


def test_what_is_confidential():
    assert Show(id=1, environment=True).confidential == "environments"
    for kind in KINDS:
        assert an_example(kind).confidential == ""


def test_a_text_that_no_message_can_carry_is_a_wrong_request():
    with pytest.raises(BadRequest, match=r"progress: .* is not UTF-8"):
        wire.encode_request(models.Progress(id=1, percent=40.0, message="caf\udce9"))
