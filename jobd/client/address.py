"""Where the daemon listens, and whose it must be before anything is sent to it.

Without `JOBD_SOCKET` it is our own: only our own user and root may listen there. At `JOBD_SOCKET`
somebody else may, too: the one who was named (`jobctl --owner`, `[client] owner`), else the owner
of the directory that the socket lies in, as long as nobody else can put anything there.
"""

from __future__ import annotations

import functools
import os
import socket
import stat
import time
from pathlib import Path
from typing import Final

from jobd.contract import ownership, paths, peers
from jobd.contract.errors import BadRequest, NotRunning

_DYING_S: Final = 1.0
"""Seconds within which a process that was killed has no socket open any more."""
_LEFT_WITHIN_S: Final = 5.0
"""Seconds for which a socket that nobody listens at counts as that of a daemon being replaced."""


class Address:
    """`path` None: what the environment says. `owner`: the number of a user, None: nobody named."""

    def __init__(self, path: Path | None = None, owner: int | None = None) -> None:
        self._path = path
        self._owner = owner
        self._left_since: float | None = None

    @property
    def path(self) -> Path:
        return self._path or paths.client_socket()

    @property
    def _is_named(self) -> bool:
        return self._path is None and paths.named_socket() is not None

    def connect(self) -> socket.socket:
        """Connected to one who may hear us.

        Raises: NotRunning, NotPermitted (a stranger listens, nothing was sent), BadRequest (an
        owner without `JOBD_SOCKET`), JobdError.
        """
        if self._is_named:
            return self._connect_named(self.path)
        if self._path is None and self._owner is not None:
            raise BadRequest(
                "--owner: says whose daemon listens at JOBD_SOCKET, which is not set; "
                "JOBD_SOCKET=/path/of/socket jobctl --owner USER ..."
            )
        return paths.connect(self.path, owner=self._owner)

    def gone(self) -> NotRunning:
        """That nobody listens any more."""
        if self._is_named:
            return NotRunning(self._nobody(self.path))
        return NotRunning("jobd is not running any more. Start it with: jobd start")

    def refuses(self, peer: peers.Peer) -> bool:
        """Whether a daemon of `peer` that hangs up before it has heard anything does so because of
        who we are.

        It does not hang up on its own user or on root. One that is being replaced, or was killed,
        hangs up, too, and its socket may outlive the connection by a moment; but whoever comes in
        then is not heard any more: the kernel resets that connection, instead of closing it.
        Raises: what `connect` does, but not NotRunning.
        """
        me = os.geteuid()
        if peer.uid == me or (me == 0 and peers.sees_everybody()):
            return False
        try:
            with self.connect() as again:
                return peers.peer_of(again).pid == peer.pid and _stays(again)
        except NotRunning:
            return False

    def is_being_replaced(self) -> bool:
        """Whether a daemon will listen soon where nobody does now.

        Our own lock says so. At `JOBD_SOCKET` of others there is none for us: a daemon that ends
        takes its socket away, one that is replaced leaves it; so may one that was killed.
        """
        held = paths.is_locked(self.path)
        if held is not None or not self._is_named or not self._is_there(self.path):
            return held is True
        now = time.monotonic()
        self._left_since = self._left_since or now
        return now - self._left_since < _LEFT_WITHIN_S

    def has_ended(self) -> bool:
        """Whether the daemon has ended as it should, and none follows: then its socket is taken
        away and its lock free. One that was killed leaves the one, one that is replaced keeps the
        other. Where no lock tells us anything: False.
        """
        return paths.is_locked(self.path) is False and not self._is_there(self.path)

    # --- through JOBD_SOCKET ------------------------------------------------------------------

    def _connect_named(self, path: Path) -> socket.socket:
        """By its directory, which is opened first: so what is checked is what is used."""
        with (
            paths.connecting(path, self._nobody(path)),
            paths.opened_directory(path.parent) as directory,
        ):
            sock = peers.connected(paths.address_in(directory, path.name))
            with paths.closed_on_error(sock):
                self._check(peers.peer_of(sock), path, directory)
        return sock

    def _check(self, peer: peers.Peer, path: Path, directory: int) -> None:
        """Raises: NotPermitted, JobdError (`config.toml`), OSError."""
        if peer.is_ours():
            peers.refuse_led(path)
            return
        peers.refuse_unknown(peer, path)
        owner, why = self._named_owner, ""
        if owner is None:
            try:
                owner = _owner_of(path.parent, directory)
            except ownership.NotOurs as error:
                why = error.message
        peers.refuse_stranger(peer, path, owner, why)

    @staticmethod
    def _nobody(path: Path) -> str:
        return (
            f"jobd is not running: nobody listens at JOBD_SOCKET={path}. "
            "Its owner starts it with: jobd start"
        )

    @functools.cached_property
    def _named_owner(self) -> int | None:
        """On the command line, else in `config.toml`."""
        return _configured() if self._owner is None else self._owner

    def _is_there(self, path: Path) -> bool:
        """Whether a socket lies at `path`; a daemon that ends takes it away."""
        try:
            with paths.opened_directory(path.parent) as directory:
                found = os.stat(path.name, dir_fd=directory, follow_symlinks=False)
                if not stat.S_ISSOCK(found.st_mode):
                    return False
                if found.st_uid in (0, os.geteuid()):
                    return True
                owner = self._named_owner
                return found.st_uid == (
                    _owner_of(path.parent, directory) if owner is None else owner
                )
        except (OSError, ownership.NotOurs):
            return False


def _configured() -> int | None:
    """Whom `[client] owner` names. Raises: JobdError."""
    from jobd.contract import config_file

    name = config_file.load(paths.locate().config).client.owner
    return ownership.number_of(name) if name else None


def _owner_of(path: Path, directory: int) -> int:
    """To whom alone the directory belongs: nobody else, but root and we, can put anything there.

    Raises: NotOurs (others can, and how), OSError.
    """
    found = os.fstat(directory)
    if ownership.others_can_write(found):
        # Also where it is sticky: anybody may have made what lies in it.
        raise ownership.NotOurs(f"other users can write {path}, and nobody was named")
    try:
        flags = os.O_PATH | os.O_DIRECTORY
        way = ownership.open_owned(path, flags, owner=found.st_uid, beside=os.geteuid())
    except ownership.NotOurs as error:
        said = error.message.removeprefix("not permitted: ").partition(";")[0]
        raise ownership.NotOurs(f"{said}, and nobody was named") from error
    same = os.path.samestat(os.fstat(way), found)
    os.close(way)
    if same:
        return found.st_uid
    raise ownership.NotOurs(f"{path} was replaced just now")


def _stays(sock: socket.socket) -> bool:
    """Whether the process that listens lives on: what it has not accepted is reset when it dies."""
    sock.settimeout(_DYING_S)
    try:
        sock.shutdown(socket.SHUT_WR)  # whoever hears us has nothing to wait for
        return sock.recv(1) == b""
    except TimeoutError:
        return True
    except OSError:
        return False
