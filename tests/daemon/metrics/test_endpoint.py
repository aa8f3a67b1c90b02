"""HTTP for those who ask for numbers, where the machine gives nothing to answer them with."""

import errno
import socket
import socketserver
import time

import pytest

from jobd.daemon.metrics import endpoint as module
from jobd.daemon.metrics.endpoint import Endpoint
from tests.helpers import wait_until


@pytest.fixture
def endpoint():
    made = Endpoint(("127.0.0.1", 0), {})
    made.open()
    yield made
    made.close()


def test_without_a_descriptor_it_does_not_listen_without_a_pause(endpoint, monkeypatch):
    tries = []

    def accept(_):
        tries.append(time.monotonic())
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(module, "_SCARCE_S", 0.05)
    monkeypatch.setattr(socketserver.TCPServer, "get_request", accept)
    with socket.create_connection(endpoint._server.socket.getsockname()):
        wait_until(lambda: len(tries) >= 4)
    assert tries[3] - tries[0] >= 3 * 0.05
