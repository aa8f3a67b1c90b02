"""Nothing starts before a node has shown that it has the shared directory."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from jobd.contract.state_directory import make_private
from jobd.engines.base import Away
from jobd.engines.slurm import SlurmEngine, shared
from tests.engines.contexts import context_of
from tests.engines.slurm.listing import listed
from tests.engines.stages import Does, Said, SlurmStage
from tests.helpers import wait_until
from tests.slurm_cluster import cluster  # noqa: F401 - a fixture


class Asking:
    """An engine that nobody has asked a node for; `nodes`: what they have at its path."""

    def __init__(self, base, cluster):  # noqa: F811
        self.cluster = cluster
        self.world = Said(base / "programs", cluster.conf)
        make_private(base / "instance")
        self.told = threading.Event()
        settings = {"poll": "0.05s", "programs": str(self.world.directory)}
        self.context = context_of(
            base / "instance", name="slurm", settings=settings, back=self.told.set
        )
        self.engine = SlurmEngine(self.context)
        self.folder = Path(self.engine._shared._directory.path)
        self.name = self.engine._shared._name

    def why(self):
        """Why nothing starts; None: it may."""
        try:
            self.engine.recover([])
        except Away as error:
            return str(error)
        return None

    def until_told_no(self):
        self.why()
        wait_until(lambda: self.engine._shared._not_before, timeout=60)
        return self.why()


@pytest.fixture
def asking(tmp_path, cluster):  # noqa: F811
    made = Asking(tmp_path, cluster)
    yield made
    made.engine.close()


def test_a_node_is_asked_and_then_jobs_start(asking):
    assert asking.why() == f"whether a node has {asking.folder} is not known yet"
    assert asking.told.wait(60)
    assert asking.why() is None
    assert (asking.folder / "answered").read_text().strip() in ("n1", "n2", "n3")
    asked = asking.world.calls.count("sbatch")
    asking.engine.close()
    asking.engine = SlurmEngine(asking.context)
    assert asking.why() is None, "it is asked once"
    assert asking.world.calls.count("sbatch") == asked == 1


def test_nothing_starts_before(tmp_path, cluster):  # noqa: F811
    stage = SlurmStage(tmp_path / "instance", cluster)
    stage.next_engine()
    with pytest.raises(Away, match="is not known yet"):
        stage.started(stage.launch(Does()))
    assert stage.engine._files.names() == []
    stage.close()


def test_a_node_that_has_another_directory_there(asking, monkeypatch):
    """It is emptied before the node looks, as a mount point without what is mounted there."""
    monkeypatch.setattr(shared, "_AGAIN_S", 0.0)
    release = asking.engine._commands.release

    def emptied(name):
        shutil.rmtree(asking.folder)
        release(name)

    monkeypatch.setattr(asking.engine._commands, "release", emptied)
    why = asking.until_told_no()
    node, _, rest = why.partition(" ")
    assert node in ("n1", "n2", "n3")
    assert rest == (
        f"does not have {asking.folder} as it is here; "
        "name a directory that all nodes share: [engine.slurm] shared_dir"
    )
    monkeypatch.setattr(asking.engine._commands, "release", release)
    wait_until(lambda: asking.why() is None, timeout=60)


def test_what_the_node_writes_is_not_seen_here(asking, monkeypatch):
    monkeypatch.setattr(shared, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(shared, "_SCRIPT", shared._SCRIPT.replace(b"mv answered.new", b": "))
    assert f" writes into {asking.folder} is not seen here; name" in asking.until_told_no()


def test_a_node_that_cannot_write_there(asking, monkeypatch):
    monkeypatch.setattr(shared, "_SCRIPT", shared._SCRIPT.replace(b">answered.new", b">no/where"))
    assert f" cannot write into {asking.folder}; name" in asking.until_told_no()


def test_one_that_waits_in_slurm_says_why_and_leaves_nothing_there(asking, monkeypatch):
    monkeypatch.setattr(asking.engine._commands, "release", lambda _: None)
    asking.why()
    why = wait_until(lambda: "asks: " in (said := asking.why()) and said, timeout=60)
    assert why.endswith("asks: pending, jobhelduser")
    asking.engine.close()
    assert listed(asking.cluster, asking.name) == "CANCELLED"


def test_slurm_is_away_when_a_node_is_to_be_asked(asking, monkeypatch):
    """Nobody has said no: it is asked again soon."""
    monkeypatch.setattr(shared, "_AGAIN_S", 3600.0)
    asking.world.goes_away("nobody is there")
    assert asking.until_told_no() == "Unable to contact slurm controller: nobody is there"
    asking.world.comes_back()
    wait_until(lambda: asking.why() is None, timeout=60)


def test_an_answer_in_a_folder_that_others_can_change_is_none(asking):
    asking.why()
    assert asking.told.wait(60)
    os.chmod(asking.folder, 0o777)
    fresh = SlurmEngine(asking.context)
    with pytest.raises(Away, match="other users can write"):
        fresh.recover([])
    fresh.close()
