"""What `top` is made of, without a screen."""

import threading

import pytest

from jobctl.tui import deeds, rows
from jobctl.tui.estimate import until_idle
from jobctl.tui.feed import Feed
from jobctl.tui.filtering import parse
from jobctl.tui.following import Following, Lines
from jobctl.tui.load import Load
from jobctl.tui.look import look
from jobctl.tui.panes import summary
from jobctl.tui.sight import Order, Scope, Section, Sight
from jobd.contract.errors import NotRunning, Refused, VersionMismatch
from jobd.contract.models import (
    Acted,
    Array,
    DaemonStatus,
    Edit,
    Gpu,
    List,
    Note,
    Selector,
    Stop,
    Wait,
    Waited,
)
from jobd.contract.states import State
from tests.helpers import wait_until
from tests.jobctl.fakes import job
from tests.jobctl.tui.world import World, busy_world

# --- what is typed --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "selector", "word"),
    [
        ("", Selector(), ""),
        ("train", Selector(name="*train*"), "train"),
        ("Big run", Selector(name="*Big run*"), "big run"),
        ("train*", Selector(name="train*"), ""),
        ("group:", Selector(), ""),
        ("g:gpu t:a tag:b user:me", Selector(groups=["gpu"], tags=["a", "b"], users=["me"]), ""),
        ("3-9 12,14", Selector(ids=[(3, 9), (12, 12), (14, 14)]), ""),
        ("9-3 0", Selector(), ""),
        ("3-", Selector(name="*3-*"), "3-"),
        ("9" * 5000, Selector(name="*" + "9" * 5000 + "*"), "9" * 5000),
        ("http://x", Selector(name="*http://x*"), "http://x"),
    ],
)
def test_a_filter_is_read(typed, selector, word):
    found = parse(typed)
    assert (found.selector, found.word) == (selector, word)


@pytest.mark.parametrize(
    ("typed", "priority"),
    [("high", 100), (" LOW ", -100), ("regular", 0), ("7", 7), ("-7", -7), ("x", None),
     ("", None), ("10000000000", None), ("1.5", None)],
)  # fmt: skip
def test_a_priority_is_read(typed, priority):
    assert deeds.priority_of(typed) == priority


# --- how long it takes ----------------------------------------------------------------------------


def done(*seconds):
    return [job(n, "completed", run_s=float(s)) for n, s in enumerate(seconds, 1)]


@pytest.mark.parametrize(
    ("running", "finished", "pending", "workers", "left"),
    [
        ([], done(9, 10, 11), 6, 2, 30.0),
        ([job(9, "running", run_s=4.0)], done(10, 10, 10), 0, 2, 6.0),
        ([job(9, "running", run_s=4.0, eta_s=100.0)], done(10, 10, 10), 2, 2, 100.0),
        ([job(9, "running", run_s=4.0, eta_s=100.0)], [], 0, 1, 100.0),
        ([], done(10, 10), 6, 2, None),
        ([], done(10, 10, 10), 6, 0, None),
        ([], done(10, 10, 10), 0, 2, None),
        ([job(9, "running", run_s=4.0)], [], 0, 2, None),
    ],
)
def test_when_all_will_be_done(running, finished, pending, workers, left):
    assert until_idle(running, finished, pending, workers) == left


def test_the_whole_queue_is_estimated_whatever_is_seen_of_it():
    """In a section of its own, and of an array's elements, there was no time."""
    jobs = [*done(10, 10, 10), job(4, "running", run_s=4.0)]
    jobs += [job(number, "pending", reason="queued") for number in range(5, 13)]
    world = World(jobs, arrays={1: Array(first=1, last=12, first_index=1, last_index=12)})
    for scope in (Scope(), Scope(section=Section.FAILED), Scope(filter=parse("group:gpu"))):
        assert look(world.connect(), scope).left_s == (8 * 10 + 6) / 8
    world.close()


# --- the line above all ---------------------------------------------------------------------------


def told(width=200, **status):
    status = DaemonStatus(workers=8, busy=2, **status)
    return summary(Sight(parts=[], counts={}, status=status), width)


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr("os.getloadavg", lambda: (1.2, 0.0, 0.0))
    monkeypatch.setattr("os.cpu_count", lambda: 8)


def test_gpus_that_jobs_have_are_counted_by_the_daemon():
    """Those of jobs that are not shown, too."""
    assert "· 2 of 4 GPUs in use ·" in told(gpus=4, gpus_busy=2)
    assert "· 1 of 1 GPU in use ·" in told(gpus=1, gpus_busy=1)
    assert "GPU" not in told()


@pytest.mark.parametrize(
    ("loads", "said"),
    [
        (None, ""),
        ([], ""),
        ([None], ""),
        ([97], " · GPU load 97%"),
        ([97, None, 3], " · GPU load 97%, 3%"),
        ([100, 0, 50, 50, 25], " · 5 GPUs 45% busy on average"),
    ],
)
def test_what_gpus_are_doing_is_told(loads, said):
    gpus = None if loads is None else [Gpu(index=n, load=load) for n, load in enumerate(loads)]
    assert told(gpu_load=gpus) == f"2 of 8 workers busy · load 1.2 on 8 CPUs{said}"


def test_of_the_summary_whole_parts_are_left_out_where_there_is_no_room():
    given = {"gpus": 2, "gpus_busy": 1, "gpu_load": [Gpu(index=0, load=7)]}
    whole = "2 of 8 workers busy · 1 of 2 GPUs in use · load 1.2 on 8 CPUs"
    assert told(len(whole), **given) == whole
    assert told(len(whole) - 1, **given) == whole.replace("load 1.2 on 8 CPUs", "GPU load 7%")
    assert told(20, **given) == "2 of 8 workers busy"


def test_how_busy_a_job_is():
    load = Load()
    one = job(1, "running", attempt=1, run_s=10.0, cpu_s=5.0)
    load.see([one, job(2, "running", attempt=1, run_s=1.0)], 100.0)
    assert (load.percent(1), load.percent(2), load.percent(3)) == (50.0, None, None)
    load.see([job(1, "running", attempt=1, run_s=10.1, cpu_s=5.1)], 100.1)
    assert load.percent(1) == 50.0, "too soon to tell"
    load.see([job(1, "running", attempt=1, run_s=12.0, cpu_s=9.0)], 102.0)
    assert load.percent(1) == 200.0
    load.see([job(1, "running", attempt=2, run_s=0.0, cpu_s=0.0)], 103.0)
    assert load.percent(1) is None


# --- outputs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"one\ntwo"], ["one", "two"]),
        ([b"one\r\n", b"two\n"], ["one", "two"]),
        ([b"10%\r20%\r", b"30%"], ["30%"]),
        ([b"10%\r20%\r"], ["20%"]),
        ([b"10%\r", b"done\n"], ["done"]),
        ([b"\x1b[31mred\x1b[0m\x07"], ["red\\x07"]),
        (["schön".encode()[:4], "schön".encode()[4:]], ["schön"]),
        ([b"\xff\xfe\n"], ["\ufffd\ufffd"]),
        ([b"a\tb"], ["a       b"]),
        ([b""], []),
    ],
)
def test_an_output_is_read_as_a_terminal_shows_it(pieces, lines):
    found = Lines()
    for piece in pieces:
        found.add(piece)
    assert found.all() == lines


def test_of_an_output_the_end_is_kept():
    found = Lines()
    for _ in range(1000):
        found.add(b"x" * 1000)
    assert found.all() == ["x" * 2000]
    assert len(found._last) < 10_000, "of a line without end no more is kept than is shown"
    found = Lines(most=3)
    found.add(b"".join(b"%d\n" % number for number in range(10)))
    assert found.all() == ["7", "8", "9"]
    found = Lines()
    for _ in range(100):
        found.add(b"50%\r" * 10_000)
    assert found.all() == ["50%"]
    assert len(found._last) <= 4000


def test_an_output_is_followed_until_nobody_wants_it():
    world = busy_world()
    told, is_told = [], threading.Event()

    def tell(lines, about):
        told.append((lines[-1:], about))
        is_told.set()

    following = Following(world.connect, 11, tell)
    following.start()
    assert is_told.wait(10)
    assert told == [(["epoch 40/90  loss 0.31"], "")]
    following.close()
    world.close()
    wait_until(lambda: not any(t.name == "top-output-11" for t in threading.enumerate()))
    assert len(told) == 1


def test_an_output_of_a_job_that_is_gone_says_so():
    world = World([])
    told = []
    following = Following(world.connect, 7, lambda lines, about: told.append((lines, about)))
    following._run()
    assert told == [([], "job 7 does not exist")]


# --- rows -----------------------------------------------------------------------------------------


def listed(scope=None, width=120):
    world = busy_world()
    sight = look(world.connect(), scope or Scope())
    return [line.text for line in rows.lines(sight, width, lambda _: 12.0)]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 140, 200])
def test_rows_are_as_wide_as_the_screen_at_most(width):
    assert all(len(text) <= width for text in listed(width=width))


def test_what_is_in_a_name_drives_nothing():
    world = World([job(1, "running", name="\x1b[31m[bold]\n", run_s=1.0, command="\x1b]0;x\x07")])
    sight = look(world.connect(), Scope())
    assert all(line.text.isprintable() for line in rows.lines(sight, 200, lambda _: None))


def test_time_goes_on_for_those_that_run():
    sight = look(busy_world().connect(), Scope())
    later = rows.later(sight, 10.0)
    assert [job.run_s for job in later.running] == [job.run_s + 10 for job in sight.running]
    assert [job.eta_s for job in later.running] == [job.eta_s - 10 for job in sight.running]
    assert later.parts[1] == sight.parts[1]


@pytest.mark.parametrize(
    ("order", "first"),
    [(Order.QUEUE, 11), (Order.TIME, 14), (Order.NAME, 11), (Order.CPU, 14), (Order.MEMORY, 14)],
)
def test_orders(order, first):
    sight = look(busy_world().connect(), Scope(order=order))
    assert sight.running[0].id == first


def test_a_daemon_of_an_earlier_version_lists_elements():
    world = World([job(1, "running")])
    asked = []

    def old(request):
        asked.append(request)
        if request.collapsed or request.usage:
            raise VersionMismatch("unknown")
        return world._listed(request)

    world.answers[List] = old
    assert [job.id for job in look(world.connect(), Scope()).running] == [1]
    assert not asked[1].collapsed


@pytest.mark.parametrize("section", list(Section))
def test_sections_hold_their_states(section):
    sight = look(busy_world().connect(), Scope(section=section))
    for part in sight.parts:
        assert {row.job.state for row in part.rows if row.array is None} <= set(part.section.states)


# --- looking --------------------------------------------------------------------------------------


def test_much_that_happens_is_one_look(monkeypatch):
    monkeypatch.setattr("jobctl.tui.feed._BREATH", 0.2)
    world, told = busy_world(), []
    feed = Feed(world.connect, told.append)
    feed.start()
    wait_until(lambda: told)
    before = len(told)
    for _ in range(1000):
        world.happens()
    wait_until(lambda: len(told) > before)
    assert len(told) <= before + 3
    feed.close()
    world.close()


def test_it_goes_on_when_the_daemon_is_back(monkeypatch):
    monkeypatch.setattr("jobctl.tui.feed._AWAY", 0.02)
    monkeypatch.setattr("jobctl.tui.feed._BREATH", 0.0)
    world, told = busy_world(), []
    world.fails = NotRunning("away")
    feed = Feed(world.connect, told.append)
    feed.start()
    wait_until(lambda: told)
    assert isinstance(told[-1], NotRunning)
    assert feed.silent_s() < 10
    world.fails = None
    wait_until(lambda: isinstance(told[-1], Sight))
    feed.close()
    world.close()


# --- doing ----------------------------------------------------------------------------------------


def test_what_cannot_be_done_is_said():
    world = World([job(1, "running")])
    world.answers[Stop] = lambda _: Acted(done=[], errors=[Note(id=1, text="cannot be stopped")])
    assert deeds.stop([(1, 1)])(world.connect()) == deeds.Said("1 cannot be stopped", is_wrong=True)
    assert deeds.restart([(1, 1)])(world.connect()).is_wrong
    world.answers[Stop] = lambda _: Acted(done=[], notices=[Note(id=1, text="has already failed")])
    assert deeds.stop([(1, 1)])(world.connect()).text == "1 has already failed"
    world.answers[Stop] = lambda _: Acted(done=[])
    assert deeds.stop([(1, 1)])(world.connect()).text == "nothing to do"


def test_a_priority_is_changed_of_what_waits():
    world = World([job(1, "running"), job(2, "pending"), job(3, "pending")])
    world.answers[Edit] = lambda request: Acted(done=[request.id])
    assert deeds.edit([(1, 3)], priority=7)(world.connect()).text == "priority 7: 2,3"

    def refuse(request):
        if request.id == 2:
            raise Refused("job 2 is running; only pending jobs can be edited")
        return Acted(done=[request.id])

    world.answers[Edit] = refuse
    said = deeds.edit([(1, 3)], priority=7)(world.connect())
    assert said == deeds.Said("2 is running; only pending jobs can be edited", is_wrong=True)
    assert world.of(Edit)[-1].id == 3, "that one has started meanwhile keeps no other from it"


@pytest.mark.parametrize(
    ("ids", "said"),
    [([(7, 7)], "job 7"), ([(3, 9)], "jobs 3-9"), ([(1, 1), (3, 3)], "jobs 1,3")],
)
def test_jobs_are_named(ids, said):
    assert deeds.named(ids) == said


def test_what_was_removed_is_gone():
    world = World([job(1, "completed")])
    world.answers[Stop] = lambda _: Acted(done=[])
    world.answers[Wait] = lambda _: Waited(done=True, total=1, counts={State.COMPLETED: 1})
    from jobd.contract.models import Rm

    world.answers[Rm] = lambda _: Acted(done=[1])
    assert deeds.remove([(1, 1)])(world.connect()).text == "removed 1"


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_an_outcome_is_not_cut(width):
    world = busy_world()
    reason = "could not start: pyhton: not found"
    world.jobs.append(job(3, "failed", name="prep", reason=reason, run_s=0.0, attempt=1))
    sight = look(world.connect(), Scope())
    assert any(reason in line.text for line in rows.lines(sight, width, lambda _: None))
