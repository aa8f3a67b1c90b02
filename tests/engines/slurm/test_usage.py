"""What Slurm's accounting tells of running jobs: asked once for all of them."""

import os

import pytest

from jobd.core.usage import Usage
from jobd.engines.slurm.commands import SlurmCommands, _used


@pytest.mark.parametrize(
    ("said", "used"),
    [
        ("12.batch|00:01:30|2048K\n", {12: Usage(90.0, 2048)}),
        (
            "12.extern|00:00:00|0\n12.batch|00:00:03|1M\n12.0|00:00:04|3M\n13.batch|1-00:00:00|2G\n",
            {12: Usage(7.0, 3072), 13: Usage(86400.0, 2 * 1024**2)},
        ),
        ("12.batch||\n", {12: Usage()}),
        ("12.extern||\n12.batch|00:00:02|\n", {12: Usage(2.0)}),
        ("sstat: warning\n\n", {}),
    ],
)
def test_all_steps_of_a_job_count(said, used):
    assert _used(said) == used


def test_all_jobs_are_asked_for_at_once(tmp_path, monkeypatch):
    program = tmp_path / "sstat"
    program.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\necho "7.batch|00:00:01|4K"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert SlurmCommands(str(tmp_path), []).usage([7, 8]) == {7: Usage(1.0, 4)}
    assert SlurmCommands(str(tmp_path), []).usage([]) == {}
    [call] = (tmp_path / "calls").read_text().splitlines()
    assert "--jobs=7,8" in call
