"""Those who are to be released at the same time are by one program, and each hears its own."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobd.engines.base import Away, CannotStart
from jobd.engines.slurm.releases import Releases
from tests.helpers import wait_until


class Commands:
    """As `SlurmCommands`: the first call waits until it `may_go` on."""

    def __init__(self):
        self.calls = []
        self.refused = set()
        self.is_away = False
        self.may_go = threading.Event()

    def release_new(self, numbers):
        self.calls.append(list(numbers))
        if len(self.calls) == 1:
            assert self.may_go.wait(30)
        if self.is_away:
            raise Away("nobody answers")
        if refused := self.refused & {*numbers}:
            raise CannotStart(f"not {min(refused)}")


@pytest.fixture
def commands():
    return Commands()


@pytest.fixture
def all_at_once(commands):
    """Releases these, of which the first is under way when the others come; what each heard."""
    releases = Releases(commands)

    def heard(number):
        try:
            releases.release(number)
        except (Away, CannotStart) as error:
            return str(error)
        return None

    def released(first, *others):
        with ThreadPoolExecutor(len(others) + 1) as pool:
            begun = [pool.submit(heard, first)]
            wait_until(lambda: commands.calls)
            for count, number in enumerate(others, 1):
                begun.append(pool.submit(heard, number))
                wait_until(lambda count=count: len(releases._waiting) == count)
            commands.may_go.set()
            return [one.result(30) for one in begun]

    return released


def test_who_comes_while_one_runs_goes_with_the_next(all_at_once, commands):
    assert all_at_once(1, 2, 3, 4) == [None] * 4
    assert commands.calls == [[1], [2, 3, 4]]


def test_what_is_said_of_one_is_heard_by_that_alone(all_at_once, commands):
    commands.refused = {3}
    assert all_at_once(1, 2, 3, 4) == [None, None, "not 3", None]


def test_nobody_is_released_while_nobody_answers(all_at_once, commands):
    commands.is_away = True
    assert all_at_once(1, 2, 3) == ["nobody answers"] * 3
    assert commands.calls == [[1], [2, 3]]


def test_what_nobody_expects_keeps_nobody_waiting(commands, monkeypatch):
    def broken(_):
        raise RuntimeError("broken")

    monkeypatch.setattr(commands, "release_new", broken)
    releases = Releases(commands)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken"):
            releases.release(1)


def test_no_program_is_given_more_than_it_can_do_in_its_time(all_at_once, commands, monkeypatch):
    monkeypatch.setattr("jobd.engines.slurm.releases._MOST", 2)
    assert all_at_once(1, 2, 3, 4) == [None] * 4
    assert commands.calls == [[1], [2, 3], [4]]
