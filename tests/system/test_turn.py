"""One at a time, a rest after it, and nobody is held up by who waits or hangs."""

import threading

import pytest

from jobd.system import turn as module
from jobd.system.turn import Turn, stepping_aside
from tests.helpers import wait_until

PATIENCE = 20.0


@pytest.fixture
def turn(monkeypatch):
    """One that is waited for as long as it takes."""
    monkeypatch.setattr(module, "_PATIENCE_S", 1000.0)
    return Turn()


def in_thread(action):
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    return thread


def test_many_threads_work_one_after_the_other(turn, monkeypatch):
    monkeypatch.setattr(module, "_SHORTEST_REST_S", 0.0)
    at_work, most, done = [], [], []

    def work():
        for _ in range(50):
            with turn.taken():
                at_work.append(1)
                most.append(len(at_work))
                at_work.pop()
        done.append(1)

    threads = [in_thread(work) for _ in range(16)]
    for thread in threads:
        thread.join(PATIENCE)
    assert (len(done), len(most), max(most)) == (16, 800, 1)


def test_who_fails_gives_its_turn_back(turn):
    with pytest.raises(ValueError, match="x"), turn.taken():
        raise ValueError("x")
    with turn.taken():
        pass


def test_who_waits_steps_aside_and_goes_on_only_in_its_turn(turn):
    news, waits, went_on = threading.Event(), threading.Event(), threading.Event()

    def wait_for_news():
        with turn.taken():
            with stepping_aside():
                waits.set()
                news.wait(PATIENCE)
            went_on.set()

    waiting = in_thread(wait_for_news)
    assert waits.wait(PATIENCE)
    with turn.taken():  # while the other waits
        news.set()
        assert not went_on.wait(0.05)
    assert went_on.wait(PATIENCE)
    waiting.join(PATIENCE)


def test_without_a_turn_nobody_steps_aside():
    with stepping_aside():
        pass


def test_who_hangs_is_not_waited_for_and_disturbs_nobody_later(monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE_S", 0.05)
    turn, answer, hangs = Turn(), threading.Event(), threading.Event()

    def hang():
        with turn.taken():
            hangs.set()
            answer.wait(PATIENCE)

    hanging = in_thread(hang)
    assert hangs.wait(PATIENCE)
    with turn.taken():
        monkeypatch.setattr(module, "_PATIENCE_S", 1000.0)
    second = threading.Event()
    turn.take()
    answer.set()
    hanging.join(PATIENCE)  # its turn had passed on: the one that is had now is another's
    in_thread(lambda: (turn.take(), second.set()))
    assert not second.wait(0.05)
    turn.give()
    assert second.wait(PATIENCE)


@pytest.mark.parametrize(
    ("worked", "rest"), [(0.0, 0.001), (0.0001, 0.001), (0.1, 0.2), (0.4, 0.8), (9.0, 1.0)]
)
def test_a_rest_is_as_long_as_the_work_was(turn, monkeypatch, worked, rest):
    now, processor = [100.0], [5.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.time, "thread_time", lambda: processor[0])
    with turn.taken():
        now[0] += 3.0  # most of which it waited
        processor[0] += worked
    assert turn._free_at == pytest.approx(103.0 + rest)


def test_the_time_in_which_it_stepped_aside_is_no_work(turn, monkeypatch):
    now, processor = [100.0], [5.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.time, "thread_time", lambda: processor[0])
    with turn.taken():
        processor[0] += 0.1
        with stepping_aside():
            assert turn._free_at == pytest.approx(100.2)
            now[0] += 20.0
        processor[0] += 0.2
    assert turn._free_at == pytest.approx(120.4)


def test_all_who_wait_have_their_turn(turn):
    """However many there are, none is forgotten when one has waited for a rest."""
    done = []
    threads = [in_thread(lambda: [_work(turn, done) for _ in range(5)]) for _ in range(30)]
    wait_until(lambda: len(done) == 150, PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)


def _work(turn, done):
    with turn.taken():
        done.append(1)
