"""How many clients there may be: engines and jobs keep the descriptors that they need."""

import resource

import pytest

from jobd.contract.config import AccessConfig
from jobd.daemon.rpc.access import Access
from jobd.daemon.rpc.clients import Clients
from jobd.daemon.rpc.dispatch import Dispatch
from jobd.system.timer import Timer


@pytest.mark.parametrize(
    ("limit", "engines_files", "most"),
    [
        (resource.RLIM_INFINITY, 56, 1000),
        (resource.RLIM_INFINITY, 0, 1000),
        (20_000, 0, 1000),
        (4096, 56, 1000),
        (1024, 0, 768),
        (1024, 56, 712),
        (256, 0, 85),
        (64, 0, 21),
        (64, 20, 14),
        (64, 100, 1),
        (1, 0, 1),
    ],
)
def test_they_leave_to_engines_what_those_hold(monkeypatch, limit, engines_files, most):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    clients = Clients(Dispatch({}, {}, Timer()), Access(AccessConfig()), Timer(), engines_files)
    assert clients.most == most
