"""HTTP for those who ask for numbers: `/metrics` and `/healthz`, on this machine alone.

One thread sleeps until somebody knocks; each who does gets a thread, a few at a time.
"""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final, NamedTuple

from jobd.contract.errors import JobdError
from jobd.contract.listening import Address
from jobd.contract.version import VERSION
from jobd.daemon.rpc.listener import Listener, make_room
from jobd.system import linux

log = logging.getLogger(__name__)
_PRIVATE: Final = 0o600
_MOST: Final = 8
"""Who comes while so many are answered is hung up on."""
_PATIENCE_S: Final = 10.0
"""Seconds of silence after which somebody is hung up on."""
_SCARCE_S: Final = 0.1
"""Seconds until somebody is heard again for whom no descriptor was left."""


class Answer(NamedTuple):
    """What is sent."""

    status: int
    kind: str
    """Its media type."""
    body: bytes


Page = Callable[[str], Answer]
"""Takes what the asker can read, as its `Accept` has it."""


class Endpoint:
    """Opened and closed by the thread that starts the daemon."""

    def __init__(self, address: Address, pages: dict[str, Page]) -> None:
        """`pages`: by their paths."""
        self._address = address
        self._pages = pages
        self._server: _Server | None = None
        self._is_served = self._closed = False

    def take(self) -> None:
        """Whoever comes is answered once it is open. Raises: JobdError (it cannot be had)."""
        try:
            self._server = _Server(_listen(self._address), self._pages)
        except OSError as error:
            # What Python itself refuses, such as too long a path, has no number.
            why = error.strerror or error
            raise JobdError(
                f"[metrics] listen: {_text(self._address)}: {why}; name another one"
            ) from error

    def open(self) -> None:
        """Raises: JobdError (the address was not taken before, and cannot be had)."""
        if self._server is None:
            self.take()
        self._is_served = True
        threading.Thread(
            target=self._serve, args=[self._server], name="metrics", daemon=True
        ).start()

    def close(self) -> None:
        """Nobody is answered any more."""
        self._closed = True
        server, self._server = self._server, None
        if server is None:
            return
        # It wakes the thread that waits there (shutdown(2) of a socket that listens).
        with suppress(OSError):
            server.socket.shutdown(socket.SHUT_RDWR)
        if isinstance(server.socket, Listener):
            server.socket.remove()
        if not self._is_served:
            server.server_close()

    def _serve(self, server: _Server) -> None:
        while not self._closed:
            server.handle_request()
        server.server_close()


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """On TCP or at a path."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, listener: socket.socket, pages: dict[str, Page]) -> None:
        """`listener`: listens already, and is closed with this."""
        super().__init__(("", 0), _Asked, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.pages = pages
        self._places = threading.BoundedSemaphore(_MOST)

    def get_request(self) -> tuple[Any, Any]:
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in linux.SHORTAGES:
                # Whoever has knocked goes on knocking, and would be heard without end.
                time.sleep(_SCARCE_S)
            raise

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401, ARG002 - as socketserver has it
        return self._places.acquire(blocking=False)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the same
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()  # the machine gives no thread
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the same
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the same
        """Somebody has hung up meanwhile, or there is no thread for him: it is no news."""


class _Asked(BaseHTTPRequestHandler):
    """One connection, one answer."""

    server: _Server
    timeout = _PATIENCE_S

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        page = self.server.pages.get(self.path.partition("?")[0], self._elsewhere)
        try:
            answer = page(self.headers.get("Accept", ""))
        except Exception:
            log.exception("%s could not be answered", self.path[:100])
            answer = Answer(500, "text/plain", b"internal error; see: jobd log\n")
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)

    def _elsewhere(self, _accept: str) -> Answer:
        known = " ".join(self.server.pages)
        return Answer(404, "text/plain", f"there is nothing here; see: {known}\n".encode())

    def version_string(self) -> str:
        return f"jobd/{VERSION}"

    def address_string(self) -> str:
        """Somebody at a Unix socket has none."""
        return ""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called there
        log.debug(format, *args)


def _listen(address: Address) -> socket.socket:
    """Raises: OSError, JobdError (others can change the way to the path, or something lies there).

    It waits without end for whoever comes.
    """
    if isinstance(address, Path):
        make_room(address, "[metrics] listen")
        listener: socket.socket = Listener(address, _PRIVATE)
    else:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        listener = socket.create_server(address, family=family, backlog=64)
    listener.setblocking(True)  # noqa: FBT003
    return listener


def _text(address: Address) -> str:
    return str(address) if isinstance(address, Path) else f"{address[0]}:{address[1]}"
