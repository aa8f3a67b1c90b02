"""`top` under a pilot: what keys and the mouse do, and what is asked of the daemon for it."""

import asyncio
import threading

import pytest
from textual.widgets import Input

from jobctl.tui.dialogs import Question
from jobctl.tui.job_list import JobList
from jobctl.tui.panes import Detail, OutputPane, Words
from jobd.contract.errors import BadRequest, NotPermitted, NotRunning
from jobd.contract.models import (
    Acted,
    Edit,
    Groups,
    GroupShare,
    GroupsReply,
    Hold,
    List,
    Pause,
    Restart,
    Resume,
    Rm,
    Start,
    Stop,
    Wait,
    Waited,
    Workers,
    WorkersReply,
)
from jobd.contract.states import State
from tests.jobctl.fakes import job
from tests.jobctl.tui.world import (
    PATIENCE_S,
    World,
    acted,
    busy_world,
    screen,
    seen,
    settled,
    until,
)


def queue():
    world = World(
        [
            job(1, "running", name="one", run_s=5.0, attempt=1),
            job(2, "running", name="two", run_s=5.0, attempt=1, paused=True),
            job(3, "pending", name="three", reason="queued"),
            job(4, "pending", name="four", reason="held"),
            job(5, "failed", name="five", reason="exit code 2", run_s=1.0, attempt=1),
        ]
    )
    world.answers[Wait] = lambda _: Waited(done=True, total=1, counts={State.STOPPED: 1})
    for kind in (Hold, Start, Pause, Resume, Restart, Rm):
        world.answers[kind] = lambda request: Acted(
            done=[first for first, _ in request.selector.ids]
        )
    world.answers[Stop] = lambda request: Acted(
        done=[f for f, _ in request.selector.ids], grace=1.0
    )
    return world


def under_pilot(check, world=None, size=(80, 24)):
    """Runs `check(pilot, world)`."""
    world = world or queue()

    async def run():
        async with seen(world.connect, size) as pilot:
            await check(pilot, world)

    try:
        asyncio.run(run())
    finally:
        world.close()


def at(pilot):
    """The job where the cursor is."""
    return pilot.app.query_one(JobList).row.job.id


# --- looking --------------------------------------------------------------------------------------


def test_it_asks_for_no_more_than_is_on_the_screen():
    async def check(pilot, world):
        await settled(pilot, "Waiting 99,998")
        assert all(
            request.limit or (request.pending is not None and request.finished is not None)
            for request in world.of(List)
        )
        assert max(request.running or 0 for request in world.of(List)) <= 50
        await pilot.press("2")
        await until(pilot, lambda: any(request.limit for request in world.of(List)))
        assert {request.limit for request in world.of(List)} <= {None, 50}
        await settled(pilot, "[2 Waiting 99,998]")
        await pilot.press("end")
        await until(pilot, lambda: any(request.limit == 100 for request in world.of(List)))

    jobs = [job(number, "pending", reason="queued") for number in range(3, 1000)]
    world = World(jobs, counts={State.PENDING: 99_998, State.RUNNING: 2})
    under_pilot(check, world)


@pytest.mark.parametrize(
    "name", ["[/red]", "[b]", "[@click=app.leave]a", r"\[b", "[", "$x", ":+1:"]
)
def test_markup_in_a_name_is_a_name(name):
    """Such a title would be an error of Textual's, or a place to click on."""

    async def check(pilot, world):
        await settled(pilot, f"output of 7 {name}")
        world.answers[Stop] = fails
        await pilot.press("x", "y")
        await settled(pilot, f"no job {name}")

    def fails(_):
        raise BadRequest(f"no job {name}")

    one = job(
        7, "running", name=name, command=name, reason=name, group=name, tags=[name], attempt=1
    )
    under_pilot(check, World([one]), size=(140, 40))


def test_nobody_looks_while_nothing_happens():
    async def check(pilot, world):
        await settled(pilot, "exit code 2", "state       Pending")
        looks = len(world.of(List))
        for _ in range(20):
            await pilot.pause(0.02)
        assert len(world.of(List)) == looks
        world.jobs.append(job(9, "pending", name="nine", reason="queued"))
        world.happens()
        await settled(pilot, "nine")

    world = queue()
    world.jobs = [one for one in world.jobs if one.state is not State.RUNNING]
    under_pilot(check, world)


def test_only_lines_that_changed_are_drawn(monkeypatch):
    drawn, draw = [], JobList._draw

    def noted(jobs, y):
        drawn.append(y)
        draw(jobs, y)

    monkeypatch.setattr(JobList, "_draw", noted)

    async def check(pilot, world):
        await settled(pilot, "exit code 2", "state       Running")
        drawn.clear()
        jobs = pilot.app.query_one(JobList)
        world.jobs[4] = job(5, "failed", name="five", reason="exit code 3", run_s=1.0, attempt=1)
        world.happens()
        await until(pilot, lambda: drawn)
        [y] = drawn
        assert jobs._lines[y].row.job.id == 5

    under_pilot(check)


def test_the_cursor_stays_at_its_job():
    async def check(pilot, world):
        await pilot.press("down", "down")
        assert at(pilot) == 3
        world.jobs = [one for one in world.jobs if one.id != 1]
        world.jobs.insert(0, job(7, "pending", name="seven", reason="queued", priority=9))
        world.happens()
        await settled(pilot, "seven")
        assert at(pilot) == 3
        world.jobs = [one for one in world.jobs if one.id != 3]
        world.happens()
        await until(pilot, lambda: at(pilot) == 4)
        await pilot.press("home")
        assert at(pilot) == 2

    under_pilot(check)


def test_detail_and_output_follow_the_cursor():
    async def check(pilot, world):
        await settled(pilot, "state       Running", "hello")
        await pilot.press("end")
        await settled(pilot, "state       Failed (exit code 2)", "no such rule")
        assert [pane.job for pane in pilot.app.query(OutputPane)] == [5]

    world = queue()
    world.outputs = {1: b"hello\n", 5: b"no such rule\n"}
    under_pilot(check, world, (120, 40))


def test_outputs_of_marked_jobs_stand_side_by_side():
    async def check(pilot, _):
        await pilot.press("space", "space")
        shown = await settled(pilot, "hello", "world")
        assert any("hello" in line and "world" in line for line in shown.splitlines())
        await pilot.press("escape")
        await until(pilot, lambda: len(pilot.app.query(OutputPane)) == 1)

    world = queue()
    world.outputs = {1: b"hello\n", 2: b"world\n"}
    under_pilot(check, world, (200, 50))


def test_on_a_narrow_screen_one_pane_is_seen():
    async def check(pilot, _):
        await settled(pilot, "state       Running")
        await pilot.press("o")
        shown = await settled(pilot, "hello")
        assert "state  " not in shown
        await pilot.press("d")
        await settled(pilot, "state       Running")

    world = queue()
    world.outputs = {1: b"hello\n"}
    under_pilot(check, world)


def test_sections_and_orders():
    async def check(pilot, world):
        await pilot.press("3")
        shown = await settled(pilot, "[3 Failed 1]", "five")
        assert "── Running" not in shown
        await pilot.press("0", "s", "s")
        await settled(pilot, "by name", "── Running")
        await until(pilot, lambda: screen(pilot).index("four") < screen(pilot).index("three"))
        await pilot.click(list(pilot.app.query("SectionTab"))[1])
        await settled(pilot, "[1 Running 2]")

    under_pilot(check)


def test_it_filters_as_one_types():
    async def check(pilot, world):
        await pilot.press("slash", *"fi")
        await until(pilot, lambda: "three" not in screen(pilot))
        assert "five" in screen(pilot)
        await pilot.press("enter", "escape")
        await settled(pilot, "three")
        assert pilot.app.query_one("#filter", Input).value == ""

    under_pilot(check)


def test_a_word_of_the_command_is_found_too():
    async def check(pilot, world):
        await pilot.press("slash", *"MAKE")
        await settled(pilot, "make data", "one")

    world = World(
        [
            job(1, "running"),
            job(2, "running", name="one"),
            job(3, "running", name="two", command="sleep"),
        ]
    )
    under_pilot(check, world)


def test_an_array_is_one_row_until_it_is_opened():
    async def check(pilot, world):
        shown = await settled(pilot, "47-10046  array 1-10000")
        assert "[4312]" not in shown
        jobs = pilot.app.query_one(JobList)
        while jobs.row.array is None:
            await pilot.press("down")
        await pilot.press("enter")
        await settled(pilot, "sweep[4312]")
        assert any(request.selector.ids == [(47, 10_046)] for request in world.of(List))

    under_pilot(check, busy_world(), (120, 40))


# --- the mouse ------------------------------------------------------------------------------------


def test_a_click_moves_the_cursor_and_a_second_one_opens():
    async def check(pilot, _):
        jobs = pilot.app.query_one(JobList)
        [y] = [y for y, line in enumerate(jobs._lines) if line.row and line.row.job.id == 2]
        await pilot.click(JobList, offset=(10, y))
        assert at(pilot) == 2
        await pilot.click(JobList, offset=(10, y))
        await until(pilot, lambda: pilot.app.query_one("#below").has_class("large"))
        [y] = [y for y, line in enumerate(jobs._lines) if "Waiting" in line.text]
        await pilot.click(JobList, offset=(10, y))
        await settled(pilot, "[2 Waiting 2]")

    under_pilot(check, size=(80, 40))


# --- doing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "kind", "jobs"),
    [
        ("x", Stop, [(1, 1)]),
        ("D", Stop, [(1, 1)]),
        ("r", Stop, [(1, 1)]),
    ],
)
def test_what_loses_something_is_asked_about(keys, kind, jobs):
    async def check(pilot, world):
        await pilot.press(keys)
        await settled(pilot, "job 1")
        assert isinstance(pilot.app.screen, Question)
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(pilot.app.screen, Question))
        assert world.of(kind) == []
        await pilot.press(keys)
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: world.of(kind))
        assert world.of(kind)[0].selector.ids == jobs

    under_pilot(check)


@pytest.mark.parametrize(
    ("job_", "key", "kind"),
    [
        (1, "p", Pause), (2, "p", Resume), (3, "h", Hold), (4, "h", Start), (5, "r", Restart)
    ],
)  # fmt: skip
def test_keys_do_what_the_job_needs(job_, key, kind):
    async def check(pilot, world):
        while at(pilot) != job_:
            await pilot.press("down")
        await pilot.press(key)
        await until(pilot, lambda: world.of(kind))
        assert world.of(kind)[0].selector.ids == [(job_, job_)]
        await settled(pilot, f" {job_}")

    under_pilot(check)


def test_a_key_acts_on_all_that_are_marked():
    async def check(pilot, world):
        await pilot.press("space", "space", "x", "y")
        await until(pilot, lambda: world.of(Stop))
        assert world.of(Stop)[0].selector.ids == [(1, 1), (2, 2)]

    under_pilot(check)


def test_priority_workers_and_groups():
    async def check(pilot, world):
        await pilot.press("down", "down", "n")
        await settled(pilot, "Priority of job 3")
        await pilot.press(*"high", "enter")
        await until(pilot, lambda: world.of(Edit))
        assert (world.of(Edit)[0].id, world.of(Edit)[0].priority) == (3, 100)
        await pilot.press("n", *"lots", "enter")
        await settled(pilot, "'lots' is no priority")
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: Workers(workers=9) in world.of(Workers))
        await pilot.press("G")
        await until(pilot, lambda: world.of(Pause))
        assert world.of(Pause)[0].group == "default"

    world = queue()
    world.answers[Edit] = lambda request: Acted(done=[request.id])
    world.answers[Workers] = lambda request: WorkersReply(workers=request.workers or 8, busy=2)
    world.answers[Groups] = lambda _: GroupsReply(groups=[GroupShare(name="default")])
    world.answers[Pause] = lambda _: Acted(done=[])
    under_pilot(check, world)


def test_a_refusal_is_a_notice():
    async def check(pilot, world):
        await pilot.press("p")
        await settled(pilot, "not permitted: a viewer may not")

    def refuse(_):
        raise NotPermitted("not permitted: a viewer may not")

    world = queue()
    world.answers[Pause] = refuse
    under_pilot(check, world, (120, 40))


def test_the_change_is_seen():
    async def check(pilot, world):
        await pilot.press("p")
        await settled(pilot, "‖    1", "paused 1")

    world = queue()
    change = acted(world, lambda one: job(1, "running", name="one", run_s=5.0, paused=True))
    world.answers[Pause] = change
    under_pilot(check, world)


# --- trouble, and the end -------------------------------------------------------------------------


def test_a_daemon_that_is_away_is_told_of_and_waited_for(monkeypatch):
    monkeypatch.setattr("jobctl.tui.feed._AWAY", 0.05)

    async def check(pilot, world):
        world.fails = NotRunning("jobd is not running. Start it with: jobd start")
        world.happens()
        shown = await settled(pilot, "jobd is not running")
        assert "one" in shown, "what was seen last stays"
        world.fails = None
        await until(pilot, lambda: "jobd is not running" not in screen(pilot))

    under_pilot(check)


def test_an_output_is_read_on_when_the_daemon_is_back(monkeypatch):
    monkeypatch.setattr("jobctl.tui.feed._AWAY", 0.05)
    monkeypatch.setattr("jobctl.tui.following._AWAY_S", 0.05)

    async def check(pilot, world):
        await pilot.press("down", "down")
        await settled(pilot, "of the third")
        world.fails = NotRunning("jobd is not running. Start it with: jobd start")
        await pilot.press("up", "up")
        await until(pilot, lambda: screen(pilot).count("jobd is not running") == 2)
        world.outputs[1], world.fails = b"here again", None
        await settled(pilot, "here again")
        await until(pilot, lambda: "jobd is not running" not in screen(pilot))

    world = World([job(n, "running", name=f"n{n}", run_s=5.0, attempt=1) for n in (1, 2, 3)])
    world.outputs[3] = b"of the third"
    under_pilot(check, world, (120, 40))


def test_a_job_that_runs_again_prints_anew():
    async def check(pilot, world):
        await pilot.press("end")
        await settled(pilot, "of the first attempt")
        world.outputs[5] = b"of the second one"
        world.jobs[-1] = job(5, "running", name="five", run_s=1.0, attempt=2)
        world.happens()
        await settled(pilot, "of the second one")
        assert "of the first attempt" not in screen(pilot)

    world = queue()
    world.outputs[5] = b"of the first attempt"
    under_pilot(check, world, (120, 40))


NAME = "[/] [red]x[/red] [@click=app.leave]y[/]"


def test_a_name_is_no_order_to_the_screen():
    async def check(pilot, _):
        shown = await settled(pilot, f"job 1  {NAME}", f"output of 1 {NAME[:10]}")
        assert "exit code [b]2" in shown

    world = World(
        [job(1, "failed", name=NAME, run_s=5.0, attempt=1, reason="exit code [b]2", cwd="[/]")]
    )
    under_pilot(check, world, (160, 40))


@pytest.mark.parametrize(
    "where", ["jobctl.tui.panes.Detail.show", "jobctl.tui.following.Lines.add"]
)
def test_a_defect_in_what_a_thread_has_begun_ends_the_view(monkeypatch, where):
    defects = [ZeroDivisionError("nobody foresaw this")]

    def show(*_):
        raise defects.pop() if defects else NotRunning("jobd is not running")

    async def check(pilot, _):
        monkeypatch.setattr(where, show)
        await pilot.press("down")
        await until(pilot, lambda: not pilot.app.is_running)

    with pytest.raises(ZeroDivisionError, match="nobody foresaw this"):
        under_pilot(check)


def test_what_is_removed_is_not_marked_any_more():
    async def check(pilot, world):
        await pilot.press("end", "space", "D", "y")
        await settled(pilot, "removed 5")
        await pilot.press("home", "x", "y")
        await until(pilot, lambda: world.of(Stop))
        assert world.of(Stop)[-1].selector.ids == [(1, 1)]

    world = queue()
    world.answers[Rm] = acted(world, lambda _: None)
    world.answers[Stop] = lambda _: Acted(done=[])
    under_pilot(check, world, (120, 40))


def test_the_cursor_stays_in_sight_where_rows_change_places():
    async def check(pilot, world):
        await until(pilot, lambda: at(pilot) == 1)
        world.jobs = [*world.jobs[1:], world.jobs[0]]
        world.happens()
        jobs = pilot.app.query_one(JobList)
        await until(pilot, lambda: jobs._at > 30)
        await until(pilot, lambda: jobs.scroll_offset.y > 0)
        assert at(pilot) == 1

    under_pilot(check, World([job(n, "running", name=f"n{n}") for n in range(1, 41)]))


def test_whoever_leaves_does_not_wait_for_jobs_that_end():
    """What is half done is known to whoever has run the view."""
    stopping = threading.Event()

    def stop(request):
        stopping.wait(PATIENCE_S)
        return Acted(done=[first for first, _ in request.selector.ids], grace=1.0)

    async def check(pilot, world):
        await pilot.press("x", "y")
        await until(pilot, lambda: world.of(Stop))
        assert pilot.app.unfinished == []
        await pilot.press("r", "y")
        await until(pilot, lambda: len(world.of(Stop)) == 2)
        (doing,) = pilot.app.unfinished
        assert doing.rest == "job 1: to run again once all of it has stopped"
        left.append(doing)
        await pilot.press("q")
        await until(pilot, lambda: not pilot.app.is_running)

    world, left = queue(), []
    world.answers[Stop] = stop
    under_pilot(check, world)
    assert not left[0].said, "it was left before that"
    stopping.set()
    left[0].wait()
    assert left[0].said.text == "to run again: 1"
    assert world.of(Restart)


def test_a_daemon_that_is_silent_is_told_of(monkeypatch):
    async def check(pilot, _):
        monkeypatch.setattr(pilot.app._feed, "silent_s", lambda: 7.0)
        await settled(pilot, "jobd has not answered for 7 s")

    under_pilot(check)


def test_a_filter_that_the_daemon_refuses_is_told_of():
    async def check(pilot, world):
        world.fails = BadRequest("group: '!' is no name of a group")
        await pilot.press("slash", *"g:!")
        await settled(pilot, "is no name of a group")
        assert pilot.app.query_one("#trouble", Words).display

    under_pilot(check)


def test_a_job_that_is_removed_meanwhile_is_no_error():
    async def check(pilot, world):
        await pilot.press("down")
        world.jobs = []
        world.happens()
        await settled(pilot, "no job")
        assert pilot.app.query_one(Detail).border_title == "no job"
        await pilot.press("x", "r", "h", "p", "n", "D", "G", "space", "enter")
        assert pilot.app.query_one(JobList).row is None

    under_pilot(check)


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_it_is_left(key):
    async def check(pilot, _):
        await pilot.press(key)
        await until(pilot, lambda: not pilot.app.is_running)

    under_pilot(check)


def test_it_says_what_a_stop_does_to_what_is_meant():
    """Of an array one job stands in the row, and others of it may run."""

    async def check(pilot, _):
        jobs = pilot.app.query_one(JobList)
        for number, said in [
            (11, "Stop job 11? It runs: what has not been saved is lost."),
            (47, "Stop jobs 47-10046? 3 of them run: what has not been saved is lost."),
            (2, "Stop job 2? It waits, and will not start."),
        ]:
            await pilot.press("home")
            while jobs.row.job.id != number:
                await pilot.press("down")
            await pilot.press("x")
            shown = await settled(pilot, "Stop job")
            assert said in " ".join(shown.replace("│", " ").split())
            await pilot.press("n")
            await until(pilot, lambda: "No (n)" not in screen(pilot))
        while jobs.row.job.id != 5:
            await pilot.press("down")
        await pilot.press("x")
        await settled(pilot, "nothing to stop: it has finished already")
        assert not isinstance(pilot.app.screen, Question)

    under_pilot(check, busy_world(), (120, 40))


def test_ctrl_c_leaves_while_something_is_asked():
    async def check(pilot, _):
        await pilot.press("x")
        await settled(pilot, "Stop job 1?")
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not pilot.app.is_running)

    under_pilot(check)


def test_all_keys_are_told():
    async def check(pilot, _):
        await pilot.press("question_mark")
        shown = await settled(pilot, "fewer, more workers")
        assert "leave; jobs go on" in shown
        await pilot.press("escape")
        await until(pilot, lambda: "fewer, more" not in screen(pilot))

    under_pilot(check)
