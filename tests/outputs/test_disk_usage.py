"""What all outputs take, and which jobs have left some, wherever engines keep them."""

from jobd.outputs.disk_usage import DiskUsage, highest_job
from jobd.outputs.in_memory import MemoryWorkspace
from jobd.outputs.workspace import Workspaces


def left(root, job, size):
    path = root / str(job // 1000) / f"{job}.1.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))


def test_all_directories_of_outputs_count(tmp_path):
    here, shared = tmp_path / "here", tmp_path / "shared"
    left(here, 7, 5000)
    left(shared, 2009, 9000)
    left(shared, 12, 1)
    assert highest_job([here]) == 7
    assert highest_job([here, shared, tmp_path / "none"]) == 2009
    assert highest_job([]) == 0
    assert DiskUsage([here, tmp_path / "none"]).measured() == 5000
    assert DiskUsage([here, shared]).measured() == 14001


def test_of_too_many_files_the_size_is_not_told(tmp_path, monkeypatch):
    monkeypatch.setattr("jobd.outputs.disk_usage._COUNTED_FILES", 3)
    here, shared = tmp_path / "here", tmp_path / "shared"
    for job in (1, 2):
        left(here, job, 10)
        left(shared, job, 10)
    assert DiskUsage([here]).measured() == 20
    assert DiskUsage([here, shared]).measured() is None


def test_what_is_kept_in_memory_lies_nowhere():
    assert Workspaces("fake", {"fake": MemoryWorkspace()}).roots() == set()
