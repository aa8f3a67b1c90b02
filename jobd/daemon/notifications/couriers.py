"""Couriers: each delivers one message, in a thread of its own, by a process of its own.

At most so many at a time, and one to a place, so that a destination that hangs takes one courier
and delays nobody but itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from jobd import sender
from jobd.contract.errors import shortage
from jobd.contract.states import exit_code_reason, signal_reason
from jobd.core.transitions import signal_name
from jobd.store.deliveries import Taken

MOST: Final = 8
"""Messages that are being sent at a time."""
_SENDER: Final = os.path.join(os.path.dirname(sender.__file__), "__main__.py")
"""By its path, since without `site` no package is found."""
_SLACK_S: Final = 5.0
"""Seconds that a sender may take beyond its limit, at which it ends itself, until it is killed."""

Order = dict[str, Any]
"""What a sender is told: see `jobd.sender.__main__`."""


class Couriers:
    """Any thread may call."""

    def __init__(self, told: Callable[[Taken, str], object]) -> None:
        """`told`: called by a courier's thread, with why it was not delivered; "": it was."""
        self._told = told
        self._lock = threading.Condition()
        self._under_way: dict[bytes, subprocess.Popen[bytes] | None] = {}
        self._closed = False

    @property
    def busy(self) -> list[bytes]:
        """Places that something is being sent to."""
        with self._lock:
            return list(self._under_way)

    def send(self, taken: Taken, order: Callable[[], Order]) -> None:
        """`order` is made by the courier: what it needs may be on disk. Its place is not busy."""
        with self._lock:
            self._under_way[taken.place] = None
        try:
            threading.Thread(
                target=self._deliver, args=[taken, order], name="courier", daemon=True
            ).start()
        except RuntimeError as error:
            self._back(taken, f"no thread for it: {error}")

    def close(self, seconds: float) -> None:
        """Those who are under way have so long; then they are ended, and their messages wait for
        the next daemon.
        """
        with self._lock:
            self._lock.wait_for(lambda: not self._under_way, seconds)
            self._closed = True
            for process in self._under_way.values():
                if process is not None:
                    process.terminate()
            self._lock.wait_for(lambda: not self._under_way, _SLACK_S)

    def _deliver(self, taken: Taken, order: Callable[[], Order]) -> None:
        begun = time.monotonic()
        try:
            wrong = self._run(taken, json.dumps(order()).encode())
            if wrong and time.monotonic() - begun >= taken.target.timeout:
                wrong = f"not done within {taken.target.timeout:g} s"
        except Exception as error:  # noqa: BLE001 - whatever it is, this message was not delivered
            wrong = shortage(error) or f"{type(error).__name__}: {error}"
        self._back(taken, wrong)

    def _back(self, taken: Taken, wrong: str) -> None:
        try:
            if not (wrong and self._closed):
                self._told(taken, wrong)
        finally:
            with self._lock:
                del self._under_way[taken.place]
                self._lock.notify_all()

    def _run(self, taken: Taken, order: bytes) -> str:
        """Why it was not delivered; empty: it was. Raises: OSError."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-S", _SENDER],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            process_group=0,
        )  # fmt: skip
        with self._lock:
            self._under_way[taken.place] = process
            if self._closed:
                process.terminate()
        try:
            _, said = process.communicate(order, timeout=taken.target.timeout + _SLACK_S)
        except subprocess.TimeoutExpired:
            # Nobody else reaps the sender, so the number is still its own.
            os.killpg(process.pid, signal.SIGKILL)
            _, said = process.communicate()
        with self._lock:
            self._under_way[taken.place] = None
        if process.returncode == 0:
            return ""
        return _reason(said) or f"its sender ended with {process.returncode}"


def _reason(said: bytes) -> str:
    """Of what a sender says."""
    try:
        wrong = json.loads(said)
    except ValueError:
        # The interpreter itself has failed; the last line of its traceback says why.
        return said.decode("utf-8", "replace").strip().rpartition("\n")[2]
    code, words = wrong["exit_code"], wrong["said"]
    if code is None:
        return str(words)
    how = exit_code_reason(code) if code > 0 else signal_reason(signal_name(-code))
    return f"{how}: {words}" if words else how
