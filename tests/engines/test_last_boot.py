"""An instance knows on which boot it was used last, whatever engines it has."""

import os
from pathlib import Path

import pytest

from jobd.contract.paths import locate
from jobd.engines import loading
from jobd.engines.last_boot import note_boot, ran_since_boot
from jobd.system import linux
from tests.helpers import record_syncs


@pytest.fixture
def paths(tmp_path):
    found = locate({"JOBD_HOME": str(tmp_path / "instance")})
    found.data.mkdir(mode=0o700)
    return found


def test_it_is_known_once_it_was_noted(paths, monkeypatch):
    assert ran_since_boot(paths) is None
    note_boot(paths)
    assert ran_since_boot(paths) is True
    monkeypatch.setattr(linux, "boot_id", lambda: "another")
    assert ran_since_boot(paths) is False
    note_boot(paths)
    assert ran_since_boot(paths) is True
    assert os.listdir(paths.data) == ["jobd.boot"]


def test_no_engine_is_asked_then(paths, monkeypatch):
    assert loading.ran_since_boot(["slurm"], paths) is None
    note_boot(paths)
    assert loading.ran_since_boot(["slurm"], paths) is True
    monkeypatch.setattr(linux, "boot_id", lambda: "another")
    assert loading.ran_since_boot(["slurm"], paths) is False


def test_it_is_on_the_disk_before_its_name_and_once_a_boot(paths, monkeypatch):
    synced = record_syncs(monkeypatch)
    note_boot(paths)
    assert [Path(path).name for path in synced] == ["jobd.boot.new", "instance"]
    note_boot(paths)
    assert len(synced) == 2


@pytest.mark.parametrize("left", [b"", b"half", b"x" * 1000])
def test_what_is_no_boot_is_another_one(paths, left):
    (paths.data / "jobd.boot").write_bytes(left)
    assert ran_since_boot(paths) is False


def test_where_it_cannot_be_noted_what_was_noted_stands(paths, monkeypatch):
    note_boot(paths)
    monkeypatch.setattr(linux, "boot_id", lambda: "another")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    note_boot(paths)
    assert ran_since_boot(paths) is False


def test_a_link_is_not_followed(paths, tmp_path):
    (tmp_path / "precious").write_text(linux.boot_id())
    (paths.data / "jobd.boot").symlink_to(tmp_path / "precious")
    assert ran_since_boot(paths) is None
    note_boot(paths)
    assert not (paths.data / "jobd.boot").is_symlink()
    assert ran_since_boot(paths) is True
