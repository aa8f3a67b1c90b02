"""How attempts come into Slurm, as far as that goes without a cluster."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobd.engines.base import Launch, NoResources
from jobd.engines.slurm import submission
from jobd.engines.slurm.attempt_files import AttemptFiles
from jobd.engines.slurm.commands import SlurmCommands
from jobd.engines.slurm.names import Names
from jobd.engines.slurm.notes import Notes
from jobd.engines.slurm.submission import Submission
from jobd.engines.slurm.workspace import SharedWorkspace
from tests.helpers import wait_until


@pytest.fixture
def made(tmp_path):
    shared = tmp_path / "shared"
    return Submission(
        names=Names("instance"), workspace=SharedWorkspace(shared),
        files=AttemptFiles(str(shared)), notes=Notes(tmp_path), packs=None, gpu_option="%d",
        commands=SlurmCommands("/nowhere", []), leftovers=lambda: None,
    )  # fmt: skip


def launch(number):
    return Launch(
        job=number, attempt=1, slot=1, token=f"{number:032}", argv=[b"true"], cwd=b"/",
        umask=0o022, environment={},
    )  # fmt: skip


def test_a_burst_of_attempts_does_not_use_up_what_may_be_open(made, monkeypatch):
    gate, writing = threading.Event(), []

    def full(files, begun, _):
        writing.append(begun.token)
        assert gate.wait(60)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AttemptFiles, "write", full)
    waiting = 3 * submission._WRITING
    with ThreadPoolExecutor(waiting) as pool:
        tried = [pool.submit(made.bring, launch(number)) for number in range(waiting)]
        wait_until(lambda: len(made._writing._cond._waiters) == waiting - submission._WRITING)
        assert len(writing) <= submission._WRITING
        gate.set()
        for one in tried:
            with pytest.raises(NoResources, match="No space left"):
                one.result(60)
    assert len(writing) == waiting
