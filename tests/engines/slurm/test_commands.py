"""What Slurm's programs say where slurmctld dies just then, as slurm_strerror(3) has it: Slurm is
away, which says nothing about a job.
"""

import pytest

from jobd.engines.base import Away, CannotStart
from jobd.engines.slurm.commands import SlurmCommands

BROKEN = [
    "Unable to contact slurm controller (connect failure)", "Unexpected message received",
    "Message send failure", "Message receive failure", "Insane message length",
    "Header lengths are longer than data received", "Zero Bytes were transmitted or received",
    "Socket timed out on send/recv operation", "Protocol authentication error",
    "Incompatible versions of client and server code", "Unspecified error",
    "Slurm backup controller in standby mode", "Communication connection failure",
    "Protocol version has changed, re-link your code",
]  # fmt: skip


@pytest.fixture
def commands(tmp_path):
    def saying(text):
        for program in ("sbatch", "scontrol"):
            shim = tmp_path / program
            said = f"echo '{program}: error: {text}' >&2"
            shim.write_text(f"#!/bin/sh\ncat >/dev/null\n{said}\nexit 1\n")
            shim.chmod(0o755)
        return SlurmCommands(str(tmp_path), [])

    return saying


@pytest.mark.parametrize("why", BROKEN)
def test_a_broken_conversation_is_no_refusal(commands, why):
    with pytest.raises(Away):
        commands(f"Batch job submission failed: {why}").submit("name", b"", [])
    with pytest.raises(Away):
        commands(why).release("name")


def test_a_refusal_is_one(commands):
    with pytest.raises(CannotStart, match="Slurm: Requested node configuration"):
        commands(
            "Batch job submission failed: Requested node configuration is not available"
        ).submit("name", b"", [])


def test_of_thousands_that_have_ended_only_those_that_are_asked_for_are_read(tmp_path):
    lines = [
        "1|COMPLETED|0|None|n1|1000|jobd-1-a-x|",
        "2|RUNNING|0|None|n1|1000|jobd-2-a-y|",
        "3|PENDING|0|JobHeldUser|n/a|N/A|jobd-3-a-z|",
        "4|COMPLETED|0|None|n1|1000|some|body's|",
        "warning",
    ]
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\ncat <<'END'\n" + "\n".join(lines) + "\nEND\n")
    squeue.chmod(0o755)
    commands = SlurmCommands(str(tmp_path), [])
    assert [seen.number for seen in commands.listing()] == [1, 2, 3, 4]
    assert [seen.number for seen in commands.listing({"jobd-1-a-x"})] == [1, 3]
    assert [seen.number for seen in commands.listing(set())] == [3]
