"""Slurm's programs, each called in one place; nothing here knows what an attempt is.

Why one fails is known by its words alone: that Slurm cannot be reached, that there is no room just
now, or that it does not want this job. What is not understood counts as not reached, for that loses
and starts nothing.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Container, Sequence
from typing import Final, NamedTuple

from jobd.core.usage import Usage
from jobd.engines.base import Away, CannotStart, NoResources
from jobd.engines.slurm.programs import Programs

_KEPT: Final = ("PATH", "HOME", "USER", "LOGNAME", "SLURM_CONF")
"""Of the daemon's environment: SBATCH_REQUEUE and its like would change what is asked for."""
_FIELDS: Final = ("JobID", "State", "exit_code", "Reason", "BatchHost", "StartTime", "Name")
_REFUSED: Final = re.compile(r"(?:submission failed|allocation failure): (.*)")
_UNREACHABLE: Final = re.compile(
    r"unable to contact|connect failure|timed out|connection (refused|reset)|authentication"
    r"|munge|communication|standby|configuration file|zero bytes|no route|unspecified error"
    r"|(unexpected|insane) message|message (send|receive)|header length|protocol version"
    r"|incompatible versions",
    re.IGNORECASE,
)
_FULL: Final = re.compile(
    r"temporarily|limit|too many|resource unavailable|slurm is down|partition|account|qos"
    r"|no (room|space|process)|transport endpoint|access|permi",
    re.IGNORECASE,
)
"""What concerns all jobs, or will pass: they wait with that reason."""
_MISUSED: Final = re.compile(
    r"unrecognized option|ambiguous|requires an argument|invalid|specification|not valid",
    re.IGNORECASE,
)
"""Options that sbatch does not understand: whoever has written them is to mend them."""
_OVER: Final = re.compile(
    r"invalid job id|already (finished|completing|completed)|completing or completed"
    r"|no active jobs|job is no longer|not pending",
    re.IGNORECASE,
)
"""Of a job that has ended: nothing is left to be done."""
_MEMORY: Final = {"": 1 / 1024, "K": 1, "M": 1024, "G": 1024**2, "T": 1024**3}


_NOWHERE: Final = ("n/a", "N/A", "(null)")


class SlurmJob(NamedTuple):
    """A job as Slurm shows it."""

    number: int
    name: str
    state: str
    """In capitals, as in squeue(1)."""
    status: int
    """Of its script, as wait(2) has it."""
    reason: str = ""
    """Why it waits."""
    node: str = ""
    started: float | None = None
    """Seconds since the epoch."""


class _SaidNo(Exception):  # noqa: N818 - named like the reason
    """What it said."""


class SlurmCommands:
    """Any thread may call; each call takes a few milliseconds, or nine seconds if nobody answers.

    A job is named by its name, which no other ever has: a controller that was killed gives numbers
    that it had not saved to the next jobs. All raise Away. `release_new` alone goes by numbers, for
    Slurm would be asked for all jobs of everybody to find one by its name.
    """

    def __init__(self, programs: str, options: Sequence[str]) -> None:
        """`programs`: their directory; `options`: for every submission."""
        self._programs = Programs(programs)
        self._options = options
        self._proctrack: str | None = None

    def submit(
        self, name: str, script: bytes, options: Sequence[str], own: Sequence[str] = ()
    ) -> int:
        """The number of a new job, which is held. `own`: options that it asks for itself.

        Raises: CannotStart (this job is not wanted), NoResources.
        """
        try:
            said = self._run(
                "sbatch", "--hold", "--no-requeue", "--parsable", "--export=ALL", "--chdir=/",
                "--output=/dev/null", f"--job-name={name}", *self._options, *options, *own,
                given=script,
            )  # fmt: skip
        except _SaidNo as error:
            raise _refusal(str(error), own) from error
        return int(said.split(b";")[0])

    def takes(self, script: bytes) -> str:
        """What it says of a job that it would take, and does not get.

        Raises: CannotStart, NoResources (it would not, and says why).
        """
        try:
            said = self._run("sbatch", "--test-only", *self._options, given=script, both=True)
        except _SaidNo as error:
            raise _refusal(str(error)) from error
        return _last(_words(said))

    def release(self, name: str) -> None:
        """It may run. Raises: CannotStart (it could never; it stays held)."""
        self._release(f"jobname={name}")

    def release_new(self, numbers: Sequence[int]) -> None:
        """They may run, which were submitted just now.

        A number may have been given anew meanwhile: then another job of this user may begin too
        early. An attempt of ours that does is found by its name, and still begins once.

        Raises: CannotStart (one of them never could, and stays held).
        """
        self._release(",".join(map(str, numbers)))

    def _release(self, which: str) -> None:
        try:
            self._run("scontrol", "release", which)
        except _SaidNo as error:
            if not _OVER.search(str(error)):
                raise CannotStart(f"Slurm: {_last(str(error))}") from error

    def cancel_waiting(self, name: str) -> None:
        """If it has not begun to run."""
        self._all("scancel", "--state=PENDING", f"--name={name}")

    def cancel(self, name: str) -> None:
        """Slurm is to give it up."""
        self._all("scancel", f"--name={name}")

    def signal(self, name: str, number: int) -> None:
        """Every process of one that runs.

        With KILL Slurm would ask them to end, and wait. It goes to the script alone, for at the
        end of a script Slurm kills whatever is left: unless it only finds what descends from one.
        """
        at_once = number == signal.SIGKILL and not self._finds_descendants_alone()
        whose = "--batch" if at_once else "--full"
        self._all("scancel", f"--signal={number}", whose, f"--name={name}")

    def _finds_descendants_alone(self) -> bool:
        """Whether Slurm knows processes of a job by their parents (ProctrackType)."""
        if self._proctrack is None:
            self._proctrack = self._config("ProctrackType")
        return "linuxproc" in self._proctrack

    def _config(self, key: str) -> str:
        """What the cluster's configuration says; "": nothing. Raises: Away."""
        try:
            said = self._run("scontrol", "show", "config").decode("utf-8", "replace")
        except _SaidNo as error:
            raise Away(str(error)) from error
        match = re.search(rf"^{key}\s*= *(.*)$", said, re.MULTILINE)
        return "" if match is None else match[1]

    def listing(self, names: Container[str] | None = None) -> list[SlurmJob]:
        """All jobs of this user that Slurm still knows: one question for all.

        `names`: those, and of all others what waits alone: it may know thousands that have ended.
        """
        try:
            said = self._run(
                "squeue", "--me", "--noheader", "--states=all", "--array",
                "--Format=" + ",".join(f"{field}:|" for field in _FIELDS),
            )  # fmt: skip
        except _SaidNo as error:
            raise Away(str(error)) from error
        lines = said.decode("utf-8", "replace").split("\n")
        if names is not None:
            lines = [line for line in lines if _waits(line) or _name_in(line) in names]
        return [seen for line in lines if (seen := _seen(line)) is not None]

    def usage(self, numbers: Sequence[int]) -> dict[int, Usage]:
        """Of those that run, as far as the cluster counts it; memory is counted now and then, and
        only its peak is told. Raises: Away.
        """
        if not numbers:
            return {}
        try:
            said = self._run(
                "sstat", "--allsteps", "--noheader", "--parsable2",
                f"--jobs={','.join(map(str, numbers))}", "--format=JobID,AveCPU,MaxRSS",
            )  # fmt: skip
        except _SaidNo:
            return {}
        return _used(said.decode("ascii", "replace"))

    def accounted(self, number: int, name: str) -> tuple[str, int | None] | None:
        """What the accounting says of one that has ended: its state, and the most memory that one
        of its processes has had, KiB. None: there is no accounting.

        Raises: Away (also: it has not heard of it yet).
        """
        try:
            said = self._run(
                "sacct", "--noheader", "--parsable2", f"--jobs={number}",
                "--format=State,MaxRSS,JobName%200",
            )  # fmt: skip
        except _SaidNo as error:
            if "disabled" in str(error):
                return None
            raise Away(str(error)) from error
        lines = [line.split("|") for line in said.decode("utf-8", "replace").splitlines()]
        if not lines or lines[0][2:] != [name]:
            raise Away("not heard of yet")
        peaks = [peak for line in lines if (peak := _kib(line[1])) is not None]
        return lines[0][0], max(peaks, default=None)

    def _all(self, *command: str) -> None:
        """Of several jobs some may have ended: that is no failure."""
        try:
            self._run(*command)
        except _SaidNo as error:
            left = [line for line in str(error).split("\n") if not _OVER.search(line)]
            if left:
                raise Away(left[-1]) from error

    def _run(self, program: str, *arguments: str, given: bytes = b"", both: bool = False) -> bytes:
        """What it prints. `both`: on stderr, too. Raises: Away, _SaidNo."""
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        if program == "squeue":
            environment["SLURM_TIME_FORMAT"] = "%s"
        done = self._programs.run(program, *arguments, given=given, environment=environment)
        if done.code == 0:
            return done.stdout + done.stderr if both else done.stdout
        said = _words(done.stderr) or f"{program} failed with exit code {done.code}"
        if _UNREACHABLE.search(said):
            raise Away(_last(said).removeprefix("allocation failure: "))
        raise _SaidNo(said)


def _words(said: bytes) -> str:
    """Without the name of the program at the begin of each line."""
    lines = said.decode("utf-8", "replace").strip().split("\n")
    return "\n".join(re.sub(r"^\w+:? (error|fatal): ", "", line) for line in lines)


def _last(said: str) -> str:
    """The last line, for the first ones are about what was asked for."""
    return said.partition("\nTry ")[0].rpartition("\n")[2]


def _refusal(said: str, own: Sequence[str] = ()) -> CannotStart | NoResources | Away:
    """What sbatch means by what it said. `own`: options of this job alone."""
    match = _REFUSED.search(said)
    why = (match[1] if match else _last(said)).strip()
    if match is None and _MISUSED.search(why):
        return CannotStart(f"Slurm: {why}") if own else NoResources(f"Slurm: {why}")
    if _FULL.search(why):
        return NoResources(f"Slurm: {why}")
    if match is None:
        return Away(why)
    return CannotStart(f"Slurm: {why}")


def _waits(line: str) -> bool:
    return "|PENDING|" in line


def _name_in(line: str) -> str:
    """Of ours, which have no bar in them."""
    return line[:-1].rpartition("|")[2]


def _seen(line: str) -> SlurmJob | None:
    """None: that is no job, but a warning."""
    fields = line.split("|", len(_FIELDS) - 1)
    if len(fields) < len(_FIELDS) or not fields[0].isdecimal():
        return None
    number, state, status, reason, node, started, name = fields
    return SlurmJob(
        int(number), name.removesuffix("|"), state, int(status) if status.isdecimal() else 0,
        reason, "" if node in _NOWHERE else node, float(started) if started.isdecimal() else None,
    )  # fmt: skip


def _used(text: str) -> dict[int, Usage]:
    """By job, of lines such as `12.batch|00:00:03|1024K`: all its steps together."""
    found: dict[int, Usage] = {}
    for line in text.splitlines():
        step, cpu, peak, *_ = (*line.split("|"), "", "")
        job = step.partition(".")[0]
        if job.isdecimal():
            before, seconds = found.get(int(job), Usage()), _seconds(cpu)
            total = seconds if before.cpu_s is None else before.cpu_s + (seconds or 0.0)
            found[int(job)] = Usage(total, _kib(peak)).at_least(before)
    return found


def _seconds(text: str) -> float | None:
    """`1-02:03:04.5` as Slurm writes it."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):([\d.]+)", text.strip())
    if match is None:
        return None
    days, hours, minutes, seconds = match.groups(default="0")
    return int(days) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _kib(text: str) -> int | None:
    match = re.fullmatch(r"([\d.]+)([KMGT]?)", text.strip())
    return None if match is None else int(float(match[1]) * _MEMORY[match[2]])
