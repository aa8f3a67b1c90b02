"""Whether a node sees the shared directory as this machine does: one of them is asked, by a job.

The answer is a file that the node writes there. While that is there, nobody is asked again: a
directory in which it is seen from here is the one in which a node has written it.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from jobd.contract.directories import Directory
from jobd.engines.base import Away, CannotStart, NoResources
from jobd.engines.slurm.commands import Commands, Seen
from jobd.engines.slurm.script import NOT_SHARED, quoted
from jobd.engines.slurm.verdict import is_over

log = logging.getLogger(__name__)
ANSWER: Final = "answered"
_PATIENCE_S: Final = 20.0
"""Seconds that a file server has to show here what a node has written."""
_AGAIN_S: Final = 30.0
"""Seconds after which it is asked again where the answer was no."""
_LEAVING_S: Final = 2.0
"""Seconds that a question under way is waited for at the end: Slurm may not answer for long."""
_OTHER: Final = "name a directory that all nodes share: [engine.slurm] shared_dir"


class Shared:
    """A thread of its own while it asks; any other may call."""

    def __init__(
        self,
        commands: Commands,
        folder: str,
        instance: str,
        poll_s: float,
        back: Callable[[], object],
    ) -> None:
        """`folder`: of this instance, in the shared directory. `back`: called when it is known."""
        self._commands = commands
        self._directory = Directory(folder)
        self._name = f"jobd-check-{instance}"
        self._poll_s = poll_s
        self._back = back
        self._changed = threading.Condition()
        self._known = self._closed = False
        self._why = self._unknown = f"whether a node has {folder} is not known yet"
        self._not_before = 0.0
        self._thread: threading.Thread | None = None

    def require(self) -> None:
        """At once. Raises: Away (it is not known yet, or it is not so; it is asked meanwhile)."""
        if self._known:
            return
        try:
            self._known = self._is_answered()
        except OSError as error:
            raise Away(f"{self._directory.path}: {error.strerror}") from error
        if not self._known:
            self._ask()
            raise Away(self._why)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(_LEAVING_S)
        self._directory.release()

    def _ask(self) -> None:
        """Unless somebody does already, or has been told no just now."""
        with self._changed:
            if self._thread is None and not self._closed and time.monotonic() >= self._not_before:
                self._thread = threading.Thread(target=self._run, name="slurm shared", daemon=True)
                self._thread.start()

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        why: str | None = "internal error, see jobd log"
        again_s = _AGAIN_S
        try:
            why = self._asked()
        except Away as error:
            # Nobody has said no: Slurm may be there again at any time.
            why, again_s = str(error), self._poll_s
        except (CannotStart, NoResources) as error:
            why = str(error)
        except OSError as error:
            why = f"{error.filename or self._directory.path}: {error.strerror}"
        except Exception:
            log.exception("whether a node has %s cannot be asked", self._directory.path)
        with self._changed:
            self._thread = None
            self._why = why or self._why
            if why is not None:
                self._not_before = time.monotonic() + again_s
        if why is None:
            self._back()

    def _asked(self) -> str | None:
        """What is wrong; None: nothing, or nobody wants to know any more.

        Raises: Away, CannotStart, NoResources, OSError.
        """
        token = secrets.token_hex(8)
        file = self._directory.file("asked")
        with open(file.make(os.O_WRONLY | os.O_TRUNC), "w", encoding="ascii") as opened:
            opened.write(token)
        self._commands.cancel(self._name)  # of a daemon that was killed
        number = self._commands.submit(self._name, self._script(token), ["--time=5"])
        self._commands.release(self._name)
        seen = self._ended(number)
        if seen is None or self._answered_in_time(seen):
            return None
        return self._complaint(seen)

    def _ended(self, number: int) -> Seen | None:
        """None: nobody wants to know any more. Raises: Away."""
        first = True
        while first or self._waited():
            first = False
            found = [seen for seen in self._commands.listing() if seen.number == number]
            if not found or is_over(found[0]):
                return found[0] if found else Seen(number, self._name, "forgotten", 0)
            if not self._not_before:
                state = f"{found[0].state}, {found[0].reason}".lower()
                self._why = f"{self._unknown}; Slurm job {number} asks: {state}"
        with suppress(Away):
            self._commands.cancel(self._name)
        return None

    def _answered_in_time(self, seen: Seen) -> bool:
        began = time.monotonic()
        while not self._is_answered():
            said_no = os.waitstatus_to_exitcode(seen.status) != 0
            if said_no or time.monotonic() - began > _PATIENCE_S or not self._waited():
                return False
        return True

    def _waited(self) -> bool:
        """For a while; False: nobody wants to know any more."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._closed, self._poll_s)

    def _complaint(self, seen: Seen) -> str:
        folder, node = self._directory.path, seen.node or "a node"
        if seen.state not in ("COMPLETED", "FAILED"):
            return f"Slurm job {seen.number}, which asks whether {node} has {folder}: {seen.state}"
        match os.waitstatus_to_exitcode(seen.status):
            case 0:
                what = f"what {node} writes into {folder} is not seen here"
            case code if code == NOT_SHARED:
                what = f"{node} does not have {folder} as it is here"
            case _:
                what = f"{node} cannot write into {folder}"
        log.warning("%s; %s", what, _OTHER)
        return f"{what}; {_OTHER}"

    def _is_answered(self) -> bool:
        """Raises: OSError."""
        try:
            self._directory.file(ANSWER).look()
        except FileNotFoundError:
            return False
        return True

    def _script(self, token: str) -> bytes:
        return _SCRIPT % {
            b"folder": quoted(os.fsencode(self._directory.path)),
            b"token": token.encode(),
            b"code": NOT_SHARED,
        }


_SCRIPT: Final = b"""\
#!/bin/sh
cd %(folder)s && [ "$(cat asked)" = %(token)s ] || exit %(code)d
umask 077
echo "$SLURMD_NODENAME" >answered.new && { sync answered.new; mv answered.new answered; }
"""
