"""Where a daemon answers whoever wants numbers: on this machine and nowhere else."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Final

Address = Path | tuple[str, int]
"""A Unix socket, or a loopback address with its port."""
_WANTED: Final = "a loopback address with a port, such as 127.0.0.1:9720, or an absolute path"


def parse(text: str) -> Address:
    """Raises: ValueError (in words; it is something else, or can be reached from elsewhere)."""
    if text.startswith("/"):
        return Path(text)
    host, colon, port = text.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.removeprefix("[").removesuffix("]")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"{_WANTED} is needed, not {text!r}") from None
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{_WANTED} is needed, not {text!r}: a port is from 1 to 65535")
    if not address.is_loopback:
        raise ValueError(
            f"{host} can be reached from other machines, and whoever asks is told all; "
            f"{_WANTED} is needed"
        )
    return str(address), int(port)
