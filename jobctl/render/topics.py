"""Pages of `jobctl help` that are about no single command."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Final, NamedTuple


class Topic(NamedTuple):
    """A page: what it is about, in a few words, and its text, which fits a screen's width."""

    title: str
    text: str


class ExitCode(NamedTuple):
    """What a command may end with, what that means, and command lines that end so.

    In the examples job 1 has completed, and job 2 is held.
    """

    code: str
    meaning: str
    examples: tuple[str, ...] = ()


EXIT_CODES: Final = (
    ExitCode("0", "done, or it was so already", ("jobctl stop 1", "jobctl wait 1")),
    ExitCode(
        "1",
        "at least one job could not be done as asked: it depends on the queue as it is",
        (
            "jobctl show 99",
            "jobctl submit --after 99 true",
            "jobctl submit --group none true",
            "jobctl submit --slots 99 true",
            "jobctl submit --gpus 99 true",
            "jobctl edit 1 --name x",
        ),
    ),
    ExitCode(
        "2",
        "wrong usage: a command line that no queue could accept",
        ("jobctl stop", "jobctl submit --slots many true", "jobctl edit 2 --after 2"),
    ),
    ExitCode("69", "the daemon is not running", ("jobctl ls",)),
    ExitCode("75", "the daemon is shutting down and takes no new jobs", ("jobctl submit true",)),
    ExitCode("77", "not permitted"),
    ExitCode("124", "wait --timeout ran out", ("jobctl wait --timeout 0 2",)),
    ExitCode("130", "interrupted by Ctrl-C (watch: 0)"),
)
"""Of every command of `jobctl`."""
JOB_EXIT_CODES: Final = (
    ExitCode("0 to 255", "its own exit code", ("jobctl submit -w 'exit 42'",)),
    ExitCode(
        "128 + N",
        "killed by signal N, also by its time limit",
        (
            "jobctl submit -w 'kill -KILL $$'",
            "jobctl submit -w --time-limit 0.1s 'sleep 60'",
        ),
    ),
    ExitCode("143", "stopped"),
    ExitCode("127", "could not start: not found", ("jobctl submit -w -- no-such-program",)),
    ExitCode(
        "126",
        "could not start for another reason",
        ("jobctl submit -w --stdin /no/such cat",),
    ),
    ExitCode("1", "a job that it waits for has failed, or its end is not known (lost)"),
)
"""Of `wait` for one job and of `submit --wait`: how the job ended."""


_WIDTH: Final = 72
"""Of lists: a page of the manual on a terminal of 80 columns indents them."""


def _columns(rows: Iterable[tuple[str, str]]) -> str:
    """An indented list of words and what they mean."""
    rows = list(rows)
    width = max(len(word) for word, _ in rows) + 4
    return "\n".join(
        textwrap.fill(
            meaning,
            _WIDTH,
            initial_indent=f"  {word}".ljust(width),
            subsequent_indent=" " * width,
        )
        for word, meaning in rows
    )


TOPICS: Final = {
    "manifest": Topic(
        "several jobs in a file",
        """\
A manifest describes several jobs in a file, TOML or JSON: jobs by name, options by their long
names, and in [defaults] those of all jobs. They are submitted all or none, and wait for each other
by name.

  [defaults]
  group = "gpu"

  [jobs.fetch]
  command = "curl -O https://example.org/data"   # a text is a shell line

  [jobs.build]
  command = ["make", "-j4"]                      # a list is an argv
  after = ["fetch"]                              # numbers: jobs that exist
  time-limit = "1h"
  env = {CC = "clang"}

Beside --manifest FILE there may stand --cwd, --env, --clean-env, --wait and --json.

Example:
  jobctl submit --manifest pipeline.toml
""",
    ),
    "script": Topic(
        "options at the head of a script",
        """\
A script is copied as it is when it is submitted: you can edit the file at once. At its head, up to
the first line that is not a comment, it may say what it wants. Later lines win, --tag, --after and
--env collect, and the command line wins over all of them:

  #!/bin/sh
  #JOBCTL --priority high --time-limit 1h
  #JOBCTL --name nightly

Where there is no such line, #SBATCH lines are read, as far as they have a counterpart: --time,
--job-name, --array, --dependency, --gres, --gpus, --gpus-per-node, --ntasks, --cpus-per-task,
--begin, --chdir, --nice, --requeue and --hold. Those that were left out are named.

Words behind FILE are arguments of the script; where the first one begins with a dash, -- comes
before it.

Example:
  jobctl submit --script nightly.sh -- --fast
""",
    ),
    "selectors": Topic(
        "how commands are told which jobs",
        """\
Wherever a command takes jobs, they are named by

  7, 3-9, 1,4,8-10   ids and ranges; several of them
  last, last~1       the job submitted last, the one before
  last-array         all elements of the array submitted last
  -                  ids that are read from stdin, one a line

and narrowed by filters, which all have to hold: --state, --unfinished, --group, --tag, --name,
--command, --user, --since, --until, --ended-since. --name and --command take a pattern that has to
fit as a whole: 'train*'. A single id that does not exist is an error; gaps inside a range are not.
No command changes all jobs because none was named: write --all or a filter.

Example:
  jobctl ls 12-111 --state failed --ids | jobctl restart -
""",
    ),
    "times": Topic(
        "how durations and times are written",
        """\
DURATION: 90 (seconds), 90s, 0.5s, 15m, 1h30m, 2d, 1:30:00.

TIME: 2026-12-24T18:00, 18:00 or 18:00:00. To --at that is the next 18:00, to --since, --until and
--ended-since the latest one. What names no zone is in yours.

--since, --until and --ended-since also take a DURATION: so long ago. What has colons is a time of
day to them, as to --at: for the last hour and a half write 1h30m, as 1:30:00 is half past one.

Example:
  jobctl submit --at 18:00 --time-limit 2h ./report
  jobctl ls --since 2h
""",
    ),
    "exit-codes": Topic(
        "what commands end with",
        f"""\
Every command of jobctl ends with one of these:

{_columns((row.code, row.meaning) for row in EXIT_CODES)}

wait for one job and submit --wait end with a code that tells how the job did; wait for several jobs
with 0 if all completed, else with 1.

{_columns((row.code, row.meaning) for row in JOB_EXIT_CODES)}

jobd status ends with 3 while the daemon is not running.

Example:
  jobctl wait 7 && ./publish
""",
    ),
    "environment": Topic(
        "variables that are read, and those that a job gets",
        f"""\
jobd and jobctl read

{
            _columns(
                [
                    (
                        "JOBD_HOME",
                        "a directory for a queue of its own: configuration, socket, state",
                    ),
                    ("JOBD_SOCKET", "the socket of the daemon that jobctl speaks to"),
                    ("NO_COLOR, TERM", "no colour if NO_COLOR is set, or TERM is dumb"),
                    ("TZ", "the zone of the times that are shown"),
                ]
            )
        }

and, where JOBD_HOME is not set, XDG_CONFIG_HOME and XDG_STATE_HOME: the configuration is
~/.config/jobd/config.toml, all else is in ~/.local/state/jobd.

A job has the environment of the shell that submitted it, and beside that

{
            _columns(
                [
                    ("JOBD_JOB_ID, JOBD_ATTEMPT", "its id, and which attempt this is (1, 2, …)"),
                    ("JOBD_GROUP", "the name of its group"),
                    ("JOBD_SLOT", "1 to N: the lowest place that no other running job has"),
                    ("JOBD_ARRAY_INDEX", "of an element of --array, its index"),
                    ("JOBD_PROGRESS", 'a file to report progress in: echo 40 > "$JOBD_PROGRESS"'),
                    ("JOBD_SOCKET", "leads jobctl inside the job to its daemon"),
                    ("JOBD_RUN", "marks the processes of this attempt"),
                    ("CUDA_VISIBLE_DEVICES", "its GPUs, where --gpus was given"),
                    ("PYTHONUNBUFFERED", "1, unless it is set"),
                ]
            )
        }

Example:
  jobctl submit 'prepare && echo 40 > "$JOBD_PROGRESS" && finish'
""",
    ),
}
"""By name, in the order in which they are listed."""
