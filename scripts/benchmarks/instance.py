"""A daemon of its own, driven by the real commands and by clients in this process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from jobd.client import follow
from jobd.client.client import Client
from jobd.contract.models import Command, Options, Selector, Submit
from jobd.contract.paths import HOME_VARIABLE, JOB_VARIABLES, locate
from jobd.contract.states import State
from scripts.benchmarks.figures import Failed
from scripts.benchmarks.measure import Took, timed

BIN: Final = Path(sys.executable).parent
NO_OP: Final = Command(argv=[b"true"], shell=True)
"""The job whose cost is that of the queue: `sh -c true`."""


class Instance:
    """`home` is its JOBD_HOME; what is submitted through it gets this process's environment."""

    def __init__(self, home: Path) -> None:
        self.home = home
        # It may itself be run by a job of another daemon.
        clean = {name: value for name, value in os.environ.items() if name not in JOB_VARIABLES}
        self.environment = {**clean, HOME_VARIABLE: str(home)}
        self.paths = locate(self.environment)
        self._begun: list[subprocess.Popen[bytes]] = []

    # --- commands -----------------------------------------------------------------------------

    def start(self, *options: str, environment: Mapping[str, str] | None = None) -> None:
        """Raises: Failed (it does not start; says why)."""
        self._run("jobd", "start", *options, environment=environment or {})

    def stop(self) -> None:
        self.end_begun()
        self._run("jobd", "stop", "--now")

    def end_begun(self) -> None:
        """Kill whatever of `begin` still runs."""
        while self._begun:
            process = self._begun.pop()
            process.kill()
            process.wait()

    def jobctl(self, *words: str, stdin: bytes = b"") -> str:
        """What it prints. Raises: Failed (its exit code is not 0)."""
        return self._run("jobctl", *words, stdin=stdin)

    def timed(self, *words: str, stdin: Path | None = None, output: Path | None = None) -> Took:
        """What `jobctl` takes, its output into a file or nowhere."""
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(open(stdin or os.devnull, "rb"))
            target = stack.enter_context(open(output or os.devnull, "wb"))
            command: list[str | Path] = [BIN / "jobctl", *words]
            return timed(command, env=self.environment, stdin=source, stdout=target)

    def begin(self, *command: str | Path) -> subprocess.Popen[bytes]:
        """Start a command that sees this instance; it is killed with the daemon at the latest."""
        process = subprocess.Popen(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._begun.append(process)
        return process

    def _run(
        self, program: str, *words: str, stdin: bytes = b"", environment: Mapping[str, str] = {}
    ) -> str:
        done = subprocess.run(
            [BIN / program, *words],
            input=stdin,
            env={**self.environment, **environment},
            capture_output=True,
            check=False,
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()[-500:]
            raise Failed(f"{program} {' '.join(words)}: exit code {done.returncode}: {said}")
        return done.stdout.decode()

    # --- through a client in this process -----------------------------------------------------

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        """One with its connection open."""
        with Client(self.paths.socket) as client:
            client.workers()
            yield client

    @property
    def pids(self) -> tuple[int, int]:
        """Of the daemon and of its supervisor."""
        with self.client() as client:
            status = client.status()
        if status.pid is None or status.supervisor_pid is None:
            raise Failed("the daemon does not say which process it is")
        return status.pid, status.supervisor_pid

    def request(self, commands: Sequence[Command], options: Options | None = None) -> Submit:
        """What submits these commands, with our directory and environment."""
        return Submit(
            commands=list(commands),
            options=options or Options(),
            cwd=os.fsencode(self.home),
            environment={
                os.fsencode(name): os.fsencode(value)
                for name, value in self.environment.items()
                if name != HOME_VARIABLE
            },
        )


def await_all(client: Client, first: int, last: int, *, state: State = State.COMPLETED) -> Selector:
    """Wait until these jobs have ended, all in that state. Raises: Failed (one has not)."""
    chosen = Selector(ids=[(first, last)])
    counts = follow.until_finished(client, chosen).counts
    if counts.get(state, 0) != last - first + 1:
        raise Failed(f"jobs {first} to {last} should all be {state.value}: {dict(counts)}")
    return chosen
