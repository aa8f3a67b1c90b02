"""Starting, stopping and replacing the daemon from outside: what `jobd start` and its like do."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from jobd.admin.leaving import Tell
from jobd.admin.lock_holders import held_by_others, holders
from jobd.admin.plan import StartOptions, plan_of
from jobd.client.client import Client
from jobd.contract.errors import (
    Busy,
    JobdError,
    NotPermitted,
    NotRunning,
    VersionMismatch,
)
from jobd.contract.models import DaemonStatus
from jobd.contract.paths import JOB_VARIABLES, Paths, connect, is_supervised
from jobd.contract.state_directory import make_private
from jobd.contract.wording import printable
from jobd.supervisor import HERITAGE, LOCKED, become_supervisor
from jobd.system import handover, log_file
from jobd.system.starter import SERVICE_VARIABLES, hand_over, is_of_our_service, is_service

_START_WITHIN: Final = 30.0
"""Seconds for a daemon to answer; a large queue is read in far less."""
_WAKE_WITHIN: Final = 5.0
"""Seconds for a daemon that was halted (SIGSTOP) and goes on."""
_KILL_WITHIN: Final = 10.0
"""Seconds for a killed process to be gone."""
_WELL: Final = (NotPermitted, Busy)
"""A daemon that says no does not hang."""
_LOG_TAIL: Final = 15
"""Lines of the daemon's log that are shown when it could not start."""


def _nobody(_said: str) -> None:
    return


class Started(Struct, frozen=True):
    """A daemon that answers, and whether it was there already."""

    already: bool
    status: DaemonStatus


def status(paths: Paths, *, sizes: bool = False) -> DaemonStatus:
    """Raises: NotRunning, and what else the client may raise."""
    with Client(paths.socket) as client:
        return client.status(sizes=sizes)


def running(paths: Paths, *, sizes: bool = False) -> DaemonStatus | None:
    try:
        return status(paths, sizes=sizes)
    except NotRunning:
        return None


def forget_lost(paths: Paths) -> str | None:
    """What a power cut took of outputs is told no more; what that was, in words, if anything.

    Raises: NotRunning, and what else the client may raise.
    """
    try:
        with Client(paths.socket) as client:
            return client.forget().lost
    except NotRunning:
        raise NotRunning("jobd is not running; what was lost is forgotten by: jobd start") from None


# --- start --------------------------------------------------------------------------------------


def start(paths: Paths, options: StartOptions, tell: Tell = _nobody) -> Started:
    """Start the daemon in the background; return once it answers.

    Raises: JobdError (why it could not, with the end of its log).
    """
    make_private(paths.state)
    plan = plan_of(paths, options)
    end = time.monotonic() + _START_WITHIN
    while True:
        found = _already(paths, tell)
        if found is not None:
            return Started(already=True, status=found)
        answer = _spawn(paths, plan)
        word, _, rest = answer.partition(" ")
        if word == "ready":
            return Started(already=False, status=status(paths))
        if word != LOCKED or time.monotonic() > end:
            raise JobdError(_why_not(paths, rest, locked=word == LOCKED))
        # Somebody else is starting or stopping it right now; whichever it is, it is over soon.
        time.sleep(0.05)


def _already(paths: Paths, tell: Tell) -> DaemonStatus | None:
    """The one that runs, also where it hung and had to be replaced."""
    try:
        return running(paths)
    except (*_WELL, VersionMismatch):
        raise
    except JobdError:
        if not is_supervised(paths.socket):
            raise
    return _replace_hanging(paths, tell)


def start_foreground(paths: Paths, options: StartOptions) -> DaemonStatus | None:
    """Become the supervisor of a daemon in this terminal; returns only if one runs already."""
    make_private(paths.state)
    plan = plan_of(paths, options)
    found = running(paths)
    if found is None:
        _clean_environment()
        os.chdir("/")
        become_supervisor(plan)
    elif is_service():
        _adopt(found)
    return found


def _adopt(found: DaemonStatus) -> None:
    """A service whose supervisor was ended goes on with the daemon that has taken its place.

    Raises: JobdError (it is none of this service: it would be ended with that).
    """
    if found.supervisor_pid is None or not is_of_our_service(found.supervisor_pid):
        raise JobdError(
            f"jobd, pid {found.pid}, runs already and is none of this service; end it first with: "
            "jobd stop"
        )
    hand_over(found.supervisor_pid)


def _clean_environment() -> None:
    for name in JOB_VARIABLES:
        os.environ.pop(name, None)


def _spawn(paths: Paths, plan: dict[str, Any]) -> str:
    """Start a supervisor that holds nothing of ours; the line that it says of its start."""
    answer_r, answer_w = os.pipe()
    # In the background it is no service, though a service may have started it.
    unwanted = (*JOB_VARIABLES, *SERVICE_VARIABLES)
    environment = {k: v for k, v in os.environ.items() if k not in unwanted}
    try:
        with _open_log(paths.log) as log, open(answer_r, encoding="utf-8") as answer:
            told = handover.opened(dict(plan, ready_fd=answer_w))
            subprocess.Popen(
                [sys.executable, "-P", "-m", "jobd.supervisor", str(told)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=environment,
                pass_fds=[answer_w, told], start_new_session=True,
            )  # fmt: skip
            os.close(told)
            os.close(answer_w)
            said = answer.readline().strip()
            if not said.startswith("ready"):
                answer.read()  # until it has gone, and its lock with it
            return said
    except OSError as error:
        raise JobdError(f"cannot start jobd: {error.strerror}: {error.filename}") from error


@contextlib.contextmanager
def _open_log(path: Path) -> Iterator[int]:
    descriptor = log_file.open_log(str(path))
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _why_not(paths: Paths, said: str, *, locked: bool) -> str:
    if locked:
        with holders(paths.lock) as found:
            if not found:
                return held_by_others(paths.lock)
        return (
            f"another jobd holds {paths.lock} and does not answer; see: jobd log. "
            "If it hangs: jobd restart"
        )
    if said and not said.startswith("the daemon ended"):
        return f"jobd cannot start: {said}"
    return f"jobd could not start. The end of its log {paths.log}:\n{log_tail(paths, _LOG_TAIL)}"


def log_tail(paths: Paths, lines: int) -> str:
    try:
        content = paths.log.read_bytes()[-200_000:]
    except OSError:
        return ""
    found = content.decode("utf-8", "replace").splitlines()[-lines:] if lines else []
    return "\n".join(map(printable, found))


# --- stop ---------------------------------------------------------------------------------------


def stop(
    paths: Paths, tell: Tell = _nobody, *, now: bool, timeout: float | None
) -> list[int] | None:
    """Ask it to drain and exit; the jobs that it waits for. None: it was not running.

    A daemon that hangs is first replaced by one that answers.
    """
    asked = False
    while _reach(paths, tell) is not None:
        asked = True
        # It may be gone before its answer is, or be killed and followed by one that knows nothing.
        with contextlib.suppress(NotRunning), Client(paths.socket) as client:
            return client.shutdown(now=now, timeout=timeout).waiting_for
    return [] if asked else None


def _reach(paths: Paths, tell: Tell) -> DaemonStatus | None:
    """A daemon that answers, if need be in the place of one that hangs; None: there is none."""
    try:
        return status(paths)
    except _WELL:
        raise
    except JobdError:
        if not is_supervised(paths.socket):
            return None
    return _replace_hanging(paths, tell)


def _replace_hanging(paths: Paths, tell: Tell) -> DaemonStatus:
    """Wake what was halted; let the supervisor end a daemon that does not answer even then.

    The next one takes its jobs over. Where the supervisor is dead, too, we end the daemon and
    start another: its jobs go on, and only how they end may stay unknown.
    """
    with holders(paths.lock) as found:
        if not found:
            raise JobdError(held_by_others(paths.lock))
        if any(holder.halted for holder in found):
            for holder in found:
                holder.send(signal.SIGCONT)
            with contextlib.suppress(JobdError):
                awake = _wait_answer(paths, _WAKE_WITHIN)
                tell(f"jobd had been halted (SIGSTOP); it goes on, pid {awake.pid}")
                return awake
        tell("jobd does not answer: it is replaced, and its jobs go on")
        first = found[0]
        if first.supervises:
            first.send(signal.SIGUSR1)
            return _wait_answer(paths, _START_WITHIN)
        if not first.kill(_KILL_WITHIN):
            raise JobdError(
                f"the daemon, pid {first.pid}, does not answer and does not even end when it is "
                "killed: it waits for a disk or a file server"
            )
    return _start_like(paths, first.plan)


def _start_like(paths: Paths, plan: dict[str, Any]) -> DaemonStatus:
    """One more daemon of the instance that had this plan."""
    heritage = {key: plan[key] for key in HERITAGE if key in plan} | {"established": True}
    word, _, rest = _spawn(paths, heritage).partition(" ")
    if word not in ("ready", LOCKED):
        raise JobdError(_why_not(paths, rest, locked=False))
    # Where it is locked, somebody else was quicker.
    return _wait_answer(paths, _START_WITHIN)


def _wait_answer(paths: Paths, seconds: float, *, but: int | None = None) -> DaemonStatus:
    """The first answer of a daemon whose pid is not `but`."""
    end, pause = time.monotonic() + seconds, 0.01
    while time.monotonic() < end:
        with contextlib.suppress(JobdError):
            connect(paths.socket).close()
            found = status(paths)
            if found.pid != but:
                return found
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
    raise JobdError(f"jobd does not answer. The end of its log:\n{log_tail(paths, _LOG_TAIL)}")


# --- restart ------------------------------------------------------------------------------------


def restart(paths: Paths, tell: Tell = _nobody) -> DaemonStatus:
    """Replace supervisor and daemon; jobs go on. Raises: NotRunning."""
    found = _reach(paths, tell)
    if found is None:
        raise NotRunning("jobd is not running. Start it with: jobd start")
    with Client(paths.socket) as client, contextlib.suppress(NotRunning):
        client.renew()
    return _wait_answer(paths, _START_WITHIN, but=found.pid)


def make_way(paths: Paths, tell: Tell = _nobody) -> DaemonStatus | None:
    """End the supervisor: the daemon takes its place with all jobs, and a fresh one follows.

    None: nobody runs.
    """
    found = _reach(paths, tell)
    if found is None or found.supervisor_pid is None:
        return None
    os.kill(found.supervisor_pid, signal.SIGUSR2)
    return _wait_answer(paths, _START_WITHIN, but=found.pid)
