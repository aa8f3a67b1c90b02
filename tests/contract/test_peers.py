"""Whose number a peer has: in a user namespace one of them may be anybody's."""

import os
import socket

import pytest

from jobd.contract import peers
from jobd.contract.access import AccessConfig
from jobd.contract.errors import NotPermitted
from jobd.contract.peers import Peer
from jobd.daemon.rpc.access import Access

ALL = [(0, 2**32 - 1)]


@pytest.fixture
def namespace(monkeypatch):
    """A function that puts us into a namespace with these users, as one of them."""

    def enter(me, users):
        monkeypatch.setattr(os, "geteuid", lambda: me)
        monkeypatch.setattr(peers, "_map", lambda: users)
        monkeypatch.setattr(peers, "_overflow", lambda: 65534)

    return enter


@pytest.mark.parametrize(
    ("me", "users", "peer", "ours", "anybody"),
    [
        (1000, ALL, 1000, True, False),
        (1000, ALL, 0, True, False),
        (1000, ALL, 1001, False, False),
        (65534, ALL, 65534, True, False),  # the user nobody
        (1000, ALL, 65534, False, False),
        (0, [(0, 1)], 0, True, False),  # unshare --map-root-user
        (0, [(0, 1)], 65534, False, True),
        (65534, [], 65534, False, True),  # unshare --user
        (1000, [(0, 65536)], 65534, False, True),  # most containers
        (65534, [(0, 65536)], 65534, True, True),
    ],
)
def test_whose_a_number_is(namespace, me, users, peer, ours, anybody):
    namespace(me, users)
    assert Peer(1, peer, peer).is_ours() is ours
    assert peers.stands_for_others(peer) is anybody


def test_our_own_map_is_read():
    assert peers.sees_everybody() is (peers._map() == ALL)
    assert peers._is_mapped(os.geteuid())
    assert peers._overflow() > 0


def test_who_may_be_anybody_is_refused_also_where_such_a_one_was_named(namespace, tmp_path):
    namespace(0, [(0, 1)])
    with pytest.raises(NotPermitted, match="cannot be told from inside this user namespace"):
        peers.refuse_stranger(Peer(1, 65534, 65534), tmp_path, owner=65534)


def test_who_may_be_anybody_is_nobody_at_a_shared_socket(namespace, monkeypatch):
    """A daemon of the user nobody, in a namespace: all who are missing there have its number."""
    access = Access(AccessConfig(socket="/x", viewers=["nobody"], admins=["nobody"]))
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        monkeypatch.setattr("jobd.daemon.rpc.access.peer_of", lambda _sock: Peer(1, 65534, 65534))
        namespace(65534, ALL)
        assert access.guest(ours, shared=True) is not None
        namespace(65534, [(0, 65536)])
        assert access.guest(ours, shared=True) is None
        assert access.guest(ours, shared=False) is not None


def test_nobody_is_at_the_end_of_what_is_not_connected():
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(OSError, match="not connected"):
        peers.peer_of(sock)
