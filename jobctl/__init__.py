"""jobctl: the command line (and Python API) of the daemon `jobd`.

from jobctl import Client
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobd.client.client import Client
else:

    def __getattr__(name: str) -> object:
        """The client comes with rpyc: whoever does not ask for it need not wait for that."""
        if name != "Client":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from jobd.client.client import Client

        return Client


__all__ = ["Client"]
