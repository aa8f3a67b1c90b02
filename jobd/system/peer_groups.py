"""The supplementary groups of whoever is at the other end of a Unix socket."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from typing import Final

_SO_PEERGROUPS: Final = 59
"""Of <asm-generic/socket.h>, since Linux 4.13."""
_FEW: Final = 256
"""Groups; of more it is asked a second time."""
_libc: Final = ctypes.CDLL(None, use_errno=True)


def peer_groups(sock: socket.socket) -> list[int]:
    """As the peer had them when it connected, however many (unix(7)); nobody else is asked.

    Raises: OSError.
    """
    # Python's own getsockopt has room for 256.
    size = ctypes.c_uint(_FEW * 4)
    while True:
        room = size.value
        found = ctypes.create_string_buffer(room)
        code = _libc.getsockopt(
            sock.fileno(), socket.SOL_SOCKET, _SO_PEERGROUPS, found, ctypes.byref(size)
        )
        if code == 0:
            return list(struct.unpack(f"{size.value // 4}I", found.raw[: size.value]))
        failed = ctypes.get_errno()
        if failed != errno.ERANGE or size.value <= room:
            raise OSError(failed, os.strerror(failed))
