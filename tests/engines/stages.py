"""What the suite asks for, in the words of each engine: a new engine adds one class here."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import ClassVar, NamedTuple
from unittest import mock

from jobd.contract.state_directory import make_private
from jobd.core.usage import Usage
from jobd.engines.base import Attempt, Launch
from jobd.engines.fake import FakeEngine, World
from jobd.engines.local.engine import LocalEngine
from jobd.engines.slurm import SlurmEngine, ends
from jobd.engines.slurm.shared import ANSWER
from jobd.engines.supervisor import Ended
from jobd.system import linux, spawning
from tests.engines.contexts import context_of
from tests.helpers import processes_with, wait_until

JOB = 7


class Does(NamedTuple):
    """What an attempt does: it reports, prints, waits to be told to go on, and ends."""

    exit: int = 0
    prints: str = ""
    reports: str = ""
    waits: bool = False
    ignores_term: bool = False
    script: bool = False
    """All of that in a script of its own."""


class Started(NamedTuple):
    process: object
    launch: Launch
    does: Does

    @property
    def attempt(self):
        return Attempt(self.launch.token, JOB, self.launch.attempt, self.launch.slot)


class Stage:
    """One engine, and its successors at the same place. `name` is that of its entry point."""

    name = ""
    can_be_away = False
    hears_while_away = False
    """It may be told how something ended although nobody can be asked."""
    needs = ()
    """Fixtures that it is made with."""

    def __init__(self, directory):
        make_private(directory)
        self.directory = directory
        self.engine = None
        self._tokens = iter(range(1, 1000))
        self._all = []

    def begin(self):
        """An engine that has recovered nothing, since there was nothing."""
        self.next_engine()
        self.engine.recover([])
        return self

    def next_engine(self, **context):
        """Another one in the place of the last: nothing is recovered yet."""
        if self.engine is not None:
            self.engine.close()
        self.engine = self.made(**context)
        return self.engine

    def made(self, **context):
        raise NotImplementedError

    def launch(self, does, **more):
        number = next(self._tokens)
        line = self.line(does).encode()
        report = self.engine.workspace.report_path(JOB, number)
        token = f"{os.getpid():016x}{number:016x}"
        fields = {
            "argv": [b"script.sh"] if does.script else [b"/bin/sh", b"-c", line],
            "script": b"#!/bin/sh\n" + line if does.script else None,
            **more,
        }
        return Launch(
            job=JOB, attempt=number, slot=number, token=token, cwd=os.fsencode(self.directory),
            umask=0o022,
            environment={
                b"PATH": b"/usr/bin:/bin", b"JOBD_RUN": token.encode(),
                b"JOBD_PROGRESS": os.fsencode(report),
            },
            **fields,
        )  # fmt: skip

    def line(self, does):
        """In the shell, with `self.gate` as what it waits for."""
        steps = ["trap '' TERM"] if does.ignores_term else []
        if does.reports:
            steps.append(f"printf %s '{does.reports}' > \"$JOBD_PROGRESS\"")
        if does.prints:
            steps.append(f"printf %s '{does.prints}'")
        if does.waits:
            steps.append("while ! test -e go; do sleep 0.02; done; cat go")
        return "; ".join([*steps, f"exit {does.exit}"])

    def start(self, does, **more):
        launch = self.launch(does, **more)
        started = Started(self.started(launch), launch, does)
        self._all.append(started)
        self.began(started)
        return started

    def started(self, launch):
        """By a thread of its own, as the daemon does it."""
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self.engine.start, launch).result()

    def ended(self, started, process=None):
        """Its outcome, for which whoever waits does not wait for ever."""
        pool = ThreadPoolExecutor(1)
        try:
            return pool.submit((process or started.process).wait).result(60)
        finally:
            pool.shutdown(wait=False)

    def close(self):
        self.engine.close()

    def output(self, started):
        return self.engine.workspace.output_of(JOB, started.launch.attempt)

    # --- what a test says, and asks ---------------------------------------------------------------

    def takes_no_options(self):
        """Whatever else may be, no job may have `--requeue`: attempts are up to jobd."""

    def began(self, started):
        """It has been started: whatever it does at once is done soon."""

    def notices(self):
        """The engine has seen by itself that it is away."""

    def go(self, started, prints=""):
        """Let one that waits print that, and end."""
        raise NotImplementedError

    def stands_still(self, started):
        raise NotImplementedError

    def loses(self, started):
        """It is gone, and nobody will ever say how it ended."""
        raise NotImplementedError

    def until_ended(self, started):
        """It has ended, and nobody has asked."""
        raise NotImplementedError

    def time_passes(self, started):
        """Some of it, and some CPU time."""
        raise NotImplementedError

    def unstartable(self):
        """A launch whose command cannot be started."""
        raise NotImplementedError

    def no_room(self):
        """A context in which there is no room for another process."""
        raise NotImplementedError


class _Children:
    """In the place of the supervisor: this process is that of its own jobs."""

    last_daemon = None

    def settle(self, adopted):
        pass

    def wait(self, pid):
        return Ended(linux.look(pid, block=True), None)

    def reap(self, pid):
        linux.reap(pid)

    def hold(self, token, pidfd):
        pass

    def gone_at(self, token, within):
        return None

    def let_go(self, token):
        pass


class LocalStage(Stage):
    name = "local"

    def made(self, **context):
        engine = LocalEngine(context_of(self.directory, link=_Children(), **context))
        engine._supervisor = os.getpid()
        return engine

    def go(self, started, prints=""):
        fresh = self.directory / "fresh"
        fresh.write_text(prints)
        fresh.rename(self.directory / "go")

    def stands_still(self, started):
        """Its leader may wait in vfork(2) for a child that stands still."""
        pid = started.process.pid
        states = {stat.state for stat in linux.processes() if stat.session == pid}
        return "T" in states and states <= {"T", "D"}

    def loses(self, started):
        os.kill(started.process.pid, signal.SIGKILL)
        os.waitpid(started.process.pid, 0)

    def until_ended(self, started):
        wait_until(lambda: linux.stat_of(started.process.pid).state == "Z")

    def time_passes(self, started):
        before = started.process.age()
        wait_until(lambda: started.process.age() > before + 0.02)

    def unstartable(self):
        return self.launch(Does(), argv=[b"/nowhere/program"])

    @contextmanager
    def no_room(self):
        with mock.patch.object(
            spawning, "spawn", side_effect=BlockingIOError(11, "no process left")
        ):
            yield

    def close(self):
        for started in self._all:
            pid = started.process.pid
            try:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                continue
        super().close()


class FakeStage(Stage):
    name = "fake"
    can_be_away = True

    def __init__(self, directory):
        super().__init__(directory)
        self.world = World()

    def made(self, **context):
        return FakeEngine(context_of(self.directory, name="fake", **context), self.world)

    def takes_no_options(self):
        self.world.options = []

    def began(self, started):
        attempt, does = self.attempt(started), started.does
        if does.ignores_term:
            attempt.ignores = {signal.SIGTERM}
        attempt.prints(does.prints.encode())
        if does.reports:
            attempt.reports(does.reports.encode())
        if not does.waits:
            attempt.ends(exit_code=does.exit)

    def attempt(self, started):
        return self.world.attempt(started.launch.token)

    def go(self, started, prints=""):
        self.attempt(started).prints(prints.encode())
        self.attempt(started).ends(exit_code=started.does.exit)

    def stands_still(self, started):
        return self.attempt(started).stands_still

    def loses(self, started):
        self.world.loses(started.launch.token)

    def until_ended(self, started):
        assert self.attempt(started).outcome is not None

    def time_passes(self, started):
        self.world.now += 5.0
        self.attempt(started).used = Usage(0.5, 1234, 1000)

    def unstartable(self):
        self.world.cannot_start = "/nowhere/program: not found"
        return self.launch(Does())

    @contextmanager
    def no_room(self):
        self.world.no_room = "no process left"
        yield
        self.world.no_room = None


_SHIM = """\
#!/bin/sh
# What a test says of Slurm comes before what Slurm says.
cd '{directory}'
echo {program} >>calls
refuse() {{ echo "{program}: error: $1" >&2; exit 1; }}
[ ! -e away ] || refuse "Unable to contact slurm controller: $(cat away)"
[ {program} != sbatch ] || [ ! -e full ] || refuse "Batch job submission failed: $(cat full)"
export SLURM_CONF='{conf}'
if [ {program} = sbatch ] && [ -e unheard ]; then
    sbatch "$@" >&2; refuse "Socket timed out on send/recv operation"
fi
if [ {program} = sacct ] && [ -e accounting ]; then
    shift 2; echo "$(cat accounting)|$(squeue --noheader --states=all "$1" --format=%j)"; exit 0
fi
if [ {program} = scontrol ] && [ -e lame ]; then refuse "Socket timed out"; fi
if [ {program} = squeue ]; then
    squeue "$@" | grep -v -f forgotten; exit 0
fi
exec {program} "$@"
"""


class Said:
    """What a test says of a cluster, in the place of what would be slow to bring about."""

    def __init__(self, directory, conf):
        self.directory = directory
        directory.mkdir()
        (directory / "forgotten").touch()
        for program in ("sbatch", "squeue", "scancel", "scontrol", "sstat", "sacct"):
            shim = directory / program
            shim.write_text(_SHIM.format(directory=directory, program=program, conf=conf))
            shim.chmod(0o755)

    def goes_away(self, why):
        (self.directory / "away").write_text(why)

    def comes_back(self):
        (self.directory / "away").unlink()

    @contextmanager
    def has_no_room(self, why):
        (self.directory / "full").write_text(why)
        yield
        (self.directory / "full").unlink()

    def says(self, word):
        """`unheard`: sbatch submits, and its answer is lost; `lame`: scontrol has no answer."""
        (self.directory / word).touch()

    def says_no_more(self, word):
        (self.directory / word).unlink()

    def has_accounting(self, said):
        """Which says this of any job: its state and its peak memory."""
        (self.directory / "accounting").write_text(said)

    @property
    def calls(self):
        """The programs that were run, in order."""
        return (self.directory / "calls").read_text().split()

    def forgets(self, token):
        with open(self.directory / "forgotten", "a") as file:
            file.write(f"{token}\n")


class SlurmStage(Stage):
    name = "slurm"
    can_be_away = True
    needs = ("cluster",)
    settings: ClassVar = {}

    def __init__(self, directory, cluster):
        super().__init__(directory)
        self.cluster = cluster
        self.world = Said(directory / "programs", cluster.conf)
        self._hasty = ExitStack()

    def begin(self):
        """Its nodes have been asked for the shared directory, by a daemon before."""
        self.next_engine()
        self.engine._shared._directory.now(make=True)
        os.close(self.engine._shared._directory.file(ANSWER).make(os.O_WRONLY))
        self.engine.recover([])
        return self

    def made(self, **context):
        settings = {"poll": "0.05s", "programs": str(self.world.directory), **self.settings}
        return SlurmEngine(context_of(self.directory, name="slurm", settings=settings, **context))

    def notices(self):
        asked = self.world.calls.count("squeue")
        wait_until(lambda: self.world.calls.count("squeue") > asked + 1, timeout=30)

    def name_of(self, launch):
        return self.engine._names.of(JOB, launch.token)

    def went_on(self, started):
        return wait_until(lambda: self.processes(started), timeout=30)

    def processes(self, started):
        """Of its command, on whatever node."""
        return processes_with(f"JOBD_RUN={started.launch.token}")

    go = LocalStage.go

    def stands_still(self, started):
        """Or, where its command is not there yet, what would start that."""
        found = [linux.stat_of(pid) for pid in self.processes(started) | self.scripts(started)]
        return bool(found) and all(stat and stat.state == "T" for stat in found)

    def scripts(self, started):
        """What runs its command, on whatever node."""
        found = self.cluster.processes()
        return {pid: what for pid, what in found.items() if started.launch.token in what}

    def loses(self, started):
        self.went_on(started)
        # All nodes are this machine: whatever they have written is seen at once.
        self._hasty.enter_context(mock.patch.object(ends, "_PATIENCE_S", 1.0))
        self.world.forgets(started.launch.token)
        _kill(*self.scripts(started), *self.processes(started))

    def until_ended(self, started):
        name = self.name_of(started.launch)
        shown = ["squeue", "--noheader", f"--name={name}"]
        wait_until(lambda: not self.cluster.run(*shown), timeout=30)

    def time_passes(self, started):
        self.went_on(started)
        wait_until(lambda: started.process.age() > 0, timeout=30)
        before = started.process.age()
        wait_until(lambda: started.process.age() > before + 0.02)
        wait_until(lambda: self.engine.usage([started.process])[0].max_rss_kb, timeout=30)

    def unstartable(self):
        return self.launch(Does(), argv=[b"/nowhere/program"])

    def no_room(self):
        return self.world.has_no_room("Slurm temporarily unable to accept job: no process left")

    def close(self):
        for started in self._all:
            self.cluster.run("scancel", "--quiet", f"--name={started.process.name}")
            _kill(*self.processes(started))
        super().close()
        self._hasty.close()


def _kill(*pids):
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class PackedStage(SlurmStage):
    """Attempts come into allocations that are kept."""

    hears_while_away = True
    settings: ClassVar = {"pack": 3}

    def name_of(self, launch):
        return self.engine._names.of_pack(launch.token)

    def until_ended(self, started):
        wait_until(lambda: self.engine._files.end(started.launch.token), timeout=30)

    def loses(self, started):
        self._hasty.enter_context(mock.patch.object(ends, "_PATIENCE_S", 1.0))
        self.went_on(started)
        self.world.forgets(started.process.name)
        scripts = [pid for pid, what in self.cluster.processes().items() if "/packs/" in what]
        _kill(*scripts, *self.processes(started))


STAGES = {stage.name: stage for stage in (LocalStage, FakeStage, SlurmStage)}
STAGES["slurm-packed"] = PackedStage
