"""A line of Slurm's commands, or of at, is told one that does the same here, or none at all."""

import shlex

import click
import pytest

from jobctl.cli import COMMANDS, group
from tests.jobctl.fakes import jobctl

SUBMITTED = [
    ("sbatch job.sh", "jobctl submit --script job.sh"),
    ("sbatch job.sh --lr 1", "jobctl submit --script job.sh -- --lr 1"),
    ("sbatch -- job.sh -t 1", "jobctl submit --script job.sh -- -t 1"),
    ("sbatch -H job.sh", "jobctl submit --hold --script job.sh"),
    ("sbatch --requeue job.sh", "jobctl submit --requeue --script job.sh"),
    ("sbatch --mem=8G -t 60 job.sh",
     "jobctl submit --time-limit 1h --script job.sh; left out: --mem=8G"),
    ("sbatch --array=1-10%2 -p gpu -ox job.sh",
     "jobctl submit --array 1-10 --group gpu --script job.sh; left out: %2 of --array=1-10%2, -ox"),
    ("sbatch --partition=gpu job.sh", "jobctl submit --group gpu --script job.sh"),
    ("sbatch -p a,b job.sh", "jobctl submit --script job.sh; left out: -p a,b"),
    ("sbatch -n 4 job.sh", "jobctl submit --slots 4 --script job.sh"),
    ("sbatch -n4 -c 2 job.sh", "jobctl submit --slots 8 --script job.sh"),
    ("sbatch -G 2 job.sh", "jobctl submit --gpus 2 --script job.sh"),
    ("sbatch --gpus-per-node=a100:2 job.sh", "jobctl submit --gpus 2 --script job.sh"),
    ("sbatch --export=ALL,A=1 job.sh", "jobctl submit --env A=1 --script job.sh"),
    ("sbatch --export=NONE job.sh", "jobctl submit --clean-env --script job.sh"),
    ("sbatch --export=A job.sh", "jobctl submit --script job.sh; left out: --export=A"),
    ("sbatch -W job.sh", "jobctl submit --wait --script job.sh"),
    ("sbatch -HW job.sh", "jobctl submit --hold --wait --script job.sh"),
    ("sbatch -koff job.sh", "jobctl submit --script job.sh; left out: -koff"),
    ("sbatch --parsable -Q -v job.sh", "jobctl submit --script job.sh"),
    ("sbatch --test-only job.sh", "jobctl submit --script job.sh; left out: --test-only"),
    ("sbatch --wrap 'make all'", "jobctl submit -c 'make all'"),
    ("sbatch -o job.sh make all", "jobctl submit make all; left out: -o job.sh"),
    ("sbatch -t 60", "jobctl submit --time-limit 1h --script FILE"),
    ("sbatch no.sh", "jobctl submit no.sh"),
    ("sbatch", "jobctl submit"),
    ("srun -n 4 -p gpu ./x -t 1", "jobctl submit --wait --group gpu --slots 4 ./x -t 1"),
    ("srun --pty -u bash", "jobctl submit --wait bash; left out: --pty, -u"),
    ("srun -W 5 ./x", "jobctl submit --wait ./x; left out: -W 5"),
    ("srun", "jobctl submit --wait COMMAND"),
    ("qsub job.sh", "jobctl submit --script job.sh"),
    ("qsub job.sh a -b", "jobctl submit --script job.sh a -b"),
    ("qsub job.sh -b", "jobctl submit --script job.sh -- -b"),
    ("qsub make all", "jobctl submit make all"),
    ("qsub -t 1-10 job.sh", "jobctl submit --script FILE"),
    ("qsub -J 1-10 job.sh", "jobctl submit --script FILE"),
]  # fmt: skip
CONTROLLED = [
    ("scontrol hold 7,8", "jobctl hold 7,8"),
    ("scontrol hold job=7", "jobctl hold 7"),
    ("scontrol uhold 7 8", "jobctl hold 7 8"),
    ("scontrol hold jobname=x", "jobctl hold --name x"),
    ("scontrol release 7_3", "jobctl start ID"),
    ("scontrol requeue incomplete 7", "jobctl restart ID"),
    ("scontrol suspend", "jobctl pause ID"),
    ("scontrol show job 7", "jobctl show 7"),
    ("scontrol show job=7", "jobctl show 7"),
    ("scontrol -o show JobId=7", "jobctl show 7"),
    ("scontrol show job 7_3", "jobctl show ID"),
    ("scontrol show job 7,8", "jobctl show ID"),
    ("scontrol show jobs", "jobctl ls"),
    ("scontrol show partition gpu", "jobctl groups"),
    ("scontrol show nodes", "jobd status"),
    ("scontrol show config", "jobd config"),
    ("scontrol show hostnames", None),
    ("scontrol show step 7.0", None),
    ("scontrol ping", None),
    ("scontrol reconfigure", None),
    ("scontrol shutdown", None),
    ("scontrol top 7", None),
    ("scontrol -M other show job 7", None),
    ("scontrol", None),
    ("scontrol update NodeName=n1 State=DRAIN", None),
    ("scontrol update PartitionName=gpu State=UP", None),
    ("scontrol update ReservationName=x Users=eve", None),
    ("scontrol update StepId=7.0 TimeLimit=10", None),
    ("scontrol update JobId=7 Dependency=afterok:3", "jobctl edit 7 --after 3"),
    ("scontrol update JobId=7 Dependency=", "jobctl edit 7 --after none"),
    ("scontrol update JobId=7 Dependency=afternotok:3", "jobctl edit 7 --after SELECTOR"),
    ("scontrol update job=7 TimeLimit=10", "jobctl edit 7 --time-limit 10m"),
    ("scontrol update job 7 TimeLimit=10", "jobctl edit 7 --time-limit 10m"),
    ("scontrol update JobId=7 TimeLimit=+30", "jobctl edit 7 --time-limit DURATION"),
    ("scontrol update JobId=7 TimeLimit+=30", "jobctl edit 7 --time-limit DURATION"),
    ("scontrol update JobId=7 timelimit=UNLIMITED", "jobctl edit 7 --time-limit none"),
    ("scontrol update JobId=7 StartTime=now+1hour", "jobctl edit 7 --delay 1h"),
    ("scontrol update JobId=7 StartTime=now", "jobctl edit 7 --delay none"),
    ("scontrol update JobId=7 StartTime=18:00", "jobctl edit 7 --at 18:00"),
    ("scontrol update JobId=7 StartTime=teatime", "jobctl edit 7 --at TIME"),
    ("scontrol update JobId=7 Priority=9 Partition=gpu", "jobctl edit 7 --priority 9 --group gpu"),
    ("scontrol update JobId=7 Priority=0", "jobctl edit 7 --priority P"),
    ("scontrol update JobId=7 JobName='a b' QOS=x", "jobctl edit 7 --name 'a b'; left out: QOS=x"),
    ("scontrol update JobId=7 QOS=x", "jobctl edit 7 [OPTIONS]"),
    ("scontrol update JobId=7", "jobctl edit 7 [OPTIONS]"),
    ("scontrol update JobId=7,8 Name=x", "jobctl edit ID --name x"),
    ("scontrol update JobId=7_3 Name=x", "jobctl edit ID --name x"),
]  # fmt: skip
CANCELLED = [
    ("scancel 7 8", "jobctl stop 7 8"),
    ("scancel -n foo", "jobctl stop --name foo"),
    ("scancel --jobname=foo", "jobctl stop --name foo"),
    ("scancel --me", "jobctl stop --user me"),
    ("scancel -ubob -t pd", "jobctl stop --user bob --state pending"),
    ("scancel -b -s TERM 7", "jobctl stop --signal TERM 7"),
    ("scancel --signal=KILL -f 7", "jobctl stop --signal KILL 7"),
    ("scancel -s STOP 7", "jobctl pause 7"),
    ("scancel -s CONT 7", "jobctl resume 7"),
    ("scancel -s USR1 7", None),
    ("scancel 7_3", "jobctl stop ID"),
    ("scancel 7.0", "jobctl stop ID"),
    ("scancel 7_[1-3] 8", "jobctl stop ID"),
    ("scancel", "jobctl stop ID"),
    ("scancel -u eve -q long", "jobctl stop ID"),
    ("scancel -t PD -t R", "jobctl stop --state running"),
    ("scancel -t R --state=PD 7 8", "jobctl stop --state pending 7 8"),
    ("scancel -n a -p x --jobname=b --partition y", "jobctl stop --name b --group y"),
    ("scancel -u bob --me", "jobctl stop --user me"),
    ("scancel --me --user bob", "jobctl stop --user bob"),
    ("scancel -n a,b -n c", "jobctl stop --name c"),
    ("scancel -n c -n a,b", "jobctl stop ID"),
    ("scancel -s TERM -s KILL 7", "jobctl stop --signal KILL 7"),
    ("scancel -t CONFIGURING,nonsense", "jobctl stop ID"),
    ("scancel -n a,b", "jobctl stop ID"),
    ("scancel -n 'x*'", "jobctl stop ID"),
    ("kill -15 7", "jobctl stop --signal TERM 7"),
    ("kill -s SIGINT 7", "jobctl stop --signal INT 7"),
    ("kill --signal=HUP 7", "jobctl stop --signal HUP 7"),
    ("kill --signal KILL 7", "jobctl stop --signal KILL 7"),
    ("kill -n 9 7", "jobctl stop --signal KILL 7"),
    ("cancel -n train 7", "jobctl stop -n train 7"),
    ("kill -STOP 7", "jobctl pause 7"),
    ("kill -USR1 7", None),
    ("kill -0 7", None),
    ("kill -a", "jobctl stop --all"),
    ("kill -l", "jobctl stop --help"),
    ("kill --list=9", "jobctl stop --help"),
    ("kill -q 3 7", "jobctl stop --help"),
    ("remove --oldest 7", "jobctl rm --help"),
    ("lgos --nonsense 7", "jobctl logs --help"),
    ("lgos -n", "jobctl logs --help"),
    ("kill", "jobctl stop ID"),
    ("qdel 7.host", "jobctl stop ID"),
]
LISTED = [
    ("squeue -t all", "jobctl ls"),
    ("squeue -h -j 7", "jobctl ls 7"),
    ("squeue -j7,8", "jobctl ls 7,8"),
    ("squeue -ubob", "jobctl ls --user bob"),
    ("squeue --user=bob,eve -l", "jobctl ls --user bob,eve"),
    ("squeue -o %i --noheader", "jobctl ls"),
    ("squeue --format '%i %j' --start", "jobctl ls"),
    ("squeue --me", "jobctl ls --user me"),
    ("squeue -t CA,TO,S,CG", "jobctl ls --state stopped,failed,running"),
    ("squeue -t PD,nonsense", "jobctl ls; left out: -t PD,nonsense"),
    ("squeue -p gpu -n x", "jobctl ls --group gpu --name x"),
    ("squeue -t PD -t R -j 7 -j 8", "jobctl ls --state running 8"),
    ("squeue -t nonsense -t R", "jobctl ls --state running"),
    ("squeue -q long -u eve", "jobctl ls --user eve; left out: -q long"),
    ("squeue -j 7_3", "jobctl ls ID"),
    ("list -t sweep --json", "jobctl ls -t sweep --json"),
    ("ps -ef", "jobctl ls"),
    ("qstat -u bob -f", "jobctl ls"),
    ("qstat 7", "jobctl ls 7"),
    ("sstat -j 7 --format=x", "jobctl show 7"),
    ("sinfo -N -l", "jobctl groups"),
]
AT = [
    ("at 18:00 make all", "jobctl submit --at 18:00 make all"),
    ("at 18:00", "jobctl submit --at 18:00 COMMAND"),
    ("at 2026-12-24T18:00", "jobctl submit --at 2026-12-24T18:00 COMMAND"),
    ("at now + 5 minutes", "jobctl submit --delay 5m COMMAND"),
    ("at now +1 hour", "jobctl submit --delay 1h COMMAND"),
    ("at now", "jobctl submit COMMAND"),
    ("at now + 2 months", "jobctl submit --at TIME COMMAND"),
    ("at -f job.sh 18:00", "jobctl submit --at 18:00 --script job.sh"),
    ("at -f job.sh now + 1 day", "jobctl submit --delay 1d --script job.sh"),
    ("at 18:00 -f job.sh", "jobctl submit --at 18:00 --script job.sh"),
    ("at noon", "jobctl submit --at 12:00 COMMAND"),
    ("at 18:00 tomorrow", "jobctl submit --at TIME COMMAND"),
    ("at 25:00", "jobctl submit --at TIME COMMAND"),
    ("at 18:00 -m", "jobctl submit --at TIME COMMAND"),
    ("at -m 4pm", "jobctl submit --at TIME COMMAND"),
    ("at --help", "jobctl submit --at TIME COMMAND"),
    ("at", "jobctl submit --at TIME COMMAND"),
    ("at -l", "jobctl ls"),
    ("at -d 3 4", "jobctl stop 3 4"),
    ("at -r 3", "jobctl stop 3"),
    ("at -d", "jobctl stop ID"),
    ("at -c 3", "jobctl show 3"),
    ("atrm 3", "jobctl stop 3"),
]
OTHERS = [
    ("switch", "jobctl edit ID --priority high"),
    ("priority", "jobctl edit ID --priority high"),
]
TABLE = [*SUBMITTED, *CONTROLLED, *CANCELLED, *LISTED, *AT, *OTHERS]
PLACES = {
    "ID": "7",
    "SELECTOR": "7",
    "FILE": "job.sh",
    "COMMAND": "true",
    "DURATION": "1h",
    "TIME": "18:00",
    "P": "high",
    "[OPTIONS]": "",
}
"""What a person puts there."""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGNAME", "me")
    (tmp_path / "job.sh").write_text("#!/bin/sh\n")


@pytest.mark.parametrize(("typed", "meant"), TABLE)
def test_what_is_meant_here(typed, meant):
    """As a line for the shell a script was not found: sbatch takes it from this directory."""
    result = jobctl(*shlex.split(typed))
    assert result.code == 2
    told = [line for line in result.stderr.splitlines() if "no command" in line]
    hint = "" if meant is None else f"; did you mean: {meant}"
    assert told == [f"jobctl: no command {typed.split()[0]!r}{hint}"]


@pytest.mark.parametrize(
    "meant", sorted({meant for _, meant in TABLE if meant and not meant.endswith("--help")})
)
def test_it_can_be_typed(meant):
    """The parser of the command itself takes it, each value included."""
    program, name, *words = shlex.split(meant.partition("; left out: ")[0])
    if program == "jobctl":
        words = [PLACES.get(word, word) for word in words]
        root = click.Context(group, **group.context_settings)
        command = group.get_command(root, name)
        command.make_context(name, [word for word in words if word], parent=root)
        assert name in COMMANDS


def test_a_long_command_of_sbatch_is_looked_at_once(monkeypatch):
    """Each of its words was taken for the script, and all before it were read again."""
    looked = []
    monkeypatch.setattr("os.path.isfile", lambda name: looked.append(name) or False)
    jobctl("sbatch", "-t", "60", *["word"] * 3000)
    assert looked == ["word"]
