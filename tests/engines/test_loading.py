"""How an engine is found and told what its section says; each error names its key."""

import threading
from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta, Struct

from jobd.contract.errors import BadRequest
from jobd.contract.paths import locate
from jobd.contract.state_directory import make_private
from jobd.engines import loading
from jobd.engines.base import BadSetting
from jobd.engines.local import LocalEngine
from jobd.engines.slurm.notes import instance_of
from jobd.system import linux
from tests.engines.contexts import context_of


class Settings(Struct, frozen=True):
    partition: str
    max_jobs: Annotated[int, Meta(ge=1)] = 100


def test_a_section_becomes_what_its_engine_says():
    found = loading.settings_as(Settings, {"partition": "long", "max_jobs": 3})
    assert found == Settings("long", 3)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"partition": "a", "max_job": 3}, "has no key max_job; did you mean: max_jobs"),
        ({"partition": 3}, "partition: must be text in quotes"),
        ({"partition": "a", "max_jobs": 0}, "max_jobs: must be at least 1"),
        ({}, "partition: has to be given"),
    ],
)
def test_a_key_without_sense_is_named(section, words):
    with pytest.raises(BadSetting, match=words):
        loading.settings_as(Settings, section)


def test_what_an_entry_point_leads_to_is_made_with_its_context(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    engine = loading.load(context_of(tmp_path / "state"))
    assert isinstance(engine, LocalEngine)
    engine.close()


class Broken:
    name = "broken"

    @staticmethod
    def load():
        raise ModuleNotFoundError("No module named 'nomad'")


def test_a_library_that_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(loading, "entry_points", lambda **_: [Broken])
    with pytest.raises(BadRequest, match=r"^engine: 'broken' cannot be loaded: No module named"):
        loading.check({"broken": "engine"}, {})
    loading.check({}, {"broken": {}})


class Blind:
    name = "blind"

    @staticmethod
    def load():
        return Blind

    @staticmethod
    def check(settings):
        pass

    @staticmethod
    def look(settings, paths):
        raise RuntimeError(f"no eyes for {settings['what']}")


def test_one_that_breaks_down_when_it_is_looked_at_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(loading, "entry_points", lambda **_: [Blind])
    (seen,) = loading.look("blind", "engine", {"what": "this"}, context_of(tmp_path).paths)
    assert seen.text == "it cannot be looked at: RuntimeError: no eyes for this"
    assert seen.next_step


def test_one_that_hangs_when_it_is_looked_at_keeps_nobody(monkeypatch, tmp_path):
    """As Slurm's shared directory does where its file server is dead."""
    server = threading.Event()
    monkeypatch.setattr(Blind, "look", lambda *_: server.wait())
    monkeypatch.setattr(loading, "entry_points", lambda **_: [Blind])
    monkeypatch.setattr(loading, "_PATIENCE_S", 0.05)
    (seen,) = loading.look("blind", "engine", {}, context_of(tmp_path).paths)
    server.set()
    assert seen.text == "it cannot be looked at: no answer within 0.05 s"
    assert seen.next_step


def test_only_of_an_engine_that_says_where_output_is_looked_for(tmp_path):
    make_private(tmp_path / "instance")
    paths, shared = context_of(tmp_path / "instance").paths, {"slurm": {"shared_dir": "/shared"}}
    assert loading.outputs("local", None, paths) == paths.output
    assert loading.outputs("nowhere", {}, paths) is None
    assert loading.outputs("slurm", shared, paths) is None, "it was never used here"
    instance = instance_of(paths.data)
    assert loading.outputs("slurm", shared, paths) == Path(f"/shared/slurm-{instance}/output")
    assert loading.outputs("slurm", {}, paths) == paths.data / f"slurm-{instance}/output"
    assert loading.outputs("slurm", None, paths) is None, "it may be anywhere"
    assert loading.outputs("slurm", {"slurm": {"pack": "many"}}, paths) is None


def test_whether_the_machine_was_booted_is_asked_of_engines_that_can_tell(tmp_path, monkeypatch):
    make_private(tmp_path / "instance")
    engine = LocalEngine(context_of(tmp_path / "instance"))
    paths = context_of(tmp_path / "instance").paths
    assert loading.ran_since_boot(["slurm", "nowhere"], paths) is None
    assert loading.ran_since_boot(["local"], locate({"JOBD_HOME": str(tmp_path / "new")})) is None
    engine.recover([])
    engine.close()
    assert loading.ran_since_boot(["slurm", "local"], paths) is True
    monkeypatch.setattr(linux, "boot_id", lambda: "another")
    assert loading.ran_since_boot(["slurm", "local"], paths) is False
