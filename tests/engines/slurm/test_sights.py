"""What `jobd check` says of Slurm: whether it would take a job as the configuration asks for it."""

import os

import pytest

from jobd.contract.state_directory import make_private
from jobd.engines.slurm import SlurmEngine
from jobd.engines.slurm.notes import instance_of
from tests.engines.contexts import context_of
from tests.engines.stages import Said
from tests.slurm_cluster import cluster  # noqa: F401 - a fixture


@pytest.fixture
def look(tmp_path, cluster):  # noqa: F811
    """What is seen with these settings; nothing is written in between."""
    make_private(tmp_path / "instance")
    paths = context_of(tmp_path / "instance").paths
    world = Said(tmp_path / "programs", cluster.conf)

    def look(**settings):
        before = sorted(tmp_path.rglob("*"))
        seen = SlurmEngine.look({"programs": str(world.directory), **settings}, paths)
        assert {*tmp_path.rglob("*")} - {*before} <= {world.directory / "calls"}
        return seen

    look.world, look.paths = world, paths
    return look


def test_a_cluster_that_takes_jobs(look, cluster):  # noqa: F811
    slurm, shared = look(partition="all")
    assert slurm.text.startswith("takes jobs (1 processors on nodes n")
    assert slurm.text.endswith("in partition all)")
    assert shared.text.startswith(f"shared directory {look.paths.data} (no node has")
    assert not slurm.next_step
    assert not shared.next_step
    assert cluster.run("squeue", "--noheader", "--states=all", "--name=sbatch") == ""


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"partition": "nowhere"}, "Invalid partition name specified"),
        ({"submit_options": ["--mem=900G"]}, "Requested node configuration is not available"),
        ({"submit_options": ["--no-such"]}, "unrecognized option '--no-such'"),
    ],
)
def test_what_the_configuration_asks_for_in_vain(look, settings, said):
    slurm, _ = look(**settings)
    assert said in slurm.text
    assert "[engine.slurm]" in slurm.next_step
    assert "--test-only" in slurm.next_step


def test_one_that_does_not_answer(look):
    look.world.goes_away("nobody is there")
    slurm, shared = look()
    assert slurm.text == "away: Unable to contact slurm controller: nobody is there"
    assert "scontrol ping" in slurm.next_step
    assert not shared.next_step


def test_programs_that_are_not_there(look):
    slurm, _ = look(programs="/nowhere")
    assert slurm.text == "away: sbatch cannot be run: no such file or directory"


def test_a_shared_directory_that_is_not_there(look, tmp_path):
    _, shared = look(shared_dir=str(tmp_path / "absent"))
    assert shared.text == f"shared directory: {tmp_path / 'absent'} is not there"
    assert "shared_dir" in shared.next_step


def test_a_folder_in_it_that_others_can_change(look, tmp_path):
    instance = instance_of(look.paths.data)
    (tmp_path / "shared").mkdir()
    folder = tmp_path / "shared" / f"slurm-{instance}"
    folder.mkdir(0o700)
    assert not look(shared_dir=str(tmp_path / "shared"))[1].next_step
    os.chmod(folder, 0o777)
    _, shared = look(shared_dir=str(tmp_path / "shared"))
    assert "other users can write" in shared.text
    assert shared.next_step.startswith("make it yours alone")
