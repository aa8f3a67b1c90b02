"""Jobs that leave traces: a line when an attempt begins, one when it ends, and a known output.

`trace` in the working directory grows by `b JOB ATTEMPT RUN` and `e JOB ATTEMPT RUN HOW AT`; HOW is
what the attempt is about to do: an exit code, or KILL where it kills itself. AT: nanoseconds since
the epoch.
"""

from collections import defaultdict
from itertools import pairwise
from typing import NamedTuple

FILE = "trace"
CODES = 4
"""Exit codes are 0 to 3, by job and attempt: a code of another attempt is never taken for it."""
LINES = 40
"""Of output, before and after what a job does."""
_HEAD = (
    f'echo "b $JOBD_JOB_ID $JOBD_ATTEMPT $JOBD_RUN" >>{FILE};'
    f" how=$(((JOBD_JOB_ID + JOBD_ATTEMPT) % {CODES})); me=$JOBD_JOB_ID.$JOBD_ATTEMPT;"
    ' talk() { n=0; while [ $n -lt 40 ]; do echo "$1 $n of $me"; n=$((n + 1)); done; }; talk begin;'
)
_TAIL = (
    f' talk end; echo "e $JOBD_JOB_ID $JOBD_ATTEMPT $JOBD_RUN $how $(date +%s%N)" >>{FILE};'
    ' if [ "$how" = KILL ]; then kill -KILL $$; else exit $how; fi'
)
KINDS = {
    "quick": ":;",
    "short": "sleep 0.0{dice};",
    "medium": "sleep 0.{dice}; sleep 0.{dice};",
    "children": "sleep 0.{dice} & sleep 0.1 & wait;",
    "long": "sleep {dice};",
    "stubborn": "trap '' TERM; sleep {dice};",
    "dies": "sleep 0.0{dice}; how=KILL;",
    "reports": 'for p in 10 50 90; do echo "$p step" >"$JOBD_PROGRESS"; sleep 0.1; done;',
}


def line(kind, dice):
    """The shell line of a job; `dice`: a digit from 1 to 9 that sets how long it takes."""
    return f"{_HEAD} {KINDS[kind].format(dice=dice)} {_TAIL}"


def planned(kind, job, attempt):
    """How an attempt ends when nobody stops it: what the end line says."""
    return "KILL" if kind == "dies" else str((job + attempt) % CODES)


def output(job, attempt):
    """All that an attempt prints."""
    me = f"{job}.{attempt}"
    told = [f"{word} {n} of {me}\n" for word in ("begin", "end") for n in range(LINES)]
    return "".join(told).encode()


class Trace(NamedTuple):
    begun: dict[tuple[int, int], list[str]]
    """(job, attempt) → the tokens of all that began as it."""
    ended: dict[tuple[int, int], list[str]]
    """(job, attempt) → how it was about to end."""
    ended_at: dict[tuple[int, int], int]
    """(job, attempt) → when it was about to end, microseconds since the epoch."""
    overlaps: list[str]
    """Attempts that did something after the next one of the same job had begun."""


def read(lines):
    begun, ended, order = defaultdict(list), defaultdict(list), defaultdict(list)
    ended_at = {}
    for text in lines:
        word, job, attempt, token, *how = text.split()
        key = int(job), int(attempt)
        order[key[0]].append(key[1])
        if word == "b":
            begun[key].append(token)
        else:
            ended[key].append(how[0])
            ended_at[key] = int(how[1]) // 1000
    overlaps = [
        f"job {job}: attempt {a} was still at work after attempt {b} had begun"
        for job, attempts in order.items()
        for b, a in pairwise(attempts)
        if a < b
    ]
    return Trace(begun, ended, ended_at, overlaps)
