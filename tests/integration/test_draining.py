"""A daemon that goes on with the drain of the one before."""

from jobd.contract.configured import from_plain
from jobd.contract.paths import locate
from jobd.daemon.instance import Daemon
from jobd.daemon.rpc.server import Server
from jobd.daemon.setup import Setup


def test_it_drains_before_anybody_is_answered(jobd_home, monkeypatch):
    """Who asks in between would be told that it takes new jobs."""
    setup = Setup(
        paths=locate({"JOBD_HOME": str(jobd_home)}),
        configured=from_plain({"config": {}}),
        draining=True,
    )
    daemon, listen, drained = Daemon(setup), Server.listen, []

    def noted(server, *args, **options):
        drained.append(daemon.built.ground.ledger.draining)
        return listen(server, *args, **options)

    monkeypatch.setattr(Server, "listen", noted)
    daemon.start()
    daemon.close(clean=True)
    assert drained == [True]
