"""Lists of a busy queue: in short pages, and whole."""

import pytest

from jobd.client import follow
from jobd.contract.models import Events, List, Selector
from jobd.daemon.queries import traffic as module

EVERYTHING = List(selector=Selector(all=True))
COMMITS = 5


@pytest.fixture
def jobs(quiet):
    """120 of them, which wait."""
    made = quiet.submit(*["true"] * 120)
    return range(made, made + 120)


def pages(quiet):
    return [[job.id for job in page.jobs] for page in follow.pages(quiet.client, EVERYTHING)]


def test_where_little_happens_a_page_is_long(quiet, jobs):
    assert pages(quiet) == [[*jobs]]


def test_while_jobs_come_pages_are_short(quiet, jobs, monkeypatch):
    monkeypatch.setattr(module, "_WITHIN_S", 1000.0)
    last = [quiet.submit("true") for _ in range(COMMITS)][-1]
    assert quiet.daemon.built.ground.traffic.is_heavy
    found = pages(quiet)
    assert max(map(len, found)) <= 50
    assert [job for page in found for job in page] == [*range(jobs[0], last + 1)]


def test_who_waits_for_news_does_not_hold_up_lists(quiet, monkeypatch):
    monkeypatch.setattr(module, "_WITHIN_S", 1000.0)
    for _ in range(COMMITS):
        quiet.submit("true")
    taken, turn = [], quiet.daemon.built.ground.traffic._turn
    monkeypatch.setattr(turn, "take", lambda: taken.append(1))
    quiet.client.events(Events(after=0, wait=0.01))
    assert taken == []
    quiet.client.events(Events(after=0))
    assert taken == [1]
