"""Allocations that are kept: in each one attempt after another runs, as long as there are any.

Only what runs is with Slurm: whoever ends leaves its allocation to the next of its kind, which the
daemon chooses then. So the queue, and who is next, stays here to the last moment. An allocation
takes so many attempts, none when it is a minute old, and none behind a signal, which may come late;
it ends by itself when nobody has come for a few seconds.
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import Final, NamedTuple

from jobd.engines.base import Launch
from jobd.engines.slurm import script
from jobd.engines.slurm.attempt_files import AttemptFiles
from jobd.engines.slurm.folders import Folders
from jobd.engines.slurm.notes import Note

FRESH_S: Final = 60.0
"""Seconds in which it takes attempts: so much of Slurm's time limit may be gone for the last."""
_IDLE_S: Final = 1.5
"""Seconds after which it is not tried any more: soon it ends by itself."""
_SHORT_S: Final = 1.0
"""Where one of its kind, no older than that, has ended within as much, another soon does, too."""
_PATIENCE_S: Final = 0.1
"""Seconds that its allocation is waited for then: a new one costs as much as many short attempts,
and takes longer to begin.
"""


class Kind(NamedTuple):
    """What attempts must have in common to share an allocation: all that Slurm is told of them."""

    slots: int
    gpus: int
    options: tuple[str, ...]
    time_limit: float | None

    @classmethod
    def of(cls, launch: Launch) -> Kind:
        return cls(launch.slots, launch.gpus, tuple(launch.options), launch.time_limit)


class Allocation:
    """A job of Slurm in which one attempt after another runs.

    What changes of it does so under the lock of its `Packs`.
    """

    def __init__(
        self, packs: Packs, folder: str, name: str, kind: Kind | None, holder: str
    ) -> None:
        """`folder`: its own; `holder`: the token of the attempt that runs in it."""
        self._packs = packs
        self.folder = folder
        self.name = name
        """What Slurm knows it by."""
        self.kind = kind
        self.holder: str | None = holder
        self.number = 0
        self.turn = 1
        """How many it has taken."""
        self.began: float | None = None
        self.idle_since = 0.0
        self.is_closed = False
        """It takes nobody any more."""
        self.signalled: str | None = None
        """The attempt in it that has been sent a signal."""

    def leave(self, age: float) -> None:
        """As `Packs.left`."""
        self._packs.left(self, age)

    def may_signal(self, token: str) -> bool:
        """As `Packs.may_signal`."""
        return self._packs.may_signal(self, token)

    def close(self) -> None:
        """As `Packs.closes`."""
        self._packs.closes(self)

    def shut(self) -> None:
        """As `Packs.shut`."""
        self._packs.shut(self)


class _Waiting(NamedTuple):
    """An attempt that takes the next allocation of its kind that is left."""

    kind: Kind
    token: str
    given: Future[Allocation]


class Packs:
    """Those that this daemon has begun, and who is in them. Any thread may call."""

    def __init__(self, size: int, most: int | None, files: PackFiles) -> None:
        """`size`: how many attempts one takes. `most`: how many there may be; None: any number."""
        self.size = size
        self.files = files
        self._most = most
        self._lock = threading.Lock()
        self._idle: list[Allocation] = []
        """Those that wait for an attempt, the latest last; some have ended by themselves by now."""
        self._waiting: list[_Waiting] = []
        """In the order in which they came."""
        self._short: dict[Kind, float] = {}
        """When a short one of that kind has ended last."""
        self._found: set[str] = set()
        self._busy = 0

    def taken(self, kind: Kind, token: str) -> Allocation | None:
        """One that waits for such an attempt, and is its own from here on; None: there is none."""
        with self._lock:
            return self._taken(kind, token)

    def awaited(self, kind: Kind, token: str) -> Allocation | None:
        """As `taken`; where one is about to be left, after a moment."""
        with self._lock:
            if (found := self._taken(kind, token)) is not None or not self._is_soon_left(kind):
                return found
            mine = _Waiting(kind, token, Future())
            self._waiting.append(mine)
        with suppress(TimeoutError):
            return mine.given.result(_PATIENCE_S)
        with self._lock:
            if mine.given.done():
                return mine.given.result()
            self._waiting.remove(mine)
        return None

    def _taken(self, kind: Kind, token: str) -> Allocation | None:
        now = time.monotonic()
        self._idle = [one for one in self._idle if now - one.idle_since < FRESH_S]
        for found in reversed(self._idle):
            if found.kind == kind and now - found.idle_since < _IDLE_S:
                self._idle.remove(found)
                found.holder = token
                found.turn += 1
                self._busy += 1
                return found
        return None

    def _is_soon_left(self, kind: Kind) -> bool:
        now = time.monotonic()
        self._short = {one: at for one, at in self._short.items() if now - at < _SHORT_S}
        return kind in self._short

    def found(self, folder: str, note: Note, token: str) -> Allocation:
        """One that an earlier daemon has begun, with this attempt in it: it takes no more."""
        allocation = Allocation(self, folder, note.name, None, token)
        allocation.number, allocation.turn = note.number, note.turn
        allocation.is_closed = True
        with self._lock:
            # It may be asked for it again.
            self._busy += folder not in self._found
            self._found.add(folder)
        return allocation

    def forget_others(self) -> None:
        """Those in which nobody was found end."""
        for folder in {*self.files.names()} - self._found:
            self.files.delete(folder)

    def opens(self) -> Allocation | None:
        """There is one more; what is given is to make room for it, and will not get anybody."""
        with self._lock:
            self._busy += 1
            waiting = len(self._idle)
            if self._most is None or not waiting or self._busy + waiting <= self._most:
                return None
            spare = self._idle.pop(0)
        self.files.delete(spare.folder)
        return spare

    def closes(self, allocation: Allocation) -> None:
        """It takes nobody any more, and ends."""
        with self._lock:
            self._busy -= 1
        self.files.delete(allocation.folder)

    def left(self, allocation: Allocation, age: float) -> None:
        """Its attempt, so many seconds old, has ended: the next may come, if it takes any."""
        now = time.monotonic()
        with self._lock:
            allocation.holder = None
            if age < _SHORT_S and allocation.kind is not None:
                self._short[allocation.kind] = now
            began = allocation.began = allocation.began or now - age
            full = allocation.turn >= self.size or now - began >= FRESH_S
            if not (full or allocation.is_closed):
                allocation.idle_since = now
                self._idle.append(allocation)
                self._busy -= 1
                self._give()
                return
        self.closes(allocation)

    def _give(self) -> None:
        """What was left just now to who waits for it the longest."""
        for waiting in self._waiting:
            if (found := self._taken(waiting.kind, waiting.token)) is not None:
                self._waiting.remove(waiting)
                waiting.given.set_result(found)
                return

    def shut(self, allocation: Allocation) -> None:
        """Nobody comes behind the attempt that is in it: it ends, or is there no more."""
        with self._lock:
            allocation.is_closed = True

    def may_signal(self, allocation: Allocation, token: str) -> bool:
        """Whether this attempt is still in it: then nobody comes behind it any more."""
        with self._lock:
            holds = allocation.holder == token
            if holds:
                allocation.is_closed = True
                allocation.signalled = token
            return holds


class PackFiles(Folders):
    """Those of allocations; a folder is named by the token of its first attempt. All raise OSError.

    An attempt is handed over by one more name for its script, its turn: whoever runs it, or gives
    up waiting by a directory of that name, comes first or second, and never both.
    """

    def __init__(self, shared: str, attempts: AttemptFiles) -> None:
        super().__init__(f"{shared}/packs")
        self._attempts = attempts

    def make(self, folder: str, token: str, size: int) -> bytes:
        """For so many, with the first one; its path."""
        directory = self.folder(folder)
        path = os.fsencode(directory.path)
        with open(directory.file(script.START).make(os.O_WRONLY | os.O_TRUNC), "wb") as file:
            file.write(script.pack_script(path, size))
        self.hand_over(folder, 1, token)
        return path

    def hand_over(self, folder: str, turn: int, token: str) -> bool:
        """Whether it was still there."""
        mine = self._attempts.folder(token).now()
        try:
            its = self.folder(folder).now()
            os.link(script.START, str(turn), src_dir_fd=mine.descriptor, dst_dir_fd=its.descriptor)
        except (FileExistsError, FileNotFoundError):
            return False
        return True
