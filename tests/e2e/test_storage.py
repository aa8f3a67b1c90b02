"""Disks that are full, damaged, read-only or slow, with the real commands."""

import json
import os
import stat

import pytest

pytestmark = pytest.mark.e2e


def test_check_and_backup_beside_a_daemon_and_without_one(instance):
    missing = instance.jobd("check", code=1)
    assert missing.stderr.startswith("jobd: there is no database at ")
    instance.start()
    instance.jobctl("submit", "-w", "echo hello")
    for _ in range(2):
        found = instance.jobd("check")
        assert found.stdout.startswith("all is well: 1 jobs, 1 output files, schema ")
        assert json.loads(instance.jobd("check", "--json").stdout)["findings"] == []
        said = instance.jobd("backup", "--force", "copy.db")
        assert said.stdout.startswith("copy.db: 1 jobs, ")
        assert stat.S_IMODE((instance.work / "copy.db").stat().st_mode) == 0o600
        instance.jobd("stop")
    refused = instance.jobd("backup", "copy.db", code=1)
    assert refused.stderr == (
        f"jobd: {instance.work}/copy.db exists; name another file, or overwrite it: --force\n"
    )
    assert sorted(os.listdir(instance.work)) == ["copy.db"]
    instance.paths.output_of(1, 1).unlink()
    found = instance.jobd("check", code=1)
    assert found.stdout.splitlines() == [
        f"the output of job 1 is missing: {instance.paths.output_of(1, 1)}",
        "    next: put it back from a backup if you have one; the job itself is not affected",
    ]
    (finding,) = json.loads(instance.jobd("check", "--json", code=1).stdout)["findings"]
    assert (finding["kind"], finding["job"]) == ("output", 1)


def test_the_files_of_an_instance_in_memory_are_found(instance):
    instance.start("--ephemeral")
    instance.id_of("true")
    assert "/dev/shm/" in instance.jobd("check").stdout
    assert instance.jobd("backup", "copy.db").stdout.startswith("copy.db: 1 jobs, ")
