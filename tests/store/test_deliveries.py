"""Messages on their way: one a place at a time, and a flood is gathered."""

import pytest

from jobd.contract.destinations import shell_line
from jobd.core.notification.message import SINGLES, WINDOW_US, Message, Target
from jobd.store import database
from jobd.store.deliveries import Deliveries, Planned
from jobd.store.delivery_reader import DeliveryReader
from jobd.store.environments import Environments
from jobd.store.reader import Reader
from jobd.store.records import pack_environment

NOW = 10**15


@pytest.fixture
def store(tmp_path):
    """The writing and the reading half."""
    connection = database.open_writer(tmp_path / "db")
    reader = Reader(tmp_path / "db")
    yield Deliveries(connection, Environments(connection)), DeliveryReader(reader)
    reader.close()
    connection.close()


def planned(number=1, to="a"):
    message = Message(occasion="failed", at=NOW, said=f"job {number} failed")
    return Planned(Target(rule="ops", to=shell_line(to)), message)


def test_one_a_place_is_taken_the_oldest_first(store):
    deliveries, found = store
    deliveries.note(None, [planned(1), planned(2), planned(3, "b")], NOW)
    first = deliveries.take(NOW, [], 8)
    assert [one.message.said for one in first] == ["job 1 failed", "job 3 failed"]
    assert deliveries.take(NOW, [one.place for one in first], 8) == []
    deliveries.delivered(first[0].id, NOW)
    assert [one.message.said for one in deliveries.take(NOW, [], 8)] == ["job 2 failed"]
    assert found.next_due([]) is None


def test_what_was_being_sent_waits_again_for_the_next_daemon(store):
    deliveries, _ = store
    deliveries.note(None, [planned()], NOW)
    (taken,) = deliveries.take(NOW, [], 8)
    deliveries.begin(NOW, wanted=True)
    (again,) = deliveries.take(NOW, [], 8)
    assert (again.token, again.tries) == (taken.token, 2)


def test_what_failed_waits_until_it_is_due(store):
    deliveries, found = store
    deliveries.note(None, [planned()], NOW)
    (taken,) = deliveries.take(NOW, [], 8)
    deliveries.failed(taken.id, "oh", NOW + 5, NOW)
    assert deliveries.take(NOW + 4, [], 8) == []
    assert found.next_due([]) == NOW + 5
    assert found.failing(NOW) == (1, "oh")
    (taken,) = deliveries.take(NOW + 5, [], 8)
    deliveries.failed(taken.id, "no", None, NOW + 5)
    assert (found.next_due([]), found.failing(NOW), found.failing(NOW + 6)) == (
        None, (1, "no"), (0, None),
    )  # fmt: skip


def test_a_flood_is_gathered_and_goes_on_as_one(store):
    deliveries, found = store
    for round_ in range(50):
        deliveries.note(None, [planned(round_)] * 100, NOW + round_ * WINDOW_US // 50)
    rows = found.latest(100)
    assert len(rows) == SINGLES + 1
    assert [row.message.count for row in rows] == [5000 - SINGLES, *[1] * SINGLES]
    for _ in range(SINGLES):
        (taken,) = deliveries.take(NOW, [], 1)
        deliveries.delivered(taken.id, NOW)
    later = NOW + WINDOW_US
    (taken,) = deliveries.take(later, [], 8)
    assert taken.message.count == 5000 - SINGLES
    deliveries.delivered(taken.id, later)
    deliveries.note(None, [planned()] * 20, later)
    assert found.latest(1)[0].message.count == 20
    assert deliveries.take(later + WINDOW_US - 1, [], 8) == []


def test_after_a_pause_single_ones_go_out_at_once(store):
    deliveries, found = store
    deliveries.note(None, [planned()] * 100, NOW)
    while taken := deliveries.take(NOW + WINDOW_US, [], 8):
        deliveries.delivered(taken[0].id, NOW + WINDOW_US)
    later = NOW + 3 * WINDOW_US
    deliveries.note(None, [planned()], later)
    (taken,) = deliveries.take(later, [], 8)
    assert taken.message.count == 1
    assert found.next_due([]) is None


def test_only_the_latest_are_kept(store, monkeypatch):
    monkeypatch.setattr("jobd.store.deliveries.KEPT", 3)
    deliveries, found = store
    for number in range(10):
        deliveries.note(None, [planned(number, str(number))], NOW)
        (taken,) = deliveries.take(NOW, [], 8)
        deliveries.delivered(taken.id, NOW)
    assert len(found.latest(100)) <= 4


@pytest.mark.parametrize("column", ["message", "target"])
def test_one_damaged_record_stops_no_other(store, column):
    deliveries, found = store
    deliveries.note(None, [planned(1), planned(2, "b")], NOW)
    deliveries._db.execute(f"UPDATE deliveries SET {column} = x'c1' WHERE id = 1")
    taken = deliveries.take(NOW, [], 8)
    assert [one.id for one in taken] == [1, 2]
    assert taken[1].message.said == "job 2 failed"
    assert "(damaged record)" in (taken[0].message.said, taken[0].target.rule)
    assert len(found.latest(10)) == 2


def test_what_has_failed_before_has_its_turn_behind_what_has_not(store):
    """Where many places hang, one that does not is not kept waiting by them."""
    deliveries, _ = store
    hanging = [planned(number, f"hangs {number}") for number in range(8)]
    deliveries.note(None, hanging, NOW)
    for one in deliveries.take(NOW, [], 8):
        deliveries.failed(one.id, "time is up", NOW, NOW)
    deliveries.note(None, [planned(9, "well")], NOW + 1)
    taken = [one.message.said for one in deliveries.take(NOW + 1, [], 8)]
    assert len(taken) == 8
    assert "job 9 failed" in taken


def test_what_is_put_off_is_moved_with_the_clock_and_due_when_a_daemon_starts(store):
    deliveries, found = store
    deliveries.note(None, [planned()], NOW)
    (one,) = deliveries.take(NOW, [], 8)
    deliveries.failed(one.id, "away", NOW + WINDOW_US, NOW)
    deliveries.shift(-NOW)
    assert found.next_due([]) == WINDOW_US
    deliveries.begin(5, wanted=True)
    assert found.next_due([]) == 5


def test_an_environment_is_kept_until_the_last_message_that_goes_out_in_it_is_over(tmp_path):
    connection = database.open_writer(tmp_path / "db")
    environments = Environments(connection)
    deliveries = Deliveries(connection, environments)

    def kept():
        return [uses for (uses,) in connection.execute("SELECT uses FROM environments")]

    environment = environments.use(pack_environment({b"A": b"1"}), 1)
    target = Target(rule="--notify", to=shell_line("a"), environment=environment)
    message = Message(occasion="failed", at=NOW, said="job 1 failed")
    for _ in range(2):
        deliveries.add(Planned(target, message), NOW)
    environments.leave(environment)
    assert kept() == [2]
    (one,) = deliveries.take(NOW, [], 8)
    deliveries.failed(one.id, "away", NOW, NOW)
    deliveries.delivered(one.id, NOW)
    (two,) = deliveries.take(NOW, [], 8)
    assert kept() == [1]
    deliveries.failed(two.id, "away", None, NOW)
    assert kept() == []
    connection.close()
