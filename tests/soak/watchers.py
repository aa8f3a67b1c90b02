"""Commands that wait and follow while the queue is beaten: what they say must be so in the end."""

import json
import re
import signal
import sys
import threading

from jobd.engines.slurm import ends
from jobd.store.writer import NO_SPACE
from tests.e2e.engine_of_run import where_outputs_are
from tests.e2e.instance import Terminal
from tests.soak import trace
from tests.soak.model import Known, now_us

KINDS = ("wait", "wait --json", "submit -w", "logs -f", "watch", "watch --json")
_JOBS = ("short", "medium", "reports", "dies")
_PAUSE = "sleep 3; talk end;"
"""Such a job lives long enough for the next blows to hit whoever watches it."""
_WITHIN_US = 5_000_000
"""Of quiet, in which an end is told at the latest: the machine is busy."""
_NOT_RUNNING = 69
NOBODY_THERE = b"jobctl:jobdisnotrunning.Startitwith:jobdstart"
"""What a command says that found no daemon from the first, without the blanks."""
_SHUTTING_DOWN = 75


class Followed:
    """A job that nobody else touches, and a command that looks at it."""

    def __init__(self, instance, model, number, verb, dice):
        self.verb = verb
        self.known = model.know(Known(f"followed-{number}", dice.choice(_JOBS)))
        line = trace.line(self.known.kind, dice.randint(1, 9)).replace("talk end;", _PAUSE, 1)
        self._paths = instance.paths
        self._terminal = None
        self._said = self._code = self._over_at = None
        self._begun_at = now_us()
        if verb == "submit -w":
            name = self.known.name
            command = ("submit", "-w", "-n", name, "-p", "high", "-c", line)
        else:
            self.known.id = instance.submit(line, name=self.known.name, priority=100)
            command = (*verb.split(), str(self.known.id))
        if verb == "watch":
            self._terminal = Terminal(instance, "jobctl", *command)
        else:
            self._process = instance.begin("jobctl", *command)
        threading.Thread(target=self._stay, daemon=True).start()

    def _stay(self):
        if self._terminal is None:
            self._said = self._process.communicate()
            self._code = self._process.returncode
        else:
            self._code = self._terminal.end(patience=None)
            self._said = self._terminal.shown, b""
        self._over_at = now_us()

    @property
    def over(self):
        return self._over_at is not None

    def wrong(self, found, model):
        """What was said and is not so. `found`: what the store has."""
        job = next((job for job in found.jobs.values() if job.name == self.known.name), None)
        out, err = self._said
        if self._code == _NOT_RUNNING and self._has_no_end(job, found, model):
            model.count("commands told that jobd is not running")
        elif self._code == _SHUTTING_DOWN and job is None and model.shutdowns:
            model.count("commands told that jobd is shutting down")
        elif job is None and NO_SPACE.encode() in err and model.full:
            model.count("commands told that there is no space left")
        elif job is None:
            yield f"{self.known.name} was waited for and does not exist: {err[-300:]!r}"
        else:
            model.count(f"told the end by {self.verb}")
            about = f"jobctl {self.verb} of job {job.id} ({job.reason or job.state})"
            if not self._is_true(out, err, job, found.attempts[job.id][-1]):
                yield f"{about}: exit {self._code}, said {out[-300:]!r} {err[-300:]!r}"
            late = quiet(found.attempts[job.id][-1].finished, self._over_at, model.strikes)
            if late > _WITHIN_US + _unnoticed(job, model):
                yield f"{about}: told {late / 1e6:.1f} s after its end, daemons dead not counted"

    def _has_no_end(self, job, found, model):
        """Whether there was no end to be told: the command came at the moment when both were dead,
        or the daemon was told to leave, and left, before the job had ended.
        """
        out, err = self._said
        if not has_met_anybody(out, err):
            return any(blow.meets(self._begun_at, self._over_at) for blow in model.blows)
        ended = found.attempts[job.id][-1].finished if job else sys.maxsize
        return shut_down_before(ended, self._over_at, model.shutdowns)

    def _is_true(self, out, err, job, ran):
        if self.verb in ("wait", "wait --json", "submit -w"):
            own = self._code == _code(job, ran)
        else:
            own = self._code == 0
        return own and _CHECKS[self.verb](out, err, job, ran, self._paths)


def _unnoticed(job, model):
    """Microseconds that the engine itself takes where what would have told the end was killed."""
    if any((job.id, job.attempt) in blow.struck for blow in model.there):
        return (ends.UNNOTICED_S + ends.SLURMS_S) * 1e6
    return 0


def has_met_anybody(out, err):
    """Whether a command that was told that jobd is not running had found a daemon at first."""
    # On a terminal both streams are one.
    return NOBODY_THERE not in (spoken(err), spoken(out))


def spoken(out):
    """What there is beside blanks and what drives a terminal."""
    return re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]|\s", b"", out)


def _verdict(job):
    return f"{job.state} ({job.reason})" if job.reason else job.state


def _waited(_out, err, job, _ran, _paths):
    return f"job {job.id} {_verdict(job)}".encode() in err or job.state == "completed"


def _waited_json(out, _err, job, ran, _paths):
    told = json.loads(out)
    ends = [(one["id"], one["state"], one["reason"]) for one in told["jobs"]]
    return (told["exit_code"], ends) == (_code(job, ran), [(job.id, job.state, job.reason)])


def _whole(out, _err, job, _ran, paths):
    """All that there is in the file; what ought to be in it is looked at elsewhere."""
    return out == where_outputs_are(paths).output_of(job.id, 1).read_bytes()


def _watched(out, _err, job, _ran, _paths):
    """It says what changes from its start on: nothing, if the job was faster than it."""
    text = spoken(out).decode()
    return not text or job.state in text


def _watched_json(out, _err, job, _ran, _paths):
    return not out or json.loads(out.splitlines()[-1])["event"] == job.state


_CHECKS = {
    "wait": _waited, "wait --json": _waited_json, "submit -w": _whole, "logs -f": _whole,
    "watch": _watched, "watch --json": _watched_json,
}  # fmt: skip


def _code(job, ran):
    """The exit code of `jobctl wait`, by the contract. `ran`: its last attempt."""
    if job.reason is None:
        return 0
    if job.state == "stopped":
        return 143
    if ran.signal is not None:
        return 128 + signal.Signals[f"SIG{ran.signal}"]
    return ran.exit_code or 1  # lost


def shut_down_before(ended, over, shutdowns):
    """Whether a command that was over at `over` was so since jobd was shut down, and rightly: the
    job that it looked at ended only afterwards.
    """
    return ended > over and any(span.meets(over, over) for span in shutdowns)


def quiet(begun, over, strikes):
    """Microseconds between two times in which no daemon was being struck."""
    at = begun
    quiet = 0
    for strike in strikes:
        if strike.over > at:
            quiet += max(0, min(strike.begun, over) - at)
            at = strike.over
    return quiet + max(0, over - at)
