"""Commands that wait and follow while the queue is beaten: what they say must be so in the end."""

import json

from tests.soak import trace
from tests.soak.model import Known

_KINDS = ("short", "medium", "reports", "dies")
_PAUSE = "sleep 1; talk end;"
"""Such a job lives long enough for the next blow to hit whoever watches it."""
_NOT_RUNNING = 69
_SHUTTING_DOWN = 75


class Followed:
    """A job that nobody else touches, and the commands that look at it."""

    def __init__(self, instance, model, number, dice):
        self.known = model.know(Known(f"followed-{number}", dice.choice(_KINDS)))
        line = trace.line(self.known.kind, dice.randint(1, 9)).replace("talk end;", _PAUSE, 1)
        if dice.random() < 0.3:
            self._begun = {
                "submit -w": instance.begin(
                    "jobctl", "submit", "-w", "-n", self.known.name, "-p", "high", "-c", line
                )
            }
            return
        self.known.id = instance.submit(line, name=self.known.name, priority=100)
        chosen = str(self.known.id)
        self._begun = {
            verb: instance.begin("jobctl", *verb.split(), chosen)
            for verb in dice.sample(["wait", "logs -f", "watch --json"], 2)
        }

    @property
    def over(self):
        return all(process.poll() is not None for process in self._begun.values())

    def wrong(self, job, model, patience):
        """What was said and is not so. `job`: the row of it that the store has, by name."""
        found = []
        for verb, process in self._begun.items():
            out, err = process.communicate(timeout=patience)
            if process.returncode == _NOT_RUNNING and not out and model.blows:
                # It came at the moment when both were dead: then there is none, and it says so.
                model.count("commands told that jobd is not running")
            elif process.returncode == _SHUTTING_DOWN and job is None and model.shutdowns:
                model.count("commands told that jobd is shutting down")
            elif job is None:
                found.append(f"{self.known.name} was waited for and does not exist")
            elif not _true(verb, process.returncode, out, job):
                found.append(
                    f"jobctl {verb} of job {job.id} ({job.reason or job.state}): exit"
                    f" {process.returncode}, said {out[-200:]!r} {err[-300:]!r}"
                )
        return found


def _true(verb, code, out, job):
    cut_off = job.reason in ("lost", "shutdown")
    whole = out == trace.output(job.id, 1) or (cut_off and trace.output(job.id, 1).startswith(out))
    if verb == "wait":
        return code == _code(job)
    if verb == "submit -w":
        return code == _code(job) and whole
    if verb == "logs -f":
        return code == 0 and whole
    # It says what changes from its start on: nothing, if the job was faster than it.
    return code == 0 and (not out or json.loads(out.splitlines()[-1])["event"] == job.state)


def _code(job):
    """The exit code of `jobctl wait`, by the contract."""
    if job.reason is None:
        return 0
    how = job.reason.split()[-1]
    return {"KILL": 137, "lost": 1, "shutdown": 143}.get(how) or int(how)
