"""What a client may cost: room for a message, time for it, memory, places, entries of a list."""

import contextlib

import msgspec
import pytest
from msgspec import inspect
from rpyc.core import brine, consts

from jobd.client.client import Client
from jobd.contract import errors, frames, models, wire
from jobd.contract.call import Caller, Role
from jobd.contract.errors import BadRequest, Busy, NotFound, NotPermitted
from jobd.contract.models import Command, List, Output, Selector, Status, View, Wait
from jobd.contract.states import State
from jobd.daemon.rpc import quota
from jobd.store import pages
from tests.helpers import wait_until
from tests.integration.inside import ME, ids, submit_of
from tests.integration.test_fuzz import envelope
from tests.integration.test_hostile import HEADER, Raw

VIEWER = Caller("v", Role.VIEWER)
CALL = frames.request(1, wire.encode_request(Status()))


@pytest.fixture
def seen(quiet, monkeypatch):
    """Who connects from now on is a viewer."""
    monkeypatch.setattr(quiet.daemon.built.server.clients._access, "role", lambda *_: Role.VIEWER)
    return quiet


def refusal(raw):
    """The words of the error that it is answered."""
    with pytest.raises(errors.JobdError) as caught:
        raw.error()
    return caught.value


# --- what is read ---------------------------------------------------------------------------------


@pytest.fixture
def no_brine(monkeypatch):
    """What rpyc's own reader is given."""
    given = []
    monkeypatch.setattr(brine, "load", given.append)
    monkeypatch.setattr(brine, "_load", given.append)
    yield
    assert given == []


def test_neither_side_gives_brine_what_the_other_sends(quiet, no_brine):
    with Client(quiet.paths.socket) as client:
        job = client.submit(submit_of("true")).first
        assert client.show(job).job.id == job
        with pytest.raises(NotFound):
            client.show(job + 1)
    deep = brine.TAG_TUP1 * 100_000
    for content in (brine.dump(frozenset([1, 2])), deep, brine.dump(b"x")):
        with Raw(quiet.paths.socket) as raw:
            raw.frame(b"\x01" + content)
            assert raw.socket.recv(1) == b""


def test_a_viewers_request_is_looked_at_only_if_it_may_see_something(quiet):
    """The name comes first: nothing of a body that is none of its business is made."""
    sees = {"list", "show", "output", "events", "wait", "workers", "groups", "status", "metrics"}
    sees |= {"notifications", "history"}
    for name in wire.REQUESTS:
        raw = quiet.daemon.built.server.dispatch.answer(envelope(name, {"surprise": 1}), VIEWER)
        error = msgspec.msgpack.decode(raw, type=wire.Reply).error
        assert error.kind == ("BadRequest" if name in sees else "NotPermitted"), error


# --- how much is read -----------------------------------------------------------------------------


def test_a_viewer_has_no_room_for_a_payload(seen):
    with Raw(seen.paths.socket) as raw:
        raw.send(HEADER.pack(frames.MAX_SEEING + 1, 0) + CALL)
        error = refusal(raw)
        assert raw.answer() is None
    assert type(error) is NotPermitted
    assert "have at most 256 kB" in error.message
    assert "ranges" in error.message


def test_a_viewer_is_told_in_the_midst_of_a_long_list(seen):
    """It is still sending when the daemon has said all that it will say."""
    many = Selector(ids=[(job, job) for job in range(1, 2_000_000, 2)])
    with seen.connect() as viewer:
        assert viewer.list(List()).jobs == []
        with pytest.raises(NotPermitted, match="256 kB"):
            viewer.list(List(selector=many))
        assert viewer.list(List()).jobs == []


def test_what_a_viewer_asks_in_earnest_has_room(seen):
    chosen = Selector(ids=[(job, job + 1) for job in range(1, 60_000, 3)])
    with seen.connect() as viewer:
        assert viewer.list(List(selector=chosen)).jobs == []


@pytest.mark.parametrize("length", [frames.MAX_FRAME + 1, 2**32 - 1])
def test_a_request_of_any_length_is_not_read(quiet, length):
    with Raw(quiet.paths.socket) as raw:
        raw.send(HEADER.pack(length, 0) + CALL)
        error = refusal(raw)
        assert raw.answer() is None
    assert type(error) is BadRequest
    assert "split the file" in error.message


def test_the_longest_request_fits_into_its_frame():
    assert len(frames.request(10**18, bytes(frames.MAX_CONTENT))) <= frames.MAX_FRAME


# --- memory ---------------------------------------------------------------------------------------


def a_script(size):
    return models.Submit(
        commands=[Command(argv=[b"/x"], script=b"x" * size)], cwd=b"/", environment={}
    )


def test_memory_for_large_requests_has_a_bound_for_each_user(quiet, monkeypatch):
    monkeypatch.setattr(quota, "_MEMORY_EACH", 1_000_000)
    monkeypatch.setattr("jobd.client.connection._ASK_AGAIN_CHANGING", 0.1)
    clients = quiet.daemon.built.server.clients
    message = frames.request(1, wire.encode_request(a_script(600_000)))
    with Raw(quiet.paths.socket) as slow, quiet.connect() as other:
        slow.send(HEADER.pack(len(message), 0) + message[:1000])
        wait_until(lambda: clients.memory.taken("all"))
        with pytest.raises(Busy, match="too many large requests"):
            other.submit(a_script(600_000))
        assert other.status().running  # what is small goes on
        slow.send(message[1000:] + b"\n")
        assert slow.answer()[0] == consts.MSG_REPLY
        wait_until(lambda: not clients.memory.taken("all"))
        assert other.submit(a_script(600_000)).first == 2
    wait_until(lambda: not clients.memory.taken("all"))


def test_memory_is_given_back_by_who_hangs_up(quiet):
    clients = quiet.daemon.built.server.clients
    with Raw(quiet.paths.socket) as raw:
        raw.send(HEADER.pack(frames.MAX_FRAME, 0) + CALL)
        wait_until(lambda: clients.memory.taken("all") == frames.MAX_FRAME)
    wait_until(lambda: not clients.memory.taken("all"))


def test_answers_that_nobody_reads_have_a_bound(quiet, monkeypatch):
    monkeypatch.setattr("jobd.client.connection._ASK_AGAIN_READING", 0.1)
    quiet.submit(*["x" * 1000] * 500)
    clients, whole = quiet.daemon.built.server.clients, {"all": quota.MEMORY}
    wait_until(lambda: clients.memory.take(whole, quota.MEMORY))
    with quiet.connect() as client:
        assert client.status().running
        with pytest.raises(Busy, match="too many large requests and answers"):
            client.list(List())
        clients.memory.give_back(whole, quota.MEMORY)
        assert len(client.list(List()).jobs) == 500
    wait_until(lambda: not clients.memory.taken("all"))


# --- time -----------------------------------------------------------------------------------------


@pytest.fixture
def hasty(monkeypatch):
    """A frame must not pause."""
    monkeypatch.setattr(frames, "PAUSE_S", 0.05)


@pytest.mark.parametrize("half", [b"\0", HEADER.pack(1000, 0) + b"half"])
def test_half_a_frame_is_not_waited_for_and_an_idle_client_is(quiet, hasty, half):
    with Raw(quiet.paths.socket) as idle, Raw(quiet.paths.socket) as raw:
        raw.send(half)
        assert raw.socket.recv(1) == b""
        idle.call(wire.encode_request(Status()))
        assert idle.answer()[0] == consts.MSG_REPLY


def test_a_frame_byte_by_byte_is_not_waited_for_either(quiet, monkeypatch):
    monkeypatch.setattr(frames, "FRAME_S", 0.2)
    with Raw(quiet.paths.socket) as raw:
        raw.send(HEADER.pack(100_000, 0))

        def is_ended():
            with contextlib.suppress(BlockingIOError):
                raw.send(b"x")
                return raw.socket.recv(1) == b""
            return False

        raw.socket.setblocking(False)
        with contextlib.suppress(ConnectionError):
            wait_until(is_ended)


def test_who_does_not_read_its_answer_is_let_go(quiet, hasty):
    quiet.submit(*["x" * 1000] * 2000)
    places = quiet.daemon.built.server.clients.places
    taken = places.taken("all")
    with Raw(quiet.paths.socket) as deaf:
        for _ in range(20):
            deaf.call(envelope("list", {}))
        wait_until(lambda: places.taken("all") == taken)
    wait_until(lambda: not quiet.daemon.built.server.clients.memory.taken("all"))


# --- lists ----------------------------------------------------------------------------------------


def containers(kind, path):
    """Every list, dictionary and text in a type, with the way to it."""
    if isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from containers(each, path)
    elif isinstance(kind, inspect.StructType):
        for field in kind.fields:
            yield from containers(field.type, f"{path}.{field.name}")
    elif isinstance(kind, inspect.TupleType):
        for each in kind.item_types:
            yield from containers(each, path)
    elif isinstance(kind, inspect.DictType):
        yield path, kind
        yield from containers(kind.key_type, f"{path}<key>")
        yield from containers(kind.value_type, f"{path}<value>")
    elif isinstance(kind, inspect.CollectionType):
        yield path, kind
        yield from containers(kind.item_type, f"{path}[]")
    elif isinstance(kind, inspect.StrType):
        yield path, kind


def unbounded(types, *kinds):
    found = [each for kind in types for each in containers(inspect.type_info(kind), kind.__name__)]
    assert len(found) > 10
    return [path for path, kind in found if isinstance(kind, kinds) and kind.max_length is None]


def test_every_list_and_text_of_every_request_has_a_bound():
    """A new field without one fails here: see `Ranges`, `Environment` and the like in models."""
    kinds = (inspect.CollectionType, inspect.DictType, inspect.StrType)
    assert unbounded(wire.REQUESTS.values(), *kinds) == []


def views():
    return [
        kind
        for kind in vars(models).values()
        if isinstance(kind, type) and issubclass(kind, View) and kind is not View
    ]


def test_every_list_of_every_answer_has_a_bound():
    """A daemon that is none must not make the client's memory."""
    assert unbounded(views(), inspect.CollectionType, inspect.DictType) == []


PAIRS = [[1, 1]]
COMMAND = {"argv": [b"true"]}


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("list", {"selector": {"tags": ["t"] * 250_000}}, "tags: more than 1,000 in one request"),
        ("list", {"selector": {"groups": ["g"] * 250_000}}, "groups: more than 1,000 in one"),
        ("list", {"selector": {"states": ["failed"] * 250_000}}, "states: more than 1,000 in one"),
        ("rm", {"selector": {"ids": PAIRS * 1_000_001}}, "ids: more than 1,000,000 in one request"),
        ("wait", {"selector": {"tags": ["t" * 65]}}, "tags: more than 64 characters"),
        ("list", {"cursor": "x" * 201}, "cursor: more than 200 characters"),
        (
            "submit",
            {"commands": [COMMAND], "cwd": b"/", "options": {"after": PAIRS * 100_001}},
            "after: more than 100,000 in one request",
        ),
        (
            "submit",
            {
                "commands": [COMMAND],
                "cwd": b"/",
                "environment": {b"%d" % n: b"" for n in range(100_001)},
            },
            "environment: more than 100,000 in one request",
        ),
        ("submit", {"commands": [COMMAND] * 1_000_001, "cwd": b"/"}, "commands: more than 1,000,"),
        (
            "submit",
            {"commands": [{"argv": [b"x"] * 1_000_001}], "cwd": b"/"},
            "argv: more than 1,000,000 in one request",
        ),
        (
            "submit",
            {"commands": [{"argv": [b"x" * 130_000] * 49}], "cwd": b"/"},
            "more than 6,291,456 bytes in all",
        ),
        ("edit", {"id": 1, "tags": ["t"] * 101}, "tags: more than 100 in one request"),
        (
            "graph",
            {"nodes": [{"command": COMMAND, "cwd": b"/", "parents": [0] * 100_001}]},
            "parents: more than 100,000 in one request",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_list_that_is_too_long_is_refused_in_words(quiet, name, body, words):
    raw = quiet.daemon.built.server.dispatch.answer(envelope(name, body), ME)
    error = msgspec.msgpack.decode(raw, type=wire.Reply).error
    assert error.kind == "BadRequest"
    assert words in error.message


def test_a_filter_with_as_many_values_as_there_may_be_is_answered(quiet):
    job = quiet.submit("true")
    chosen = Selector(
        ids=[(1, 1)] * 1000,
        states=[State.PENDING] * 1000,
        groups=["default", *(f"g{n}" for n in range(999))],
    )
    assert [one.id for one in quiet.client.list(List(selector=chosen)).jobs] == [job]
    tags = Selector(tags=[f"t{n}" for n in range(1000)])
    assert quiet.client.list(List(selector=tags)).jobs == []
    assert quiet.client.wait(Wait(selector=chosen)).ids == [(job, job)]
    assert quiet.client.hold(chosen).done == [job]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("list", {"cursor": f"pending:{2**63}:1:0:0"}),
        ("list", {"cursor": f"finished:0:{-(2**63) - 1}:0:0"}),
        ("list", {"cursor": "running:1:1:0:" + "9" * 100}),
        ("output", {"id": 1, "offset": 2**63}),
        ("output", {"id": 1, "tail": 2**64 - 1}),
    ],
)
def test_a_number_that_is_too_large_is_no_defect(quiet, name, body):
    raw = quiet.daemon.built.server.dispatch.answer(envelope(name, body), VIEWER)
    assert msgspec.msgpack.decode(raw, type=wire.Reply).error.kind == "BadRequest"


def test_no_output_reaches_as_far_as_one_may_ask(daemon):
    job = daemon.submit("echo here")
    daemon.wait(job)
    assert daemon.client.output(Output(id=job, offset=models.MAX_BYTES)).data == b""
    assert daemon.client.output(Output(id=job, tail=models.MAX_BYTES)).data == b"here\n"


# --- answers --------------------------------------------------------------------------------------


def large(count):
    """Jobs of which a few make a page."""
    return submit_of(*[f"false {'x' * 10_000}"] * count)


def test_large_jobs_make_short_pages(quiet, monkeypatch):
    monkeypatch.setattr(pages, "PAGE_BYTES", 45_000)
    first = quiet.client.submit(large(10)).first
    quiet.submit("true")
    whole = [*range(first, first + 11)]
    found = [page.jobs for page in every_page(quiet, List())]
    assert [job.id for jobs in found for job in jobs] == whole
    assert max(map(len, found)) == 4
    odd = List(selector=ids(*whole[::2]))
    found = [page.jobs for page in every_page(quiet, odd)]
    assert [job.id for jobs in found for job in jobs] == whole[::2]
    assert max(map(len, found)) <= 4


def every_page(inside, request):
    cursor = None
    while True:
        page = inside.client.list(msgspec.structs.replace(request, cursor=cursor))
        yield page
        if (cursor := page.next) is None:
            return


def test_a_job_that_is_larger_than_a_page_is_one(quiet, monkeypatch):
    monkeypatch.setattr(pages, "PAGE_BYTES", 5000)
    quiet.client.submit(large(3))
    assert quiet.listed() == [1, 2, 3]
    elements = msgspec.structs.replace(large(1), array=[(1, 3)])
    quiet.client.submit(elements)
    assert [len(page.jobs) for page in every_page(quiet, List())] == [1] * 6
    named = List(selector=Selector(name="nothing"))
    assert [job.id for page in every_page(quiet, named) for job in page.jobs] == []


def test_a_page_has_no_other_section_behind_large_jobs(daemon, monkeypatch):
    monkeypatch.setattr("jobd.daemon.queries.list._LARGE", 15_000)
    job = daemon.client.submit(large(2)).first
    daemon.wait(job, job + 1)
    daemon.client.workers(0)
    waiting = daemon.client.submit(large(2)).first
    found = [[one.id for one in page.jobs] for page in every_page(daemon, List())]
    assert [sorted(jobs) for jobs in found if jobs] == [[waiting, waiting + 1], [job, job + 1]]


def test_a_wait_tells_as_many_large_jobs_as_there_is_room_for(daemon, monkeypatch):
    monkeypatch.setattr(pages, "PAGE_BYTES", 45_000)
    monkeypatch.setattr("jobd.store.reader.PAGE_BYTES", 45_000)
    first = daemon.client.submit(large(10)).first
    waited = daemon.wait(*range(first, first + 10))
    assert waited.counts[State.FAILED] == 10
    assert [job.id for job in waited.jobs] == [*range(first, first + 4)]


def test_an_answer_that_no_client_would_read_is_an_error(quiet, monkeypatch):
    monkeypatch.setattr(wire, "MAX_CONTENT", 20_000)
    quiet.client.submit(large(3))
    with pytest.raises(errors.Refused, match="ask for fewer jobs"):
        quiet.client.list(List())
    assert quiet.client.status().running


def test_what_was_so_already_is_told_of_so_many_jobs_and_the_rest_is_counted(quiet, monkeypatch):
    monkeypatch.setattr("jobd.daemon.commands.bulk._NOTES", 5)
    quiet.submit(*["true"] * 12)
    assert quiet.client.hold(Selector(all=True)).notices == []
    again = quiet.client.hold(Selector(all=True))
    assert [note.id for note in again.notices] == [1, 2, 3, 4, 5]
    assert again.notices[-1].text == "is already held (and 7 more jobs)"


def test_a_list_in_the_history_is_counted_where_it_is_long(quiet):
    first = quiet.submit(*["true"] * 400)
    last = quiet.submit("true")
    parents = [(job, job) for job in range(first, last, 2)]
    quiet.client.edit(models.Edit(id=last, after=parents))
    data = quiet.client.show(last).events[-1].data
    assert data["after"] == "200 of them"
    assert len(quiet.job(last).after) == 200
