"""The version of the product and of the protocol between `jobctl` and the daemon."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
PROTOCOL: Final = 1
"""Raised by one when a request or a reply can no longer be read by the other side."""
