"""By which name the product is installed: `jobctl` and `jobd` are other projects on PyPI."""

from __future__ import annotations

import os
import sys
from typing import Final

DISTRIBUTION: Final = "jobctl-queue"
"""As setup.cfg names it; commands and modules are `jobctl` and `jobd`."""
_MADE_BY: Final = {
    "pipx_metadata.json": "pipx install --force",
    "uv-receipt.toml": "uv tool install",
}
"""What those leave in an environment that they have made, and how they put an extra into it: a pip
of the shell's would put it somewhere else, or be refused.
"""


def how_to_get(extra: str) -> str:
    """The command that installs the libraries of an extra into this environment."""
    made = (way for mark, way in _MADE_BY.items() if os.path.exists(os.path.join(sys.prefix, mark)))
    return f"{next(made, 'pip install')} '{DISTRIBUTION}[{extra}]'"
