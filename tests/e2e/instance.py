"""A daemon of its own for a test: the real commands, in a scratch `JOBD_HOME`."""

import contextlib
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import uuid
from pathlib import Path

from jobd.client import follow
from jobd.client.client import Client
from jobd.contract.errors import JobdError
from jobd.contract.models import Command, Options, Selector, Submit
from jobd.contract.paths import is_supervised, locate
from jobd.contract.state_directory import make_private
from jobd.system import linux
from tests.e2e.engine_of_run import configured, where_outputs_are
from tests.helpers import Gate, connections_at, processes_with, wait_until

BIN = Path(sys.executable).parent
PATIENCE = 60.0
"""Seconds that a command may take on a machine that is busy with other things."""


class Instance:
    """`home`: its JOBD_HOME. `work`: where commands run and jobs leave their traces."""

    engine = os.environ.get("TEST_ENGINE", "local")
    """On which jobs of all instances run."""
    section = "poll = '0.1s'\n"
    """What its section of the configuration says, where it is not local."""

    def __init__(self, home, work):
        self.home = Path(home)
        self.work = Path(work)
        self.work.mkdir()
        self.paths = locate({"JOBD_HOME": str(home)})
        self.mark = f"JOBD_TEST_INSTANCE={uuid.uuid4().hex}"
        name, _, value = self.mark.partition("=")
        self.env = {
            **os.environ,
            name: value,
            "JOBD_HOME": str(home),
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }
        self._gates = []
        self._clients = []
        self._halted = []
        self._started = []

    def output_of(self, job, attempt):
        """Where an output lies."""
        return where_outputs_are(self.paths).output_of(job, attempt)

    # --- commands ---------------------------------------------------------------------------

    def run(self, program, *args, env=None, code=None, text=True, **options):
        """Run a command to its end; `code` is the exit code that it must have."""
        options.setdefault("stdin", subprocess.DEVNULL)
        if "input" in options:
            del options["stdin"]
        done = subprocess.run(
            [BIN / program, *args],
            env={**self.env, **(env or {})},
            cwd=self.work,
            capture_output=True,
            check=False,
            timeout=PATIENCE,
            **options,
        )
        if code is not None:
            said = f"{program} {args}: exit {done.returncode}\n{done.stdout!r}\n{done.stderr!r}"
            assert done.returncode == code, said
        if not text:
            return done
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def jobd(self, *args, code=0, **options):
        return self.run("jobd", *args, code=code, **options)

    def jobctl(self, *args, code=0, **options):
        return self.run("jobctl", *args, code=code, **options)

    def on_terminal(self, program, *args, code=0):
        """What a command shows on a terminal, to its end."""
        terminal = Terminal(self, program, *args)
        assert terminal.end() == code, terminal.shown
        return terminal.shown.decode().replace("\r\n", "\n")

    def sh(self, line):
        """A line of shell in which our commands are found."""
        return subprocess.run(
            ["/bin/sh", "-c", line],
            env={**self.env, "PATH": f"{BIN}:{self.env['PATH']}"},
            cwd=self.work, capture_output=True, text=True, check=False, timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def id_of(self, *args, **options):
        """`jobctl submit`: the id that it prints."""
        return int(self.jobctl("submit", *args, **options).stdout)

    def begin(self, program, *args, env=None, **options):
        """Start a command and leave it running; it is ended with the test at the latest."""
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        env = {**self.env, **(env or {})}
        process = subprocess.Popen(
            [BIN / program, *args], env=env, cwd=self.work, **{**given, **options}
        )
        self._started.append(process)
        return process

    def start(self, *args, crash=None, code=0, env=None, **options):
        """`crash`: at which of the points of `jobd.system.failpoints` somebody is killed, once."""
        if not self.paths.config.exists():
            self.configure()
        by_hand = "it was not written by `configure`, and jobs would run here"
        assert self.engine == "local" or self.engine in self.paths.config.read_text(), by_hand
        env = {**(env or {}), **(self.fuse(crash) if crash else {})}
        done = self.jobd("start", *args, env=env, code=code, **options)
        if self.engine != "local" and code == 0 and crash is None:
            # A node is asked first.
            wait_until(lambda: "is away" not in self.jobctl("status", code=None).stdout, PATIENCE)
        return done

    def configure(self, text=""):
        """For all daemons that are started here, whoever does that."""
        if text or self.engine != "local":
            make_private(self.home)
            self.paths.config.write_text(self.configured(text))
            self.paths.config.chmod(0o600)

    def configured(self, text):
        """The same for a file elsewhere."""
        return configured(text, self.engine, self.section)

    def fuse(self, crash):
        """The variable that arms a point."""
        fuse = self.work / "fuse"
        fuse.write_text(crash)
        return {"JOBD_CRASH_AT": str(fuse)}

    # --- the same through a client in this process ------------------------------------------

    def client(self):
        client = Client(self.paths.socket)
        self._clients.append(client)
        return client

    def status(self, **options):
        with Client(self.paths.socket) as client:
            return client.status(**options)

    def submit(self, *lines, name="", priority=0, requeue=False, client=None):
        """Shell lines become jobs; the id of the first."""
        request = Submit(
            commands=[Command(argv=[os.fsencode(line)], shell=True) for line in lines],
            options=Options(name=name, priority=priority, requeue=requeue),
            cwd=os.fsencode(self.work),
            environment={os.fsencode(k): os.fsencode(v) for k, v in self.env.items()},
        )
        with contextlib.ExitStack() as stack:
            client = client or stack.enter_context(Client(self.paths.socket))
            return client.submit(request).first

    def job(self, job):
        with Client(self.paths.socket) as client:
            return client.show(job).job

    def pid_of(self, job):
        """Its process, which the daemon may be told of behind the job's first steps; None: it has
        none of this machine.
        """
        if self.engine != "local":
            return None
        return wait_until(lambda: self.job(job).pid, PATIENCE)

    def attempts(self, job):
        with Client(self.paths.socket) as client:
            return client.show(job).attempts

    def wait(self, first, last=None, timeout=PATIENCE):
        """Until these have finished; the jobs by id."""
        chosen = Selector(ids=[(first, last or first)])
        with Client(self.paths.socket) as client:
            waited = follow.until_finished(client, chosen, timeout=timeout)
            assert waited.done, f"not finished: {waited.counts}"
            pages = follow.pages(client, follow.List(selector=chosen))
            return {job.id: job for page in pages for job in page.jobs}

    def output(self, job, *args):
        return self.jobctl("logs", str(job), *args, text=False).stdout

    # --- waiting for what jobs and daemons do -----------------------------------------------

    def gate(self, name="gate"):
        gate = Gate(self.work / name)
        self._gates.append(gate)
        return gate

    def lines(self, name):
        """What jobs have written into a file so far."""
        path = self.work / name
        return path.read_text().splitlines() if path.exists() else []

    def await_lines(self, name, count):
        return wait_until(lambda: len(found := self.lines(name)) >= count and found, PATIENCE)

    def answers(self):
        """Wait for a daemon that answers, and give its status."""

        def answer():
            with contextlib.suppress(Exception):
                return self.status()

        return wait_until(answer, PATIENCE)

    def answers_anew(self, old):
        """Wait for the daemon that follows the one whose pid is `old`."""
        return wait_until(lambda: (s := self.answers()).pid != old and s, PATIENCE)

    def drain(self, gate):
        """`jobd stop`, under way: it waits for a job that waits for the gate."""
        self.submit(f"echo >>ran; read _ <{gate.path}")
        self.await_lines("ran", 1)
        stop = self.begin("jobd", "stop")
        wait_until(lambda: self.status().draining)
        return stop

    def connections(self):
        """How many clients are connected."""
        return connections_at(self.paths.socket)

    # --- violence ---------------------------------------------------------------------------

    def kill(self, pid):
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: (stat := linux.stat_of(pid)) is None or stat.state in "ZX", PATIENCE)

    def halt(self, pid):
        os.kill(pid, signal.SIGSTOP)
        self._halted.append(pid)
        wait_until(lambda: linux.stat_of(pid).state == "T", PATIENCE)

    def go_on(self, pid):
        self._halted.remove(pid)
        os.kill(pid, signal.SIGCONT)

    def processes(self):
        """All that the daemon and its jobs have left running."""
        return processes_with(self.mark)

    # --- the end ----------------------------------------------------------------------------

    def close(self):
        """End the daemon as a user would; no process may be left."""
        for pid in list(self._halted):
            with contextlib.suppress(ProcessLookupError):
                self.go_on(pid)
        for client in self._clients:
            client.close()
        try:
            if not self._has_left():
                self.jobd("stop", "--now")
        finally:
            for process in self._started:
                self._end(process)
            for gate in self._gates:
                gate.close()
            self._assert_nothing_left()

    def _has_left(self):
        """Whether the daemon was asked to leave, and did: no interpreter is started for that, which
        would take longer than the rest.
        """
        if not is_supervised(self.paths.socket):
            return not self.processes()
        with contextlib.suppress(JobdError, AssertionError):
            with Client(self.paths.socket) as client:
                client.shutdown(now=True, timeout=None)
            wait_until(lambda: not is_supervised(self.paths.socket))
            return True
        return False

    def _end(self, process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def _assert_nothing_left(self):
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.processes(), timeout=5.0)
        left = self.processes()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert not left, f"left behind: {left}"


def take_terminal():
    """In a child, before its program: the terminal is its session's, as after a login."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A command whose three streams are one terminal, 80 columns wide, and what that has shown."""

    def __init__(self, instance, program, *args):
        leader, follower = pty.openpty()
        env = {"TERM": "xterm", "COLUMNS": "80", "LINES": "24", "NO_COLOR": "1"}
        self._process = instance.begin(
            program, *args, env=env, stdin=follower, stdout=follower, stderr=follower
        )
        os.close(follower)
        self.shown = b""
        self._thread = threading.Thread(target=self._read, args=[leader], daemon=True)
        self._thread.start()

    def _read(self, leader):
        with contextlib.suppress(OSError):  # nobody holds the terminal any more
            while True:
                self.shown += os.read(leader, 65536)
        os.close(leader)

    def end(self, patience=PATIENCE):
        """Its exit code."""
        self._thread.join(patience)
        return self._process.wait(patience)


def says_well(said, what):
    """Whether `jobd check` does; first of all it may tell of engines."""
    return said.splitlines()[-1].startswith(f"all is well: {what}")


def json_of(done):
    return json.loads(done.stdout)
