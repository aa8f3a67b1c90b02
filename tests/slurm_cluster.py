"""A whole Slurm cluster on this machine, without systemd, in a directory of its own.

`cluster` is one for a run of the tests: three nodes, which share this machine's CPUs and files. By
hand, to try things in another shell until Ctrl-C; `--install` gets Debian's packages first (root):

    python -m tests.slurm_cluster [--install]
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

import pytest

from jobd.system import linux
from tests.helpers import processes_with, wait_until

PACKAGES = ("slurm-wlm", "munge")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
NODES = ("n1", "n2", "n3")
PATIENCE = 60.0
"""Seconds that a cluster may take to come up on a busy machine."""
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
CONFIGURATION = """\
ClusterName=jobd
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={directory}/munge/socket
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,sched_interval=1
MinJobAge=3600
KillWait=5
ReturnToService=2
SlurmdParameters=config_overrides
SlurmctldTimeout=10
SlurmdTimeout=10
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool/%n
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/%n.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/%n.log
NodeName=n[1-3] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=4
PartitionName=all Nodes=n[1-3] Default=YES OverSubscribe=FORCE:4 State=UP
"""


class Unavailable(Exception):  # noqa: N818 - named like the reason
    """No cluster can be started here; the text says why."""


def missing() -> str | None:
    """Why there can be no cluster here; None: there can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]
    if absent:
        return f"no {', '.join(absent)}; as root: python -m tests.slurm_cluster --install"
    return None


def install() -> None:
    """Debian's packages; their own services are not started. Raises: Unavailable."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Unavailable("packages are installed by root, with apt-get")
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", "--quiet", *arguments], env=environ, check=False)
        if done.returncode:
            raise Unavailable(f"apt-get {arguments[0]} failed")


class Cluster:
    """Its daemons are children of this process. A context: at its end nothing of it is left."""

    def __init__(self, directory: Path, more: str = "") -> None:
        """`more`: lines of its configuration, in the place of those of the same key."""
        self._more = more
        self.directory = directory
        self.conf = directory / "slurm.conf"
        self.environ = {**os.environ, "PATH": _PATH, "SLURM_CONF": str(self.conf)}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        """Raises: Unavailable."""
        if why := missing():
            raise Unavailable(why)
        self._write()
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def run(self, *command: str) -> str:
        """What one of Slurm's programs prints. Raises: CalledProcessError."""
        return subprocess.run(
            command, env=self.environ, check=True, capture_output=True, text=True,
            timeout=PATIENCE, stdin=subprocess.DEVNULL,
        ).stdout  # fmt: skip

    # --- daemons ----------------------------------------------------------------------------------

    def start(self, *names: str) -> None:
        """These, or all that do not run. Raises: Unavailable."""
        for name in names or ("munged", "slurmctld", *NODES):
            if name not in self._daemons:
                self._daemons[name] = self._spawn(name)
            if name == "munged":
                self._wait((self.directory / "munge/socket").exists)
        self._wait(self._is_up)

    def kill(self, name: str) -> None:
        """With KILL; what it has started goes on."""
        daemon = self._daemons.pop(name)
        daemon.kill()
        daemon.wait()

    def fail(self, node: str) -> None:
        """A node dies, with all that runs on it; nobody tells of it."""
        self.kill(node)
        found = self.processes()
        there = {pid for pid, what in found.items() if self._is_of(node, pid, what)}
        parents = {stat.ppid for pid in there if (stat := linux.stat_of(pid)) is not None}
        # What would tell of the end of the others is first.
        _end([*(pid for pid in parents if "slurmstepd" in found.get(pid, "")), *there])

    def resume(self) -> None:
        """As its operator would: Slurm drains a node that still has a job of a number which a
        killed slurmctld has given anew.
        """
        drained = self.run("sinfo", "--noheader", "--Node", "--states=drain", "--format=%N").split()
        if drained:
            names = ",".join(sorted(set(drained)))
            self.run("scontrol", "update", f"nodename={names}", "state=resume")

    def kill_step(self, pids: Iterable[int]) -> None:
        """What sees to the job of these processes dies; they go on."""
        (step,) = {
            above for pid in pids for above in _above(pid) if "slurmstepd" in _command(above)
        }
        os.kill(step, signal.SIGKILL)

    def processes(self) -> dict[int, str]:
        """All of this cluster, those of jobs included: pid and what it runs."""
        return processes_with(f"SLURM_CONF={self.conf}")

    def saves(self) -> None:
        """slurmctld has on its disk what it knows now: it writes down what changed, within seconds.

        Twice, since what is on the disk first may have been gathered before this call.
        """
        for _ in range(2):
            before = self._saved_at()
            changed = self.run("sbatch", "--parsable", "--hold", "--wrap", "true").strip()
            self.run("scancel", changed)
            wait_until(lambda before=before: self._saved_at() not in (before, 0), timeout=PATIENCE)

    def _saved_at(self) -> int:
        """When the jobs were written down, in ns; 0: not yet, or the old file just gives way."""
        try:
            return (self.directory / "state/job_state").stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def stop(self) -> None:
        for name in reversed(list(self._daemons)):
            self.kill(name)
        # What a job has started may start something else in between.
        wait_until(lambda: not (_end(self.processes()) or self.processes()))

    def _spawn(self, name: str) -> subprocess.Popen[bytes]:
        munge = self.directory / "munge"
        commands = {
            "munged": [
                "munged", "--foreground", f"--socket={munge}/socket", f"--key-file={munge}/key",
                f"--pid-file={munge}/pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed",
            ],
            "slurmctld": ["slurmctld", "-D"],
        }  # fmt: skip
        command = commands.get(name, ["slurmd", "-D", "-N", name])
        return subprocess.Popen(
            ["nice", *command], env=self.environ, stdin=subprocess.DEVNULL, cwd=self.directory,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def _is_up(self) -> bool:
        running = [node for node in NODES if node in self._daemons]
        if "slurmctld" not in self._daemons:
            return True
        try:
            states = self.run("sinfo", "--noheader", "--Node", "--format=%N %t").split("\n")
        except (subprocess.SubprocessError, OSError):
            return False
        there = {line.split()[0] for line in states if line and line.split()[1] in _THERE}
        return set(running) <= there

    def _wait(self, condition: object) -> None:
        try:
            wait_until(condition, timeout=PATIENCE)  # type: ignore[arg-type]
        except AssertionError:
            logs = [self.directory / "munge/log", *sorted(self.directory.glob("*.log"))]
            said = "\n".join(log.read_text()[-500:] for log in logs if log.exists())
            raise Unavailable(f"the cluster does not come up: {said}") from None

    def _is_of(self, node: str, pid: int, what: str) -> bool:
        with contextlib.suppress(OSError):
            environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            return f"SLURMD_NODENAME={node}".encode() in environ or f"spool/{node}/" in what
        return False

    def _write(self) -> None:
        # Whoever may run jobs must get to the socket of munge.
        (self.directory / "munge").mkdir(mode=0o711)
        key = self.directory / "munge/key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        for name in ("state", *(f"spool/{node}" for node in NODES)):
            (self.directory / name).mkdir(parents=True)
        ctld, *slurmd = _free_ports(1 + len(NODES))
        ours = CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0], user=getpass.getuser(), ctld=ctld,
            directory=self.directory, first=slurmd[0], last=slurmd[-1],
        )  # fmt: skip
        lines = {line.partition("=")[0]: line for line in (ours + self._more).splitlines()}
        self.conf.write_text("\n".join(lines.values()) + "\n")


_THERE = {"idle", "mix", "alloc", "comp", "drain", "drng"}


def _above(pid: int) -> Iterator[int]:
    """Its parent, that one's parent, and so on."""
    while pid > 1 and (stat := linux.stat_of(pid)) is not None:
        pid = stat.ppid
        yield pid


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _end(pids: object) -> bool:
    """Whether there were any."""
    found = False
    for pid in pids:  # type: ignore[attr-defined]
        found = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found


def _free_ports(count: int) -> list[int]:
    """In a row, as a configuration names those of many nodes."""
    for first in range(17000 + os.getpid() % 1000 * 10, 30000, count):
        ports = list(range(first, first + count))
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in ports:
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return ports
    raise Unavailable("no ports are free")


@contextlib.contextmanager
def started(more: str = "") -> Iterator[Cluster]:
    """`more`: as for `Cluster`. Raises: Unavailable."""
    # A path short enough for a Unix socket, which the nodes' users may enter.
    directory = Path(tempfile.mkdtemp(prefix="js-", dir="/tmp"))
    directory.chmod(0o755)
    try:
        with Cluster(directory, more) as made:
            yield made
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Shared by all tests of a run: who kills a part of it starts it again."""
    try:
        with started() as made:
            yield made
    except Unavailable as error:
        pytest.skip(f"no Slurm: {error}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("--install", action="store_true", help="Debian's packages, as root")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Also where it was started in the background, which has INT ignored.
        signal.signal(number, signal.default_int_handler)
    try:
        if arguments.install:
            install()
        with started(_AS_BY_DEFAULT) as made:
            sys.stdout.write(f"export SLURM_CONF={made.conf}\n")
            sys.stdout.flush()
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
    except Unavailable as error:
        sys.stderr.write(f"no cluster: {error}\n")
        return 1
    return 0


_AS_BY_DEFAULT = "JobAcctGatherFrequency=30\n"
"""Tests see each second what a job uses; for that Slurm reads all of /proc, for each of them."""
_Raw = argparse.RawDescriptionHelpFormatter

if __name__ == "__main__":
    sys.exit(main())
