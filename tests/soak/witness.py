"""What a cluster itself says that it did to jobs, in its logs: nobody else is believed that it was
not us, and not a user.

A slurmctld that is killed forgets what it had not saved, and gives the numbers of such jobs anew,
while the nodes still have the old ones: then a node cannot launch the new one and gives it up, or
the end of the old one is taken for that of the new one.
"""

import re
from collections import defaultdict
from datetime import datetime
from typing import NamedTuple

GIVEN_UP = "given up"
"""By a node, or for the end of another one of the same number."""
MISSING = "missing"
"""The node does not have it, or is down."""
FORGOTTEN = "forgotten"
"""Its number, and what it was given to before."""
_LINE = re.compile(r"\[([\dT:.-]+)\] (.*)")
_SAID = {
    GIVEN_UP: re.compile(
        r"Could not launch job (\d+) and not able to requeue it, cancelling job"
        r"|_job_complete: JobId=(\d+) cancelled by interactive user"
    ),
    MISSING: re.compile(
        r"Batch JobId=(\d+) missing from batch node|Killing JobId=(\d+) on failed node"
    ),
    FORGOTTEN: re.compile(r"Purged files for defunct batch JobId=(\d+)"),
}
_CLOCKS_US = 1_000_000
"""By so much later it may be told than done."""


class Said(NamedTuple):
    what: str
    at: int
    """Microseconds since the epoch."""


class Witness:
    def __init__(self, logs):
        self._said = defaultdict(list)
        for log in logs:
            for line in log.read_text(errors="replace").splitlines():
                self._read(line)

    def says(self, what, number, begun, over):
        """Whether this happened to the job of this number between these times."""
        return any(
            said.what == what and begun <= said.at <= over + _CLOCKS_US
            for said in self._said[number]
        )

    def _read(self, line):
        if not (match := _LINE.match(line)):
            return
        for what, pattern in _SAID.items():
            if found := pattern.match(match[2]):
                at = int(datetime.fromisoformat(match[1]).timestamp() * 1e6)
                self._said[next(filter(None, found.groups()))].append(Said(what, at))
