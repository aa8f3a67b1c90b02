"""What attempts leave behind, read through the engine that ran them: no word here says where it is.

An engine has one workspace: the daemon's own directories on this disk (`jobd.outputs.on_disk`), a
directory that other machines share, or whatever else it reads from. It holds an attempt's output,
which stays, and its report (`JOBD_PROGRESS`) and its script, which stay only while it runs.
"""

from __future__ import annotations

import logging
from collections.abc import (
    Callable,
    Collection,
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from jobd.contract.errors import NotFound
from jobd.outputs.patience import Patience

log = logging.getLogger(__name__)
Wake = Callable[[], object]


class Found(NamedTuple):
    """A piece of an output."""

    data: bytes
    offset: int
    """Where it begins."""
    next: int
    """Where the one behind it begins: further on than `data` is long where something was cut."""
    last: bool
    """There is nothing behind it, just now."""
    clipped: bool = False
    """It was to begin with a line that is longer than is given of one."""
    anew: bool = False
    """What was before the offset asked for is there no more, and this is from the begin."""


class Stored(NamedTuple):
    """How an output lies where it lies, just now."""

    path: str
    kept: int
    """Bytes of it that are kept, as they were printed."""
    room: int
    """Bytes that they take: fewer once it is compressed."""


class NotCuttable(Exception):  # noqa: N818 - named like the reason
    """The middle of an output cannot be given up where it lies; the text says why."""


class Growing(Protocol):
    """The end of what may be written to, read only when it has been. For one thread at a time."""

    def news(self) -> bytes | None:
        """Its end, or None if it is as it was, or not there."""

    def forget(self) -> None:
        """Whatever it is now is news."""


class Output(Protocol):
    """What an attempt has printed. Any thread may ask, also while it runs."""

    @property
    def path(self) -> str:
        """Where it lies, for people; nothing is opened by it."""

    @property
    def watched(self) -> Path | None:
        """A file of this machine of which the kernel tells each write (inotify(7)).

        None: it does not, and `watch` is asked in its place.
        """

    def watch(self, wake: Wake) -> Wake:
        """Call `wake` (brief, from any thread) whenever more may have been written from now on.

        What is given ends that. Only where `watched` is None. Raises: OSError (not just now).
        """

    def piece(self, offset: int, tail: int | None, *, missing_ok: bool, seen: bytes = b"") -> Found:
        """What is at `offset`, or from so many lines before the end on.

        `seen`: the last bytes that were read before `offset`; where they, or so many bytes at all,
        are there no more, it begins anew.

        Raises: NotFound (it is gone; with `missing_ok` it counts as empty), OSError.
        """

    def has_more(self, offset: int) -> bool:
        """Whether there is anything behind `offset`, without a look at what; False where it cannot
        be read.
        """

    def end(self, size: int) -> bytes:
        """Its last bytes, `size` at most; b"" where there is none."""

    def begin(self, size: int) -> bytes:
        """Its first bytes; b"" where there is none."""

    def growing(self, window: int) -> Growing:
        """Its last bytes, `window` at most, whenever there are others."""

    def size(self) -> int:
        """Bytes that are kept of it while it is written, and at its end; 0 where there is none."""

    def stored(self) -> Stored:
        """Where and how it lies by now: it may have been compressed since it was written."""

    def was_emptied(self) -> bool:
        """Whether it is empty and was not always, as far as can be seen."""

    def cut(self, limit: int, *, final: bool) -> None:
        """Give up the middle of what is over the limit in bytes; `final`: it grows no more.

        Raises: NotCuttable (never here), OSError (not just now).
        """


class Workspace(Protocol):
    """Where the attempts of one engine leave what they leave. Any thread may ask.

    `output_of`, `report_path` and `report_of` look at nothing; the rest may take its time.
    """

    @property
    def at_risk(self) -> bool:
        """A power cut of this machine may take what is not brought to the disk (`sync`) by then."""

    @property
    def root(self) -> Path | None:
        """A directory, of this machine or mounted here, that all its outputs lie in; None: none."""

    def output_of(self, job: int, attempt: int) -> Output: ...

    def report_path(self, job: int, attempt: int) -> str:
        """The `JOBD_PROGRESS` of an attempt, as the attempt itself reaches it."""

    @property
    def reports(self) -> Path | None:
        """A directory of this machine that all reports are written in, and of which the kernel
        tells each write (inotify(7)). None: they have to be looked at.
        """

    def report_of(self, job: int, attempt: int, window: int) -> Growing:
        """What it has written there; `window`: as for `Output.growing`."""

    def tidy(self, job: int, attempt: int, program: bytes | None) -> None:
        """The attempt is over and recorded: only its output stays.

        `program`: what its script was named by; None: it had none. What cannot be deleted stays.
        """

    def sweep(self, running: Container[int]) -> None:
        """Tidy up after jobs that do not run any more; a daemon was killed. Raises: OSError."""

    def make_anew(self, job: int, attempt: int) -> None:
        """An output is there, and empty where even its name was lost. Raises: OSError."""

    def delete(self, job: int, attempt: int) -> None:
        """Its output, if it is here. What cannot be deleted stays, and the log says so."""

    def delete_empty_folders(self, jobs: Iterable[int]) -> None:
        """Where output of these was; a job that needs one of them just then makes it again."""

    def sync(self, attempts: Sequence[tuple[int, int]]) -> None:
        """Bring the outputs of these attempts (job and number) to the disk, as far as that is ours
        to do: then no power cut takes anything of them. Raises: OSError.
        """

    def sync_folders(self, jobs: Iterable[int]) -> None:
        """What was deleted of these does not come back after a power cut. Raises: OSError."""

    def release(self) -> None:
        """Nothing runs: hold nothing open that would keep a file system from being unmounted."""


class Workspaces:
    """Those of all engines of this daemon, by the engine's name. Any thread may ask."""

    def __init__(self, default: str, by_engine: Mapping[str, Workspace]) -> None:
        """`default`: the engine of what does not say its own."""
        self._default = default
        self._by_engine = by_engine
        self._patience = Patience()

    def __getitem__(self, engine: str) -> Workspace:
        """Raises: KeyError (this daemon does not use it)."""
        return self._by_engine[engine]

    def roots(self) -> set[Path]:
        """Of all that have one."""
        return {root for each in self._by_engine.values() if (root := each.root) is not None}

    def are_at_risk(self, engines: Iterable[str]) -> bool:
        """As `Workspace.at_risk`; of one that this daemon does not use nobody knows."""
        return all(name in self._by_engine and self._by_engine[name].at_risk for name in engines)

    def output_of(self, engine: str | None, job: int, attempt: int) -> Output:
        """`engine`: that of the attempt. Raises: NotFound (this daemon does not use it)."""
        found = self._by_engine.get(engine or self._default)
        if found is None:
            raise NotFound(
                f"the output of job {job} is with the engine {engine}, which this daemon does not "
                "use; name it in [daemon] engine or [groups.NAME] engine"
            )
        return found.output_of(job, attempt)

    def path_of(self, engine: str | None, job: int, attempt: int) -> str | None:
        """Where an output lies, for people; None: this daemon does not know."""
        found = self._by_engine.get(engine or self._default)
        return None if found is None else found.output_of(job, attempt).path

    def stored(self, job: int, of: Sequence[tuple[str | None, int]]) -> list[Stored | None]:
        """As `Output.stored`, of attempts by engine and number; None: this daemon does not know, or
        a file server does not answer.
        """
        outputs = [self._output(engine, job, attempt) for engine, attempt in of]
        if not outputs:
            return []
        look = [output.stored if output else lambda: None for output in outputs]
        return self._patience.of(lambda: [one() for one in look]) or [None] * len(outputs)

    def _output(self, engine: str | None, job: int, attempt: int) -> Output | None:
        found = self._by_engine.get(engine or self._default)
        return None if found is None else found.output_of(job, attempt)

    def end_of(self, engine: str | None, job: int, attempt: int, size: int) -> bytes:
        """As `Output.end`; b"" also where this daemon does not know it."""
        found = self._by_engine.get(engine or self._default)
        return b"" if found is None else found.output_of(job, attempt).end(size)

    def sweep(self, running: Container[int]) -> None:
        """As `Workspace.sweep`, of all."""
        self._each(lambda workspace: workspace.sweep(running))

    def of(self, engines: Collection[str]) -> Collection[str]:
        """Those of them that may have what was left with these engines: of one that this daemon
        does not use it may be any, since some leave what they have with others.
        """
        known = engines and self._by_engine.keys() >= set(engines)
        return engines if known else self._by_engine.keys()

    def delete(self, engine: str, outputs: Mapping[int, int]) -> set[int]:
        """What is there of jobs, whose attempts are so many. Those of which nothing comes back, not
        even after a power cut; what goes wrong is in the log.
        """
        workspace, done = self._by_engine[engine], set()
        for job, attempts in outputs.items():
            with _faults_told(engine, "output of a removed job stays for now"):
                for attempt in range(1, attempts + 1):
                    workspace.delete(job, attempt)
                done.add(job)
        with _faults_told(engine, "what was deleted may come back"):
            workspace.delete_empty_folders(done)
            workspace.sync_folders(done)
            return done
        return set()

    def release(self) -> None:
        self._each(lambda workspace: workspace.release())

    def _each(self, act: Callable[[Workspace], object]) -> None:
        """What goes wrong in one keeps no other from being seen to."""
        for name, workspace in self._by_engine.items():
            with _faults_told(name, "what is left over stays for now"):
                act(workspace)


@contextmanager
def _faults_told(engine: str, what: str) -> Iterator[None]:
    """Whatever is raised within ends there."""
    try:
        yield
    except OSError as error:
        log.warning("engine %s: %s: %s", engine, what, error)
    except Exception:
        log.exception("engine %s: %s", engine, what)
