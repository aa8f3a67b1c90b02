"""Clients that watch the whole queue, many in one process: `jobctl watch`, but for what it prints.

    watchers.py SOCKET COUNT

Prints a line once all are connected, and goes on until it is killed.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from jobd.client import follow
from jobd.client.client import Client
from jobd.contract.models import Events, Selector


def main(socket: str, count: str) -> None:
    connected = threading.Barrier(int(count) + 1)
    for _ in range(int(count)):
        threading.Thread(target=_watch, args=[Path(socket), connected], daemon=True).start()
    connected.wait()
    print("connected", flush=True)
    threading.Event().wait()


def _watch(socket: Path, connected: threading.Barrier) -> None:
    with Client(socket) as client:
        newest = client.events(Events(after=None)).next
        connected.wait()
        for _ in follow.history(client, Selector(), newest, follow=True):
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
