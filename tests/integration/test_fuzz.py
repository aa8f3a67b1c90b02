"""Whatever stands in a request: an answer, no defect, and nothing changed where it is an error.

Seeded. `FUZZ_ROUNDS=10000` in the environment of the tests makes it so many rounds.
"""

import contextlib
import logging
import os
import random
import socket

import msgspec
import pytest
from rpyc.core import brine, consts

from jobd.contract import wire
from jobd.contract.models import Selector
from jobd.contract.version import PROTOCOL, VERSION
from tests.integration.inside import ME
from tests.integration.test_hostile import HEADER, Raw, values

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "300"))
ENDING = {"shutdown", "renew"}
"""What would end the daemon that the test is about."""
COMMAND = {"argv": [b"true"], "shell": True}
WISH = {"on": ["failed"], "to": {"argv": ["true"]}}
ALL = {"of": "group", "to": {"url": "json://localhost"}}
SELECTOR = {"ids": [[1, 1]]}
EXAMPLES = {
    "submit": {"commands": [COMMAND], "options": {"name": "n", "notify": [WISH]}, "cwd": b"/",
               "umask": 18, "environment": {b"A": b"1"}, "array": [], "when_all": [ALL]},
    "graph": {"nodes": [{"command": COMMAND, "options": {}, "cwd": b"/", "parents": []}],
              "environment": {}},
    "list": {"selector": SELECTOR, "limit": 5, "cursor": None, "running": None},
    "show": {"id": 1, "environment": False},
    "output": {"id": 1, "attempt": 1, "offset": 0, "tail": 3, "wait": 0.0},
    "events": {"selector": SELECTOR, "after": 0, "limit": 10, "wait": 0.0, "written": {1: 3}},
    "wait": {"selector": SELECTOR, "any": False, "wait": 0.0},
    "start": {"selector": SELECTOR},
    "hold": {"selector": SELECTOR},
    "stop": {"selector": SELECTOR, "grace": 1.0, "signal": 15},
    "restart": {"selector": SELECTOR, "environment": None},
    "rm": {"selector": SELECTOR},
    "progress": {"id": 1, "percent": 4.0, "message": "m"},
    "pause": {"selector": SELECTOR, "group": None, "running": False},
    "resume": {"selector": SELECTOR, "group": None, "running": False},
    "edit": {"id": 1, "name": "n", "tags": ["t"], "priority": 5, "group": "default",
             "after": [[1, 1]], "after_any": [[1, 1]], "delay": 1.0, "time_limit": 1.0,
             "retries": 1, "retry_delay": 1.0, "retry_on": [1], "notify": [WISH]},
    "workers": {"workers": 0},
    "groups": {"action": "list", "name": "g", "workers": 1},
    "forget": {},
    "reload": {},
    "configuration": {},
    "metrics": {},
    "status": {"sizes": True},
    "notify": {"to": "ops"},
    "notifications": {"limit": 5, "ids": [1], "wait": 0.0},
    "history": {"states": ["failed"], "groups": ["default"], "users": ["me"], "name": "n*",
                "since": 0.0, "until": 1.0, "after": [1, 1]},
}  # fmt: skip


def whole(value):
    """With every field that a request has, also those that an example leaves as they are."""
    if isinstance(value, msgspec.Struct):
        fields = {name: whole(getattr(value, name)) for name in value.__struct_fields__}
        return {name: field for name, field in fields.items() if field is not msgspec.UNSET}
    return [whole(one) for one in value] if isinstance(value, list | tuple) else value


BODIES = {
    name: whole(msgspec.convert(body, wire.REQUESTS[name])) for name, body in EXAMPLES.items()
}
ODD = (
    None, True, False, -1, 0, 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 1.5, -0.0, 1e308,
    float("inf"), float("nan"), "", "x", "\0", "a\nb", "\x1b[2J", "\u202eevil", "é" * 300,
    "x" * 1_000_000, b"", b"\0", b"\xff\xfe", b"/" * 200_000, [], [None], [[]], [1], [[1]],
    [[1, 999_999_999_999]], [[0, 0]], [[5, 1]], [[1, 1]] * 5000, {}, {"unknown": 1}, {b"A=": b"\0"},
    {"ids": [[1, 2**63]]}, [{"argv": []}], [{"argv": [b""]}], ["a" * 65], ["failed", "nonsense"],
)  # fmt: skip


def mutated(body, dice):
    """One value anywhere in it is another one, or there is one too many or too few."""
    if not isinstance(body, dict | list) or not body or dice.random() < 0.3:
        return dice.choice(ODD)
    if isinstance(body, list):
        place = dice.randrange(len(body))
        return [*body[:place], mutated(body[place], dice), *body[place + 1 :]]
    key = dice.choice(sorted(body, key=repr))
    what = dice.random()
    if what < 0.1:
        return {k: v for k, v in body.items() if k != key}
    if what < 0.2:
        return {**body, dice.choice(["unknown", "__class__", "id", b"raw"]): dice.choice(ODD)}
    return {**body, key: mutated(body[key], dice)}


def places(body, path=()):
    """The way to every value in it."""
    inside = body.items() if isinstance(body, dict) else enumerate(body)
    for key, value in inside:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def put(body, path, value):
    key, *rest = path
    copied = body.copy()
    copied[key] = put(body[key], rest, value) if rest else value
    return copied


def envelope(name, body, **other):
    fields = {"protocol": PROTOCOL, "version": VERSION, "name": name, "body": body, "id": b""}
    return msgspec.msgpack.encode({**fields, **other})


@pytest.fixture
def target(make, caplog):
    """With a job in each state that nothing starts from; whatever it logs is looked at."""
    caplog.set_level(logging.INFO)
    inside = make(workers=1)
    inside.wait(inside.submit("true"), inside.submit("exit 1"))
    inside.client.workers(0)
    inside.submit("true", "true")
    inside.client.hold(Selector(all=True))
    return inside


def on_disk(inside):
    inside.daemon.built.ground.writer.call(lambda: None)
    return inside.sql("SELECT total(id), count(*), group_concat(state || held) FROM jobs"), (
        inside.sql("SELECT count(*) FROM events")
    )


def test_every_request_is_tried():
    assert set(BODIES) | ENDING == set(wire.REQUESTS)


def ask(target, name, body):
    """An answer that is no defect, and nothing has changed if it is an error."""
    before = on_disk(target)
    raw = target.daemon.built.server.dispatch.answer(envelope(name, body), ME)
    error = msgspec.msgpack.decode(raw, type=wire.Reply).error
    if error is not None:
        assert error.kind != "InternalError", f"{name} {body!r:.500}"
        assert on_disk(target) == before, f"{name} {body!r:.500}: {error.message}"
        assert 0 < len(error.message) < 2000, f"{name} {body!r:.500}"
        assert error.message.isprintable(), f"{name} {body!r:.500}: {error.message!a}"


@pytest.mark.parametrize("name", BODIES)
def test_every_field_may_be_odd(target, caplog, name):
    dice = random.Random(name)
    unset = set(wire.REQUESTS[name].__struct_fields__) - set(BODIES[name])
    for path in [*places(BODIES[name]), *((field,) for field in sorted(unset))]:
        for odd in dice.sample(ODD, min(len(ODD), ROUNDS // 25)):
            ask(target, name, put(BODIES[name], path, odd))
    assert target.client.status().running
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("name", BODIES)
def test_what_is_odd_in_a_request_is_an_error_that_changes_nothing(target, caplog, name):
    dice = random.Random(f"{name}1")
    for _ in range(ROUNDS // 5):
        ask(target, name, mutated(BODIES[name], dice))
    assert target.client.status().running
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("seed", range(4))
def test_a_message_with_any_bytes_in_it_ends_one_connection_at_most(target, caplog, seed):
    dice = random.Random(seed)
    names = sorted(BODIES)
    for _ in range(ROUNDS // 4):
        name = dice.choice(names)
        call = (consts.HANDLE_CALL, values(envelope(name, BODIES[name])))
        message = bytearray(brine.I1.pack(consts.MSG_REQUEST) + brine.dump((1, call)))
        for _ in range(dice.randint(1, 8)):
            place = dice.randrange(len(message))
            message[place : place + dice.randint(0, 3)] = dice.randbytes(dice.randint(0, 4))
        header = HEADER.pack(max(0, len(message) + dice.choice([0, 0, 0, -1, 1])), False)
        # It may be let go in the middle of its message.
        with contextlib.suppress(ConnectionError), Raw(target.paths.socket) as raw:
            raw.send(header + bytes(message) + b"\n")
            raw.socket.shutdown(socket.SHUT_WR)
            while raw.socket.recv(65536):
                pass
    assert target.connect().status().running
    defects = [r.getMessage() for r in caplog.records if "a request of" in r.getMessage()]
    assert defects == []


@pytest.mark.parametrize("name", BODIES)
def test_what_is_made_odd_is_right_before(target, name):
    raw = target.daemon.built.server.dispatch.answer(envelope(name, BODIES[name]), ME)
    error = msgspec.msgpack.decode(raw, type=wire.Reply).error
    assert error is None or error.kind in {"Refused", "NotFound"}, error
