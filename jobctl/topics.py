"""Pages of `jobctl help` that are about no single command."""

from __future__ import annotations

from typing import Final

TOPICS: Final = {
    "manifest": """\
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
    "script": """\
A script is copied as it is when it is submitted; what is changed later is of no account. It may say
at its head, up to the first line that is no comment, what it wants. The command line wins:

  #!/bin/sh
  #JOBCTL --priority high --time-limit 1h
  #JOBCTL --name nightly

Where there is no such line, #SBATCH lines are read, as far as they have a counterpart: --time,
--job-name, --array, --dependency, --gres, --cpus-per-task, --begin, --chdir, --nice, --requeue and
--hold. Those that were left out are named.

Words behind FILE are arguments of the script.

Example:
  jobctl submit --script nightly.sh --fast
""",
    "selectors": """\
Wherever a command takes jobs, they are named by

  7, 3-9, 1,4,8-10   ids and ranges; several of them
  last, last~1       the job submitted last, the one before
  last-array         all elements of the array submitted last
  -                  ids that are read from stdin, one a line

and narrowed by filters, which all have to hold: --state, --unfinished, --group, --tag, --name,
--user, --since, --until, --ended-since. A single id that does not exist is an error; gaps inside a
range are not. No command changes all jobs because none was named: write --all or a filter.

Example:
  jobctl ls 12-111 --state failed --ids | jobctl restart -
""",
    "times": """\
DURATION: 90 (seconds), 90s, 0.5s, 15m, 1h30m, 2d, 1:30:00.

TIME: 2026-12-24T18:00, or 18:00. To --at that is the next 18:00, to --since and --until the latest
one. What names no zone is in yours. --since and --until also take a DURATION: so long ago.

Example:
  jobctl submit --at 18:00 --time-limit 2h ./report
  jobctl ls --since 2h
""",
}
"""By name, in the order in which they are listed."""
