"""What jobd says of itself, and what is wrong with it first."""

from types import SimpleNamespace

import pytest

from jobd.contract.access import AccessConfig
from jobd.contract.call import Call, Caller, Role
from jobd.contract.config import Config
from jobd.contract.models import Status
from jobd.contract.paths import Paths
from jobd.core.ledger import Ledger
from jobd.core.undo import Undo
from jobd.daemon.queries.status import StatusQuery


@pytest.fixture
def ask(tmp_path):
    paths = Paths(tmp_path, tmp_path / "config")

    def asked(trouble=None, **config):
        query = StatusQuery(
            config=Config(**config), paths=paths, ledger=Ledger(Undo(), workers=3, next_id=1),
            supervised=False, trouble=lambda: trouble,
            found=SimpleNamespace(failing=lambda _since: (0, None)), gpus=lambda: None,
            outputs=[paths.output],
        )  # fmt: skip
        return query.status(Status(), Call(Caller("me", Role.ADMIN)))

    return asked


def test_all_is_well(ask):
    found = ask()
    assert (found.running, found.workers, found.error) == (True, 3, None)
    assert found.supervisor_pid is None
    assert found.access_socket is None
    assert 0 <= found.uptime_s < 100


def test_what_is_wrong_is_told(ask):
    assert ask("the disk is full").error == "the disk is full"


def test_the_database_is_as_large_as_all_its_files(ask, tmp_path):
    assert ask().database_bytes == 0
    database = Paths(tmp_path, tmp_path / "config").database
    database.parent.mkdir(parents=True, exist_ok=True)
    database.write_bytes(b"x" * 5)
    database.with_name(f"{database.name}-wal").write_bytes(b"x" * 7)
    assert ask().database_bytes == 12


def test_where_others_come_in_is_told(ask):
    assert ask(access=AccessConfig(socket="/run/jobd.sock")).access_socket == "/run/jobd.sock"
