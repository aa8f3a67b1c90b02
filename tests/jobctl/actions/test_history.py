"""What finished attempts come to, counted."""

import time
from datetime import UTC, datetime

import pytest

from jobctl.actions.history import Account, Window, next_day
from jobd.contract.models import Ended
from jobd.contract.states import State

NOON = round(datetime(2026, 1, 2, 12, 0, tzinfo=UTC).timestamp() * 1e6)
HOUR = 3_600_000_000


def ended(job=1, attempt=1, state="completed", cause=None, ran=10.0, waited=1.0, **fields):
    """An attempt that began at noon."""
    begin = fields.pop("begin", NOON)
    given = {
        "exit_code": 0, "signal": None, "name": "n", "user": "me", "group": "default", "slots": 1,
        "slot": 1, "queued_at": begin - round(waited * 1e6), "started_at": begin,
        "finished_at": begin + round(ran * 1e6), "cpu_us": 500_000, "max_rss_kb": 100,
    }  # fmt: skip
    return Ended(job=job, attempt=attempt, state=State(state), cause=cause, **{**given, **fields})


def counted(*attempts, by=None, workers=2, since=None, until=NOON + 24 * HOUR):
    account = Account(by)
    account.add(attempts)
    return account.statistics(workers, Window(since, until / 1e6))


@pytest.fixture
def zone(monkeypatch):
    def use(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield use
    monkeypatch.undo()
    time.tzset()


def test_quantiles_are_those_of_real_values():
    [all_] = counted(*[ended(job=n, ran=float(n), waited=n / 10) for n in range(100, 0, -1)])
    assert (all_.run_p50_s, all_.run_p90_s, all_.run_p99_s, all_.run_max_s) == (50, 90, 99, 100)
    assert (all_.wait_p50_s, all_.wait_max_s) == (5.0, 10.0)
    assert (all_.run_s, all_.cpu_s, all_.rss_max_kb) == (5050.0, 50.0, 100)


def test_jobs_and_attempts_are_counted_apart():
    again = [ended(1, 1, "failed", "exit code 1"), ended(1, 2, "failed", "lost"), ended(1, 3)]
    [all_] = counted(*again, ended(2, 1, "stopped", "by user"))
    assert (all_.attempts, all_.jobs) == (4, 2)
    assert (all_.completed, all_.failed, all_.stopped) == (1, 2, 1)


def test_what_nobody_knows_does_not_count_as_nothing():
    known = ended(waited=4.0, cpu_us=2_000_000, max_rss_kb=7)
    [all_] = counted(known, ended(2, queued_at=None, cpu_us=None, max_rss_kb=None))
    assert (all_.wait_p50_s, all_.wait_max_s, all_.cpu_s, all_.rss_p50_kb) == (4.0, 4.0, 2.0, 7)
    [none] = counted(ended(queued_at=None, cpu_us=None, max_rss_kb=None))
    assert (none.wait_max_s, none.cpu_s, none.rss_max_kb) == (None, None, None)


def test_of_nothing_there_is_one_line_in_all_and_none_apart():
    [all_] = counted()
    assert (all_.attempts, all_.run_p50_s, all_.use_percent) == (0, None, None)
    assert counted(by="name") == []


@pytest.mark.parametrize(
    ("cause", "state", "key"),
    [
        (None, "completed", "0"),
        ("exit code 3", "failed", "3"),
        ("signal KILL", "failed", "signal KILL"),
        ("time limit", "failed", "time limit"),
        ("could not start", "failed", "could not start"),
        ("lost", "failed", "lost"),
        ("by user", "stopped", "by user"),
        (None, "failed", "unknown"),
    ],
)
def test_by_exit_code(cause, state, key):
    [stats] = counted(ended(state=state, cause=cause), by="exit-code")
    assert stats.key == key


def test_those_with_the_most_attempts_come_first():
    jobs = [ended(n, name=name) for n, name in enumerate("abbbcc", 1)]
    assert [stats.key for stats in counted(*jobs, by="name")] == ["b", "c", "a"]


def test_use_is_of_the_time_of_all_workers():
    """Two workers and four hours, of which one job took two workers for one hour."""
    [all_] = counted(ended(ran=3600.0, slots=2), since=NOON / 1e6, until=NOON + 4 * HOUR)
    assert (all_.worker_s, all_.use_percent) == (7200.0, 25.0)
    [none] = counted(ended(), workers=0)
    assert none.use_percent is None


def test_a_day_is_that_of_the_reader(zone):
    late = ended(begin=NOON + 11 * HOUR)  # 23:00 in London
    for name, day in [("UTC", "2026-01-02"), ("Asia/Tokyo", "2026-01-03")]:
        zone(name)
        assert [stats.key for stats in counted(late, by="day")] == [day]


def test_workers_time_lies_in_the_days_in_which_it_was_taken(zone):
    zone("UTC")
    first, second, third = counted(
        ended(ran=36 * 3600.0), ended(2, ran=60.0), by="day", workers=1, until=NOON + 36 * HOUR
    )
    assert [stats.attempts for stats in (first, second, third)] == [1, 0, 1]
    assert [stats.worker_s for stats in (first, second, third)] == [12 * 3600 + 60, 24 * 3600, 0]
    assert second.use_percent == 100.0
    assert sum(stats.worker_s for stats in (first, second, third)) == 36 * 3600 + 60


def test_a_day_is_as_long_as_the_clock_makes_it(zone):
    """On 29 March 2026 the clocks of Berlin were put forward."""
    zone("Europe/Berlin")
    begin = round(datetime(2026, 3, 28, 23, 0, tzinfo=UTC).timestamp() * 1e6)
    assert next_day(begin) - begin == 23 * HOUR
    [day] = counted(
        ended(begin=begin, ran=23 * 3600.0 - 1), by="day", workers=1, until=begin + 23 * HOUR
    )
    assert (day.key, round(day.use_percent)) == ("2026-03-29", 100)


def test_a_clock_that_was_set_makes_no_line_for_each_day_since_1970():
    assert len(counted(ended(begin=0, ran=NOON / 1e6), by="day")) == 1
