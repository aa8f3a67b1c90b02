"""What was published against rpyc, and its relatives, tried against the daemon.

CVE-2019-16328: attributes of objects could be set and their methods replaced from outside.
CVE-2024-27758: a netref whose `__array__` the other side calls, and unpickles what comes back.
"""

import contextlib
import os
import pickle
import socket

import pytest
import rpyc
from rpyc.core import consts, vinegar
from rpyc.core.channel import Channel
from rpyc.core.stream import SocketStream

from jobd.contract import wire
from jobd.contract.models import Status
from tests.integration.test_hostile import PATIENCE, Raw, values

ENDS = (EOFError, ConnectionError, TimeoutError, TypeError, ValueError, AttributeError, KeyError)
"""How an attempt may end: hung up on, or told that it is no request."""
ENDED = (*ENDS, vinegar.GenericException)


class Evil:
    """Tells when the other side touches it."""

    def __init__(self):
        self.touched = []

    def __getattribute__(self, name):
        if not name.startswith("__") or name in ("__array__", "__call__", "__reduce__"):
            object.__getattribute__(self, "__dict__")["touched"].append(name)
        return object.__getattribute__(self, name)

    def __array__(self, *_):
        return os.getpid()

    def __call__(self, *_):
        return b""


@pytest.fixture
def attacker(quiet):
    """rpyc's own client, with all that it can do allowed."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(PATIENCE)
    sock.connect(str(quiet.paths.socket))
    allowed = {
        "allow_all_attrs": True, "allow_pickle": True, "allow_setattr": True, "allow_delattr": True,
        "allow_public_attrs": True, "allow_unsafe_attrs": True,
        "sync_request_timeout": PATIENCE, "instantiate_custom_exceptions": True,
    }  # fmt: skip
    connection = rpyc.VoidService()._connect(Channel(SocketStream(sock)), allowed)
    yield connection
    sock.close()
    assert quiet.connect().status().running
    assert quiet.submit("true") >= 1


ATTEMPTS = {
    "root": lambda conn, _: conn.root.answer(b""),
    "modules": lambda conn, _: conn.modules.os.system("true"),
    "getattr": lambda conn, _: conn.sync_request(consts.HANDLE_GETATTR, b"x", "__class__"),
    "setattr": lambda conn, e: conn.sync_request(consts.HANDLE_SETATTR, b"x", "__init__", e),
    "callattr": lambda conn, e: conn.sync_request(consts.HANDLE_CALLATTR, e, "__class__", ()),
    "cmp": lambda conn, e: conn.sync_request(consts.HANDLE_CMP, e, e, "__eq__"),
    "inspect": lambda conn, _: conn.sync_request(consts.HANDLE_INSPECT, ("os", 1, 2)),
    "pickle": lambda conn, _: conn.sync_request(consts.HANDLE_PICKLE, b"x", 2),
    "ctxexit": lambda conn, e: conn.sync_request(consts.HANDLE_CTXEXIT, e, ValueError("x")),
    "instancecheck": lambda conn, e: conn.sync_request(consts.HANDLE_INSTANCECHECK, e, e),
    "netref": lambda conn, e: conn.sync_request(consts.HANDLE_CALL, e),
    "netref called": lambda conn, e: conn.sync_request(consts.HANDLE_CALL, e, (b"",), ()),
    "netref within": lambda conn, e: conn.sync_request(consts.HANDLE_CALL, (b"", (e,))),
    "keywords": lambda conn, e: conn.sync_request(consts.HANDLE_CALL, b"", (("payload", e),)),
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_rpyc_has_no_other_door(attacker, attempt):
    evil = Evil()
    with pytest.raises(ENDED) as caught:
        attempt(attacker, evil)
    assert object.__getattribute__(evil, "__dict__")["touched"] == []
    assert "jobd/" not in str(caught.value)  # no traceback, no path of ours


@pytest.mark.parametrize("where", ["argument", "request"])
def test_a_pickle_is_bytes_like_any_other(quiet, home, where):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(home / "sprung"),)

    pickled = pickle.dumps(Trap())
    with Raw(quiet.paths.socket) as raw:
        handler = consts.HANDLE_CALL if where == "argument" else consts.HANDLE_PICKLE
        raw.request(handler, values(pickled))
        answer = raw.answer()
    assert answer is None or b"sprung" not in repr(answer).encode()
    assert not (home / "sprung").exists()


def test_an_exception_that_is_sent_becomes_none(quiet):
    """Vinegar makes exceptions of names that the other side chooses, importing their modules."""
    made = vinegar.dump(SystemExit, SystemExit(3), None, False, False)
    with Raw(quiet.paths.socket) as raw:
        raw.request(consts.HANDLE_CALL, (consts.LABEL_VALUE, made), kind=consts.MSG_EXCEPTION)
        assert raw.answer() is None
    assert quiet.connect().status().running


def test_one_byte_at_a_time_holds_one_place_and_no_more(quiet):
    message = wire.encode_request(Status())
    with Raw(quiet.paths.socket) as slow, contextlib.ExitStack() as stack:
        sent = []
        slow.send, send = sent.append, slow.send
        slow.call(message)
        for byte in b"".join(sent)[:-1]:
            send(bytes([byte]))
        for _ in range(20):
            client = stack.enter_context(quiet.connect())
            assert client.status().running
        send(b"\n")
        assert slow.answer()[0] == consts.MSG_REPLY
