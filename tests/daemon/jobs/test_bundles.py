"""Many commands in one request: never more than a bundle of them is read at once."""

import pytest

from jobd.contract import wire
from jobd.contract.errors import BadRequest
from jobd.contract.models import BUNDLE, Bundle, Command, Options, Submit
from jobd.daemon.jobs import bundles as module
from jobd.daemon.jobs.bundles import Bundles, commands_of
from jobd.daemon.jobs.plan import PIECE, plan_submit
from jobd.store.records import pack_environment


def commands(count, first=0):
    return [Command(argv=[b"%d" % (first + number)]) for number in range(count)]


def bundle(count, first=0):
    return wire.encode(Bundle(commands=commands(count, first)))


def numbers(found):
    return [int(command.argv[0]) for command in found]


@pytest.fixture
def read(monkeypatch):
    """How many commands were read, each time."""
    found, original = [], wire.decode

    def decode(data, kind):
        value = original(data, kind)
        found.append(len(value.commands))
        return value

    monkeypatch.setattr(module.wire, "decode", decode)
    return found


def test_few_commands_travel_as_they_are_and_many_in_bundles():
    """A daemon of an earlier version knows no bundles."""
    few = Submit(commands=commands(10 * BUNDLE), cwd=b"/")
    assert wire.bundled(few) is few
    many = wire.bundled(Submit(commands=commands(10 * BUNDLE + 1), cwd=b"/"))
    assert many.commands == []
    assert [len(wire.decode(each, Bundle).commands) for each in many.bundles] == [BUNDLE] * 10 + [1]
    assert numbers(commands_of(many)) == list(range(10 * BUNDLE + 1))


def test_a_large_submit_is_read_a_bundle_at_a_time(read):
    """The count that keeps others from waiting for it: of a million, too, these are all."""
    sent = wire.bundled(Submit(commands=commands(20 * BUNDLE + 7), cwd=b"/"))
    request = wire._decoder(Submit).decode(wire.encode(sent))
    plan = plan_submit(request, "me", pack_environment)
    assert plan.count == 20 * BUNDLE + 7
    # The last one for the count, then each for the checks.
    assert read == [7, *[BUNDLE] * 20, 7]
    read.clear()
    pieces = [plan.drafts(piece) for piece in plan.pieces([0])]
    assert max(read) == BUNDLE
    assert len(read) == len(pieces) == -(-plan.count // PIECE)
    specs = [spec for drafts in pieces for draft in drafts for spec in draft.specs]
    assert [int(spec.argv[0]) for spec in specs] == list(range(plan.count))


@pytest.mark.parametrize(
    ("first", "end"), [(0, 0), (0, 1), (0, BUNDLE), (999, 1001), (5, 2500), (2000, 2007), (1, None)]
)
def test_commands_are_found_by_their_numbers(first, end):
    found = Bundles([bundle(BUNDLE), bundle(BUNDLE, 1000), bundle(7, 2000)])
    assert len(found) == 2007
    assert numbers(found[first:end]) == list(range(2007))[first:end]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Submit(commands=commands(1), bundles=[bundle(1)], cwd=b"/"), "in the place of commands"),
        (Submit(bundles=[b"\xff"], cwd=b"/"), "unreadable"),
        (Submit(bundles=[bundle(3), bundle(3)], cwd=b"/"), "bundle 1 is not full"),
        (Submit(bundles=[wire.encode(Options())], cwd=b"/"), "unreadable"),
        (Submit(cwd=b"/"), "between 1 and 1,000,000"),
    ],
)
def test_what_is_no_bundle_is_refused(request_, said):
    with pytest.raises(BadRequest, match=said):
        plan_submit(request_, "me", pack_environment)
