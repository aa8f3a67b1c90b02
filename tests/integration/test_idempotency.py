"""A request id is one request of one user: nobody gets the answer that another was given."""

import pytest

from jobd.contract import wire
from jobd.contract.call import Caller, RequestId, Role
from jobd.contract.errors import BadRequest
from jobd.contract.models import (
    Acted,
    Edit,
    Forget,
    Graph,
    Groups,
    GroupsReply,
    Hold,
    Node,
    Notify,
    Pause,
    Progress,
    Reload,
    Restart,
    Resume,
    Rm,
    Start,
    Stop,
    Submitted,
    Workers,
    WorkersReply,
)
from jobd.store.settings import CURSOR
from tests.helpers import wait_until
from tests.integration.inside import ME, ids, submit_of

OTHER = Caller("other", Role.ADMIN)
VIEWER = Caller("viewer", Role.VIEWER)
ID = bytes(range(16))
JOB = ids(1)
NODE = Node(command=submit_of("true").commands[0], cwd=b"/")
CHANGES = [
    submit_of("true"), submit_of(*["true"] * 600), Graph(nodes=[NODE, NODE]), Hold(selector=JOB),
    Start(selector=ids(2)), Stop(selector=JOB), Restart(selector=ids(2)), Rm(selector=ids(2)),
    Edit(id=1, priority=7), Workers(workers=0), Groups(action="add", name="mine"),
    Pause(group="default"), Resume(group="default"), Pause(group="default", running=True),
    Progress(id=3, percent=5), Forget(), Notify(to="ops"), Reload(),
]  # fmt: skip
"""One of each request that changes something, and of each way in which it is done."""
TABLES = ("jobs", "events", "groups", "settings", "requests")


def named(request):
    return f"{request.wire_name()}-{CHANGES.index(request)}"


@pytest.fixture
def queue(make):
    """Job 1 waits, job 2 is over, job 3 keeps the only worker."""
    rule = {"name": "ops", "on": ["stuck"], "command": "true"}
    inside = make(workers=1, notify=[rule])
    inside.paths.config.write_text(
        "[daemon]\nworkers = 1\n[[notify]]\n" + "".join(f"{k} = {v!r}\n" for k, v in rule.items())
    )
    inside.client.pause(Pause(group="default"))
    inside.submit("true", "true", "sleep 60")
    inside.client.hold(ids(1))
    inside.client.stop(ids(2))
    inside.client.resume(Resume(group="default"))
    wait_until(lambda: inside.client.status().busy == 1)
    inside.client.start(ids(1))
    inside.sql("DELETE FROM requests")
    return inside


def ask(inside, request, caller=ME, request_id=ID):
    data = inside.daemon.built.server.dispatch.answer(
        wire.encode_request(request, request_id), caller
    )
    return wire.decode_reply(data, request.about.reply)


def everything(inside):
    """But for how far the history was read for whoever is told of it: that goes on by itself."""
    found = {table: inside.sql(f"SELECT * FROM {table}") for table in TABLES}
    found["settings"] = [row for row in found["settings"] if row[0] != CURSOR]
    return {table: sorted(rows, key=repr) for table, rows in found.items()}


def refused(inside, request, caller, request_id=ID):
    before = everything(inside)
    with pytest.raises(BadRequest, match="id: another request was sent under it, or somebody"):
        ask(inside, request, caller, request_id)
    assert everything(inside) == before


def test_each_change_is_here():
    assert {type(request) for request in CHANGES} == {
        kind for kind in wire.REQUESTS.values() if kind.about.changes
    }


@pytest.mark.parametrize("request_", CHANGES, ids=named)
def test_the_same_is_answered_to_whoever_asked_and_to_nobody_else(queue, request_):
    first = ask(queue, request_)
    before = everything(queue)
    assert ask(queue, request_) == first
    assert everything(queue) == before
    refused(queue, request_, OTHER)


@pytest.mark.parametrize("first", CHANGES, ids=named)
def test_another_request_under_the_same_id_is_refused(queue, first):
    ask(queue, first)
    for second in CHANGES:
        if second != first:
            refused(queue, second, ME)


def test_a_client_that_lost_the_answer_asks_the_next_daemon(make):
    """What it was is on disk, and so is whose."""
    inside = make(workers=0)
    first = ask(inside, submit_of("true"))
    inside = make(workers=0)
    assert ask(inside, submit_of("true")) == first
    refused(inside, submit_of("false"), ME)
    refused(inside, submit_of("true"), OTHER)


def test_what_an_earlier_version_has_answered_is_found(queue):
    """It kept the reply alone: under the id, of a mass change under the number of its slice."""
    keep = "INSERT INTO requests VALUES (?, 1, ?)"
    queue.sql(keep, b"submit", wire.encode(Submitted(first=41, last=42)))
    queue.sql(keep, b"hold\0\0\0\0", wire.encode(Acted(done=[1])))
    assert ask(queue, submit_of("true"), request_id=b"submit").first == 41
    assert ask(queue, Hold(selector=JOB), request_id=b"hold").done == [1]
    assert not queue.sql("SELECT held FROM jobs WHERE id = 1 AND held")
    # It did not say whose it was, but it is none of this kind.
    refused(queue, Edit(id=1, priority=7), ME, b"submit")


@pytest.mark.parametrize(("request_", "kind"), [(Workers(), WorkersReply), (Groups(), GroupsReply)])
def test_whoever_only_looks_leaves_nothing_behind(queue, request_, kind):
    """A viewer that looks again and again would push out what others were answered."""
    before = everything(queue)
    for caller in (VIEWER, ME):
        assert isinstance(ask(queue, request_, caller), kind)
    assert everything(queue) == before


def test_a_viewer_learns_nothing_by_the_ids_of_others(queue):
    ask(queue, Workers(workers=3))
    assert ask(queue, Workers(), VIEWER).workers == 3


def test_what_an_id_is_bound_to_cannot_be_shifted_from_one_field_into_another():
    some = [
        RequestId.of(ID, Caller(user, Role.ADMIN), name, body)
        for user, name, body in [
            ("a", "b", b"c"), ("ab", "", b"c"), ("a", "bc", b""), ("", "ab", b"c"),
            ("a", "b", b"d"),
        ]
    ]  # fmt: skip
    assert len({each.bound for each in some}) == len(some)
    assert not RequestId.of(b"", ME, "rm", b"x")
