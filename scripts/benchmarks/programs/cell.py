"""A process around another queue: all that the queue starts is accounted for, and ends with it.

    cell.py PREPARE RUN FINISH

Three shell lines; what the second one takes is timed. Daemons and whatever else they leave behind
become children of the cell, so that the CPU time of all is known once the cell has waited for all.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from typing import Final

from jobd.system import linux

_LEAVE_S: Final = 20.0
"""Within which all have to leave by themselves once the queue was told to end."""


def main(prepare: str, line: str, finish: str) -> None:
    """Print seconds by the clock and seconds of CPU, as JSON."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    linux.set_child_subreaper()
    try:
        _shell(prepare)
        begun = time.perf_counter()
        _shell(line)
        seconds = time.perf_counter() - begun
        _shell(finish)
        _await_children(time.monotonic() + _LEAVE_S)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _kill_children()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime}))


def _shell(line: str) -> None:
    """Raises: SystemExit (it failed; what it said is on stderr)."""
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        sys.exit(f"exit code {done.returncode} of: {line[:200]}")


def _await_children(deadline: float) -> None:
    """Reap whatever leaves; give up when the time is over."""
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)  # no call waits for a child and for a moment


def _kill_children() -> None:
    """Until none is left: the children of those that end come to us."""
    with contextlib.suppress(ChildProcessError):
        while True:
            for child in linux.children_of(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
            os.waitpid(-1, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
