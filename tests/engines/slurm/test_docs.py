"""What docs/how-to/slurm.md says of settings and clusters is so."""

import re
from pathlib import Path

import pytest

from jobd.engines.slurm.settings import SlurmSettings
from tests import slurm_cluster

PAGE = (Path(__file__).parents[3] / "docs/how-to/slurm.md").read_text("utf-8")
OF_A_MACHINE = (
    "ClusterName", "SlurmctldHost", "SlurmUser", "ProctrackType", "TaskPlugin", "StateSaveLocation",
    "SlurmdSpoolDir", "SlurmctldLogFile", "SlurmdLogFile", "SlurmctldPidFile", "SlurmdPidFile",
    "NodeName", "PartitionName",
)  # fmt: skip
"""What is another one where three nodes are one machine, without cgroups of its own."""


def test_the_settings_are_those_of_the_engine():
    _, _, section = PAGE.partition("## `[engine.slurm]`")
    rows = re.findall(r"^\| (`.*?) \|", section.partition("\n## ")[0], re.MULTILINE)
    told = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert told == set(SlurmSettings.__struct_fields__)


@pytest.mark.slow  # a cluster of its own
def test_its_configuration_makes_a_cluster():
    block = re.search(r"^```\n(ClusterName=.*?)```$", PAGE, re.MULTILINE | re.DOTALL)[1]
    kept = [line for line in block.splitlines() if line.partition("=")[0] not in OF_A_MACHINE]
    assert kept
    try:
        with slurm_cluster.started("\n".join(kept)) as cluster:
            for line in kept:
                assert line in cluster.conf.read_text()
            assert cluster.run("srun", "--quiet", "echo", "here") == "here\n"
    except slurm_cluster.Unavailable as error:
        pytest.skip(f"no Slurm: {error}")
