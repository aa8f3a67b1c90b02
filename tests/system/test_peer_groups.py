"""The groups of a peer, as the kernel has them."""

import os
import socket
import subprocess
import sys

import pytest

from jobd.system import peer_groups as module
from jobd.system.peer_groups import peer_groups

CONNECTS = """
import os, socket, sys
os.setgroups(range(int(sys.argv[2])))
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
sock.recv(1)
"""


def test_of_ourselves_they_are_ours():
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert sorted(peer_groups(ours)) == sorted(os.getgroups())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may choose its groups")
@pytest.mark.parametrize("count", [0, 1, 256, 257, 5000])
def test_however_many_they_are(tmp_path, count):
    path = str(tmp_path / "sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        peer = subprocess.Popen([sys.executable, "-c", CONNECTS, path, str(count)])
        with listening.accept()[0] as sock:
            assert peer_groups(sock) == list(range(count))
    assert peer.wait(30) == 0


def test_what_cannot_be_told_is_an_error(monkeypatch):
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    theirs.close()
    monkeypatch.setattr(module, "_SO_PEERGROUPS", 9999)
    with ours, pytest.raises(OSError, match="Protocol not available"):
        peer_groups(ours)
