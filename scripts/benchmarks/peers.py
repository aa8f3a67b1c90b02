"""Other queues, as shell lines: how each begins, runs no-op jobs with so many slots, and ends.

Every one runs the same job, `true` in a shell with its output in a file of its own. Queueing is
part of the figure where a queue starts a job as soon as it has it, or can be told of one at a time
only. `$JOBS`, `$SLOTS` and an empty directory to work in are given to the lines.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.benchmarks.figures import Failed

_PROGRAMS: Final = Path(__file__).with_name("programs")
_EACH: Final = 'i=0; while [ $i -lt "$JOBS" ]; do {submit}; i=$((i + 1)); done; '
_PUEUE_SETTINGS: Final = (
    "shared: {pueue_directory: $PWD, runtime_directory: $PWD, use_unix_socket: true,"
    " unix_socket_path: $PWD/socket}\\nclient: {}\\ndaemon: {default_parallel_tasks: $SLOTS}\\n"
)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A queue, or (`queues` false) a program that runs jobs and forgets them."""

    name: str
    programs: tuple[str, ...]
    """All have to be on PATH."""
    run: str
    prepare: str = "true"
    finish: str = "true"
    queues: bool = True
    share: float = 0.2
    """Of the jobs that we are given: less for one that takes long for each."""

    package: str = ""
    """Has to be there for the first `python3` on PATH."""

    def is_there(self) -> bool:
        if not all(map(shutil.which, self.programs)):
            return False
        look = ["python3", "-c", f"import {self.package}"] if self.package else ["true"]
        return subprocess.run(look, capture_output=True, check=False).returncode == 0


XARGS: Final = Peer(
    name="xargs",
    programs=("xargs",),
    run='seq "$JOBS" | xargs -P"$SLOTS" -I{} sh -c "exec >$PWD/{} 2>&1; true"',
    queues=False,
    share=1.0,
)
PEERS: Final = (
    Peer(
        name="parallel",
        programs=("parallel",),
        run='seq "$JOBS" | PARALLEL_SHELL=/bin/sh parallel -j"$SLOTS" "exec >$PWD/{} 2>&1; true"',
        queues=False,
    ),
    Peer(
        name="task-spooler",
        programs=("tsp",),
        share=1.0,
        prepare='tsp -S "$SLOTS"',
        run=_EACH.format(submit="tsp sh -c true") + "tsp -w",
        finish="tsp -K",
    ),
    Peer(
        # One queue runs one job at a time: as many queues as slots.
        name="nq",
        programs=("nq",),
        run=_EACH.format(submit="NQDIR=$PWD/$((i % SLOTS)) nq -q sh -c true")
        + 'for queue in */; do NQDIR="$PWD/${queue%/}" nq -w; done',
    ),
    Peer(
        name="pueue",
        programs=("pueue", "pueued"),
        share=0.005,
        prepare=f'printf "{_PUEUE_SETTINGS}" >pueue.yml && pueued -d -c pueue.yml'
        " && until pueue -c pueue.yml status; do sleep 0.1; done",
        run=_EACH.format(submit="pueue -c pueue.yml add -- true") + "pueue -c pueue.yml wait",
        finish="pueue -c pueue.yml shutdown",
    ),
    Peer(
        name="hq",
        programs=("hq",),
        prepare="hq server start >server.log 2>&1 & until hq server info; do sleep 0.1; done; "
        'hq worker start --cpus "$SLOTS" >worker.log 2>&1 & '
        "until hq worker list | grep -q RUNNING; do sleep 0.1; done",
        run='hq submit --array "1-$JOBS" --stdout "$PWD/%{TASK_ID}" --stderr none --wait'
        " sh -c true",
        finish="hq server stop",
        share=1.0,
    ),
    Peer(
        # The start of its server and worker is part of the figure.
        name="hyperqueue",
        programs=("python3",),
        package="hyperqueue",
        run=f'python3 {shlex.quote(str(_PROGRAMS / "hyperqueue_jobs.py"))} "$JOBS" "$SLOTS"',
        share=0.3,
    ),
)


def round_of(peer: Peer, jobs: int, slots: int, directory: Path) -> tuple[float, float]:
    """Seconds, and seconds of CPU time of all that took part. Raises: Failed (it did).

    The directory stays: inodes that are deleted now make the files of the next round dearer
    (see `contest.our_round`).
    """
    directory.mkdir()
    environment = {
        **os.environ,
        "JOBS": str(jobs),
        "SLOTS": str(slots),
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "TS_SOCKET": str(directory / "socket"),
        "TS_MAXFINISHED": str(jobs),
        "HQ_SERVER_DIR": str(directory / "hq"),
    }
    command: list[str | Path] = [
        sys.executable,
        _PROGRAMS / "cell.py",
        peer.prepare,
        peer.run,
        peer.finish,
    ]
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        told, errors = process.communicate()
    except BaseException:
        process.terminate()  # it ends all that it has started
        process.wait()
        raise
    if process.returncode:
        raise Failed(f"{peer.name}: {errors.strip()[-500:]}")
    found = json.loads(told)
    return found["seconds"], found["cpu"]
