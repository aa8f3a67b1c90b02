"""By which name the product is installed: `jobctl` and `jobd` are other projects on PyPI."""

from __future__ import annotations

from typing import Final

DISTRIBUTION: Final = "jobctl-queue"
"""As setup.cfg names it; commands and modules are `jobctl` and `jobd`."""


def how_to_get(extra: str) -> str:
    """The command that installs the libraries of an extra into an environment."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"
