"""`watch` on a terminal: what is asked, what is drawn, and what is left behind."""

import itertools
import re
import signal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.console import Console
from wcwidth import wcswidth

from jobctl.actions import watch as module
from jobctl.actions.tails import AT_ONCE, EVERY, Tails, last_line
from jobctl.actions.watch import _BREATH, Watching
from jobctl.render import rows, screen
from jobd.contract.errors import NotFound, NotRunning, VersionMismatch
from jobd.contract.models import (
    Array,
    DaemonStatus,
    Event,
    EventPage,
    Events,
    List,
    Output,
    Page,
    Piece,
    Selector,
    Wait,
    Waited,
)
from jobd.contract.overviews import Picture
from jobd.contract.states import State
from jobd.contract.wire import MAX_WAIT
from tests.jobctl.fakes import NOON, FakeClient, job, jobctl

LR3 = job(1, "running", name="lr3", progress=40.0, eta_s=180.0, run_s=130.0, attempt=1)
COUNTS = {State.RUNNING: 1, State.PENDING: 1, State.FAILED: 1}
DONE = {State.COMPLETED: 2, State.FAILED: 1}


def event(seq, name, number=1, **data):
    return Event(seq=seq, at=NOON, job=number, event=name, user="", data=data)


_FORWARD = itertools.count(1_000_000)


def page(*events, unfinished=0, following=None, written=()):
    """Without `following` it goes on behind all pages that were made before."""
    behind = next(_FORWARD) if following is None else following
    return EventPage(events=list(events), next=behind, unfinished=unfinished, written=list(written))


def piece(data=b"", offset=0, number=1):
    return Piece(
        id=number, attempt=1, data=data, offset=offset, ended=False, state=State.RUNNING, path=""
    )


class Shown(str):
    """What a terminal shows after all this was written to it: enough of one for `watch`."""

    __slots__ = ()

    def __new__(cls, written, width=80):
        lines, row, column = [""], 0, 0
        text = re.sub(r"\x1b\[[\d;]*m", "", written)
        for match in re.finditer(r"\x1b\[(\d*)([A-Z])|\r|\n|[^\x1b\r\n]+", text):
            count, control = match[1], match[2]
            if control == "A":
                row = max(0, row - int(count))
            elif control == "K":
                lines[row] = lines[row][:column]
            elif control == "J":
                lines[row:] = [lines[row][:column]]
            elif match[0] == "\r":
                column = 0
            elif match[0] == "\n":
                row, column = row + 1, 0
                lines += [""] * (row + 1 - len(lines))
            else:
                assert not control, match[0]
                assert wcswidth(match[0]) < width
                before, after = lines[row][:column], lines[row][column + len(match[0]) :]
                lines[row] = f"{before:<{column}}{match[0]}{after}"
                column += len(match[0])
        return super().__new__(cls, "\n".join(lines).rstrip("\n"))


# --- the whole command --------------------------------------------------------------------


def client(**replies):
    given = {
        "events": [
            page(following=10),
            page(unfinished=2, following=10),
            page(event(11, "completed"), event(12, "failed", 2, reason="exit code 2")),
            page(),
        ],
        "list": [Page(jobs=[LR3], counts=COUNTS)] * 3 + [Page(jobs=[], counts=DONE)],
        "status": DaemonStatus(workers=3),
        "output": piece(b"epoch 1\nepoch 4/10 loss 0.31"),
    }
    return FakeClient(**{**given, **replies})


@pytest.fixture(autouse=True)
def nobody_sleeps(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def test_a_row_per_running_job_and_the_counts():
    fake = client(events=[page(following=10), KeyboardInterrupt()])
    result = jobctl("watch", client=fake, terminal=True)
    assert result.code == 0
    first, _, last = result.out.partition("\x1b[J")
    assert Shown(first).splitlines() == [
        "  1 lr3  ━━━━━━━━━━━━╺━━━━━━━━━━━━━━━━━  40%  3m left  epoch 4/10 loss 0.31",
        "1 of 3 workers busy · 1 pending · 1 failed                        Ctrl-C leaves",
    ]
    assert Shown(first + last) == "1 of 3 workers busy · 1 pending · 1 failed"


def test_a_job_of_three_slots_makes_three_workers_busy():
    heavy = Page(jobs=[LR3], counts=COUNTS, busy=3)
    fake = client(events=[page(following=10), KeyboardInterrupt()], list=heavy)
    assert "3 of 3 workers busy" in jobctl("watch", client=fake, terminal=True).out


def test_what_has_ended_stays_and_the_rows_go():
    result = jobctl("watch", client=client(), terminal=True)
    assert (result.code, result.stderr) == (0, "")
    assert Shown(result.out).splitlines() == [
        "job 1 completed  lr3",
        "job 2 failed (exit code 2)",
        "0 of 3 workers busy · 2 completed · 1 failed",
    ]


@pytest.mark.parametrize("selector", [[], ["1"]])
def test_a_daemon_that_left_behind_the_end_is_not_needed_any_more(selector):
    """It stays a moment for whoever has been told the end, and no longer."""
    gone = NotRunning("jobd is not running any more")
    fake = client(
        events=[page(following=10), page(unfinished=1), page(event(11, "stopped")), gone],
        list=[Page(jobs=[LR3], counts=COUNTS)] * 3 + [gone],
        wait=[Waited(done=False, total=1, counts={State.RUNNING: 1}), gone],
    )
    result = jobctl("watch", *selector, client=fake, terminal=True)
    assert (result.code, result.stderr) == (0, "")
    nothing = "0 running" if selector else "0 of 3 workers busy"
    assert Shown(result.out).splitlines() == ["job 1 stopped  lr3", nothing]


def test_nothing_is_asked_behind_the_end_where_a_line_is_printed_for_each_change():
    gone = NotRunning("jobd is not running any more")
    pages = [page(following=10), page(unfinished=1), page(event(11, "stopped")), gone]
    for options in ([], ["--json"]):
        result = jobctl("watch", *options, client=client(events=list(pages)))
        assert (result.code, "stopped" in result.out) == (0, True), result.stderr


def test_the_daemon_knows_from_the_first_request_on_that_the_end_is_waited_for():
    for terminal in (False, True):
        fake = client()
        jobctl("watch", client=fake, terminal=terminal)
        assert all(request.follows for request in fake.of(Events)[1:])


def test_nothing_of_the_terminal_is_changed():
    """No cursor hidden, no alternate screen, no mode: there is nothing to put back."""
    numbers = signal.SIGWINCH, signal.SIGALRM
    before = [signal.getsignal(number) for number in numbers]
    for end in (KeyboardInterrupt(), NotRunning("gone"), page()):
        fake = client(events=[page(following=10), page(unfinished=1), end])
        out = jobctl("watch", client=fake, terminal=True).out
        assert not re.search(r"\x1b(?!\[[\d;]*[mKJA])", out)
        assert out.endswith("\x1b[J")
        assert [signal.getsignal(number) for number in numbers] == before
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_daemon_that_stays_away_is_said():
    fake = client(events=[page(following=10), NotRunning("jobd is not running any more")])
    result = jobctl("watch", "--color", "never", client=fake, terminal=True)
    assert (result.code, result.stderr) == (69, "jobctl: jobd is not running any more\n")


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("TERM", "")])
def test_a_dumb_terminal_gets_a_line_per_change(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    out = jobctl("watch", client=client(), terminal=True).out
    assert out == "job 1 running: 40%, 3m left\njob 1 completed\njob 2 failed (exit code 2)\n"


def test_json_is_for_programs_also_on_a_terminal():
    out = jobctl("watch", "--json", client=client(), terminal=True).out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 2


def test_colour_as_asked(monkeypatch):
    def colours(*args):
        return "\x1b[3" in jobctl(*args, "watch", client=client(), terminal=True).out

    assert colours()
    assert not colours("--color", "never")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colours()
    assert colours("--color", "always")


def test_an_idle_queue_ends_at_once():
    fake = client(events=page(), list=Page(jobs=[], counts=DONE))
    assert jobctl("watch", client=fake, terminal=True).code == 0
    assert all(request.wait == 0 for request in fake.of(Events))
    fake = client(events=page(), list=Page(jobs=[], counts=DONE))
    assert jobctl("watch", client=fake).code == 0
    assert all(request.wait == 0 for request in fake.of(Events))


# --- what is asked ------------------------------------------------------------------------


class Quiet:
    """A screen that shows nothing, and the time, which passes as one sleeps."""

    def __init__(self, room=20):
        self.shown = []
        self.now = 0.0
        self._room = room

    def room(self):
        return self._room

    def show(self, picture, said):
        self.shown.append((picture, said))

    def idle(self):
        pass

    def busy(self):
        pass

    def sleep(self, seconds):
        self.now += seconds


def watch(fake, selector=None, room=20):
    quiet = Quiet(room)
    chosen = selector or Selector()
    Watching(fake, chosen, 10, quiet, clock=lambda: quiet.now, sleep=quiet.sleep).run()
    return quiet


def test_it_asks_for_as_many_rows_as_fit():
    fake = client(events=page(), list=Page(jobs=[LR3] * 5, counts={State.RUNNING: 900}))
    quiet = watch(fake, room=5)
    assert {(r.running, r.pending, r.finished) for r in fake.of(List)} == {(5, 0, 0)}
    assert quiet.shown[0][0].more == 895


def test_events_are_drained_before_a_redraw():
    many = [event(seq, "completed", seq) for seq in range(1000)]
    fake = client(events=[page(*many), page(*many), page(event(1, "failed")), page()])
    quiet = watch(fake)
    assert [len(said) for _, said in quiet.shown] == [0, 2001]


def test_redraws_are_at_most_seven_a_second():
    busy = [page(event(seq, "progress"), unfinished=1) for seq in range(50)]
    quiet = watch(client(events=[*busy, page()]))
    assert len(quiet.shown) <= 52
    assert quiet.now >= 50 * 0.14


@pytest.mark.parametrize("jobs", [[LR3], []])
def test_it_is_woken(jobs):
    fake = client(
        events=[page(unfinished=1), page(unfinished=1), page(unfinished=0), page()],
        list=Page(jobs=jobs, counts=COUNTS),
    )
    watch(fake)
    assert [request.wait for request in fake.of(Events)] == [0, MAX_WAIT, MAX_WAIT]


class Daemon:
    """One that has news at certain times of a `Quiet` screen, and lets its client wait for them."""

    def __init__(self, screen, news, **replies):
        """`news`: pages by their time; after the last one nothing happens any more."""
        self._screen = screen
        self._news = list(news.items())
        self.client = client(**{"events": self._events, "list": RUNNING, **replies})

    def _events(self, request):
        if not self._news:
            return page(following=request.after)
        until = self._screen.now + request.wait
        at, answer = self._news[0]
        if at > until:
            self._screen.now = until
            return page(unfinished=1, following=request.after)
        del self._news[0]
        self._screen.now = max(at, self._screen.now)
        return msgspec.structs.replace(answer, next=request.after + 1)

    def watched(self, selector=None):
        """Who asked, once all has ended."""
        screen = self._screen
        clock = {"clock": lambda: screen.now, "sleep": screen.sleep}
        Watching(self.client, selector or Selector(), 10, screen, **clock).run()
        return self.client


RUNNING = Page(jobs=[LR3], counts=COUNTS)


def ends_at(seconds):
    return {seconds: page(event(99, "completed"))}


def of(requests, *fields):
    return [tuple(getattr(each, field) for field in fields) for each in requests]


def test_nothing_is_asked_while_nothing_is_printed():
    fake = Daemon(Quiet(), ends_at(19.0)).watched()
    known = len(fake.output(Output(id=1)).data)
    assert of(fake.of(Events), "wait", "written") == [(0, {}), (MAX_WAIT, {1: known})]
    assert len(fake.of(Output)) == 2  # one of them is ours
    assert len(fake.of(List)) == 3


def test_what_was_printed_is_read_and_nothing_else():
    outputs = {1: [piece(b"a\n"), piece(b"b\n", 2)], 2: [piece(b"silent\n", number=2)]}
    screen = Quiet()
    fake = Daemon(
        screen,
        {5.0: page(unfinished=1, written=[1]), **ends_at(9.0)},
        list=Page(jobs=[LR3, job(2, "running", attempt=1)], counts=COUNTS),
        output=lambda request: outputs[request.id].pop(0),
    ).watched()
    assert of(fake.of(Output), "id", "offset") == [(1, 0), (2, 0), (1, 2)]
    asked = [request.written for request in fake.of(Events) if request.wait]
    assert asked == [{1: 2, 2: 7}, {1: 4, 2: 7}]
    assert screen.shown[-1][0].lines == {1: "b", 2: "silent"}


def test_what_is_printed_too_soon_is_read_a_little_later():
    """An event ends the wait early: the output comes with the next look."""
    screen = Quiet()
    both = page(event(11, "progress"), unfinished=1, written=[1])
    fake = Daemon(
        screen, {0.2: both, **ends_at(9.0)}, output=[piece(b"a\n"), piece(b"b\n", 2)]
    ).watched()
    waits = [request.wait for request in fake.of(Events)]
    assert waits == [0, MAX_WAIT, pytest.approx(EVERY - 2 * _BREATH), MAX_WAIT]
    assert screen.shown[-1][0].lines == {1: "b"}


def test_more_outputs_than_are_read_in_one_go_are_read_in_several():
    jobs = [job(number, "running", attempt=1) for number in range(1, 51)]
    fake = Daemon(
        Quiet(),
        ends_at(15.0),
        list=Page(jobs=jobs, counts=COUNTS),
        output=lambda request: piece(b"x", number=request.id),
    ).watched()
    assert [request.id for request in fake.of(Output)] == list(range(1, 51))
    assert [request.wait for request in fake.of(Events)][-2:] == [0.5, MAX_WAIT]


def test_an_earlier_daemon_is_asked_once_a_second():
    asked = []

    def events(request):
        if request.written:
            raise VersionMismatch("the running jobd does not know that; jobd restart")
        asked.append(request.wait)
        return page(unfinished=int(len(asked) < 5))

    fake = client(events=events, list=RUNNING)
    watch(fake)
    assert asked == [0, 0, 1.0, 1.0, 1.0]
    assert len([request for request in fake.of(Events) if request.written]) == 1
    assert len(fake.of(Output)) > 1


def test_counts_that_were_put_off_are_not_forgotten(monkeypatch):
    """To count a large selection takes its time, so it is done again after a while alone."""
    # Whoever watches for so long would not be seen to ask again.
    monkeypatch.setattr(module, "MAX_WAIT", 20.0)
    screen = Quiet()

    def counted(_request):
        screen.now += 0.2
        return Waited(done=False, total=3, counts={State.RUNNING: len(daemon.client.of(Wait))})

    news = {1.0: page(event(11, "completed"), unfinished=1), **ends_at(50.0)}
    daemon = Daemon(screen, news, wait=counted)
    daemon.watched(Selector(ids=[(1, 9)]))
    counts = [picture.counts[State.RUNNING] for picture, _ in screen.shown]
    # Not with the first event, but some seconds after it; and not with each renewed wait.
    assert counts == [1, 1, 1, 2, 2, 2, 3]


def test_a_selection_is_counted_apart():
    waited = Waited(done=False, total=3, counts={State.RUNNING: 2, State.PENDING: 1})
    fake = client(events=page(), wait=waited)
    quiet = watch(fake, Selector(ids=[(1, 9)]))
    picture = quiet.shown[0][0]
    assert (picture.workers, picture.counts, picture.more) == (None, waited.counts, 1)
    assert all(request.wait == 0 for request in fake.of(Wait))


def test_workers_that_change_are_asked_again():
    fake = client(
        events=[page(event(11, "workers", None, workers=5)), page()],
        status=[DaemonStatus(workers=3), DaemonStatus(workers=5)],
    )
    assert [picture.workers for picture, _ in watch(fake).shown] == [3, 5]


# --- arrays -------------------------------------------------------------------------------

ARRAY = Array(
    first=3, last=102, first_index=1, last_index=100, eta_s=720.0,
    counts={State.RUNNING: 2, State.PENDING: 55, State.COMPLETED: 42, State.FAILED: 1},
)  # fmt: skip
OVER = msgspec.structs.replace(ARRAY, counts={State.COMPLETED: 98, State.FAILED: 2}, eta_s=None)
ELEMENT = job(46, "running", name="sweep", array_index=44, attempt=1)
ON_ITS_WAY = Page(jobs=[ELEMENT], counts={State.RUNNING: 5}, arrays={46: ARRAY})


def test_an_array_is_one_row_and_leaves_a_line_behind():
    """The last of its elements ends before anybody is told of that."""
    fake = client(
        events=[
            page(following=10),
            page(event(11, "completed", 44), event(12, "failed", 45), unfinished=1),
            page(event(13, "completed", 46), event(14, "completed", 200)),
        ],
        list=[
            *[ON_ITS_WAY] * 3,
            Page(jobs=[], counts=DONE),
            Page(jobs=[job(102, name="sweep")], arrays={102: OVER}),
        ],
    )
    result = jobctl("watch", client=fake, terminal=True)
    assert (result.code, result.stderr) == (0, "")
    first, _, _ = result.out.partition("\x1b[J")
    assert Shown(first).splitlines()[0] == (
        "3-102 array 1-100  42 completed, 2 running, 1 failed, 55 pending  43%, 12m left"
    )
    assert Shown(result.out).splitlines() == [
        "job 45 failed  sweep",
        "job 200 completed",
        "3-102  array 1-100  98 completed, 2 failed  sweep",
        "0 of 3 workers busy · 2 completed · 1 failed",
    ]
    assert not fake.of(Output), "the row has no room for what one of them prints"


def test_an_array_of_which_nothing_runs_just_now_has_not_ended():
    halted = msgspec.structs.replace(ARRAY, counts={State.PENDING: 57, State.COMPLETED: 43})
    nothing = Page(jobs=[], counts=COUNTS)
    waiting = Page(jobs=[job(47, "pending")], arrays={47: halted})
    fake = client(
        events=[page(unfinished=1), page(unfinished=1), page()],
        list=[ON_ITS_WAY, nothing, waiting, ON_ITS_WAY, nothing, waiting],
    )
    assert not any(picture.ended for picture, _ in watch(fake).shown)


@pytest.mark.parametrize(
    ("args", "is_one"),
    [([], True), (["1-2"], True), (["--expand"], False), (["2"], False), (["1-2,4"], False)],
)
def test_when_elements_are_watched(args, is_one):
    fake = client(events=page(), wait=Waited(done=False, total=1), list=RUNNING)
    jobctl("watch", *args, client=fake, terminal=True)
    assert fake.of(List)[-1].collapsed is is_one


def test_an_earlier_daemon_lists_elements():
    def listed(request):
        if request.collapsed:
            raise VersionMismatch("an unknown field")
        return RUNNING

    fake = client(events=page(), list=listed)
    assert [picture.running for picture, _ in watch(fake).shown] == [[LR3], [LR3]]
    assert [request.collapsed for request in fake.of(List)] == [True, False, False]


def test_what_takes_long_to_count_is_counted_less_often():
    screen, looks = Quiet(), []

    def slow(_request):
        looks.append(screen.now)
        screen.now += 0.05
        return ON_ITS_WAY

    news = {at: page(event(11, "started"), unfinished=1) for at in (5.0, 5.1, 5.2, 5.3)}
    Daemon(screen, {**news, **ends_at(50.0)}, list=slow).watched()
    busy = [at for at in looks if 5.0 <= at < 20.0]
    assert all(later - at > 1.0 for at, later in itertools.pairwise(busy)), looks


# --- the last lines -----------------------------------------------------------------------


def test_output_is_read_on_from_where_it_was():
    fake = FakeClient(output=[piece(b"one\ntw", 100), piece(b"o\nthr", 106), piece(b"", 111)])
    now = [0.0]
    tails = Tails(fake, lambda: now[0])
    seen = []
    for _ in range(4):
        seen.append(tails.of([LR3])[1])
        now[0] += 0.3
    assert seen == ["tw", "tw", "thr", "thr"]
    asked = [(request.tail, request.offset) for request in fake.of(Output)]
    assert asked == [(1, 0), (None, 106)]


def test_a_flood_of_output_is_not_read_whole():
    fake = FakeClient(output=piece(b"x\n" * 50_000, 0))
    now = [0.0]
    tails = Tails(fake, lambda: now[0])
    for _ in range(3):
        tails.of([LR3])
        now[0] += 1
    assert [request.tail for request in fake.of(Output)] == [1, 1, 1]


def test_many_outputs_take_turns():
    jobs = [job(number, "running", attempt=1) for number in range(1, 51)]
    fake = FakeClient(output=lambda request: piece(b"x", number=request.id))
    now = [0.0]
    tails = Tails(fake, lambda: now[0])
    for _ in range(3):
        tails.of(jobs)
        now[0] += 1
    asked = [request.id for request in fake.of(Output)]
    assert len(asked) == 3 * AT_ONCE
    assert set(asked) == set(range(1, 51))


def test_a_new_attempt_has_a_new_output():
    fake = FakeClient(output=[piece(b"old"), NotFound("gone")])
    now = [0.0]
    tails = Tails(fake, lambda: now[0])
    assert tails.of([LR3]) == {1: "old"}
    now[0] += 1
    assert tails.of([job(1, "running", attempt=2)]) == {1: ""}


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (b"", ""),
        (b"one\ntwo\n", "two"),
        (b"one\n\n \n", "one"),
        (b" 10%\r 20%\r 30%\r", "30%"),
        (b"\x1b[32mok\x1b[0m \x1b]0;title\x07done\x1b[K\n", "ok done"),
        ("é".encode()[1:] + b"x", "\ufffdx"),
        (b"a\tb", "a       b"),
    ],
)
def test_the_last_line_as_a_terminal_shows_it(output, line):
    assert last_line(output) == line


# --- what is drawn ------------------------------------------------------------------------


def lines(width, *running, counts=COUNTS, said=None, more=0, workers=3):
    picture = Picture(
        running=running, more=more, lines=said or {}, counts=counts, workers=workers, busy=1
    )
    return [line.plain for line in rows.lines(picture, Console(width=width, color_system=None))]


def test_a_narrow_terminal():
    drawn = lines(40, LR3, said={1: "epoch 4/10"})
    assert drawn[0].endswith("40%  3m left")
    assert drawn[1] == "1 of 3 workers busy · 1 pending · 1 fa…"


def test_unknown_progress_shows_how_long_it_runs():
    drawn = lines(80, job(2, "running", run_s=130.0), said={2: "line 7"})
    assert drawn[0] == "  2 make data  2m10s  line 7"


def test_paused_more_and_selection():
    drawn = lines(80, job(2, "running", paused=True), more=12, workers=None)
    assert "paused" in drawn[0]
    assert drawn[1] == "    and 12 more running"
    assert drawn[2].startswith("1 running · 1 pending · 1 failed  ")


def test_what_jobs_say_does_not_drive_the_terminal():
    drawn = lines(200, job(2, "running", name="\x1b[31m"), said={2: "\x9b31m\u202e"})
    assert all(line.isprintable() for line in drawn)


@given(
    width=st.integers(1, 200),
    names=st.lists(st.text(max_size=60), max_size=4),
    said=st.text(max_size=300),
    progress=st.none() | st.floats(0, 100),
)
def test_no_line_reaches_the_last_column(width, names, said, progress):
    running = [
        job(10**number, "running", name=name, progress=progress, eta_s=progress)
        for number, name in enumerate(names)
    ]
    drawn = lines(width, *running, said={1: said})
    assert len(drawn) == len(names) + 1
    assert all(wcswidth(line) <= max(1, width - 1) for line in drawn)


class _Written:
    def __init__(self, monkeypatch):
        self.parts = []
        monkeypatch.setattr(screen.streams, "now", self.parts.append)


def picture(*running):
    return Picture(running=running, more=0, lines={}, counts=COUNTS, workers=3, busy=1)


def test_nothing_is_written_where_nothing_changed(monkeypatch):
    written = _Written(monkeypatch).parts
    with screen.LiveScreen() as live:
        live.show(picture(LR3), [])
        live.show(picture(LR3), [])
        assert len(written) == 1


def test_a_narrower_terminal_has_broken_the_lines(monkeypatch):
    written = _Written(monkeypatch).parts
    with screen.LiveScreen() as live:
        live.show(picture(LR3), [])
        live.idle()
        monkeypatch.setenv("COLUMNS", "40")
        signal.raise_signal(signal.SIGWINCH)
        assert len(written) == 2
        assert written[1].startswith("\x1b[4A\r")
        live.busy()
        signal.raise_signal(signal.SIGWINCH)
        assert len(written) == 2


@pytest.fixture
def drawn(monkeypatch):
    """A screen that was shown a picture and waits, what was written, and its clock."""
    written, now = _Written(monkeypatch).parts, [100.0]
    with screen.LiveScreen(lambda: now[0]) as live:
        yield live, written, now


def test_times_go_on_while_nothing_happens(drawn):
    live, written, now = drawn
    known = job(1, "running", name="lr3", progress=40.0, eta_s=30.0, run_s=130.0)
    live.show(picture(known, job(2, "running", run_s=42.0)), [])
    live.idle()
    now[0] += 7
    signal.raise_signal(signal.SIGALRM)
    lines = Shown("".join(written)).splitlines()
    assert "23s left" in lines[0]
    assert "49s" in lines[1]
    now[0] += 300
    signal.raise_signal(signal.SIGALRM)
    assert " 1s left" in Shown("".join(written))
    # What is told anew counts from then on.
    live.show(picture(known), [])
    assert "30s left" in Shown("".join(written))


def test_whoever_is_busy_is_not_drawn_over(drawn):
    live, written, now = drawn
    live.show(picture(job(2, "running", run_s=42.0)), [])
    live.idle()
    live.busy()
    now[0] += 7
    signal.raise_signal(signal.SIGALRM)
    assert len(written) == 1


@pytest.mark.parametrize(
    ("running", "ticks"),
    [([LR3], True), ([], False), ([job(2, "running", paused=True)], False)],
)
def test_an_alarm_comes_each_second_while_a_time_runs(drawn, running, ticks):
    live, _, _ = drawn
    live.show(picture(LR3), [])
    live.show(picture(*running), [])
    assert signal.getitimer(signal.ITIMER_REAL)[1] == (1.0 if ticks else 0.0)


def test_the_alarm_is_that_of_whoever_had_it_before():
    def theirs(*_):
        pass

    before = signal.signal(signal.SIGALRM, theirs)
    signal.setitimer(signal.ITIMER_REAL, 1000.0, 500.0)
    try:
        with screen.LiveScreen() as live:
            assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
            live.show(picture(LR3), [])
        left, every = signal.getitimer(signal.ITIMER_REAL)
        assert 900 < left <= 1000
        assert every == 500
        assert signal.getsignal(signal.SIGALRM) is theirs
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("height", [1, 2, 3, 5])
def test_a_low_terminal_does_not_scroll(height, monkeypatch):
    monkeypatch.setenv("LINES", str(height))
    written = _Written(monkeypatch).parts
    with screen.LiveScreen() as live:
        running = [job(number, "running") for number in range(1, live.room() + 1)]
        live.show(picture(*running), [])
        assert written[0].count("\n") <= max(1, height - 1)
        assert "workers busy" in written[0]


def test_a_flood_of_ends_is_told_in_short(monkeypatch):
    written = _Written(monkeypatch).parts
    said = [event(seq, "completed", seq) for seq in range(500)]
    said += [event(seq, "failed", seq, reason="exit code 1") for seq in range(500, 515)]
    with screen.LiveScreen() as live:
        live.show(picture(), said)
    shown = Shown("".join(written)).splitlines()
    assert len(shown) == 12
    assert shown[0] == "job 500 failed (exit code 1)"
    assert shown[10] == "5 more failed"


def test_the_last_line_of_output_that_was_emptied_is_of_what_is_there_now():
    again = replace(piece(b"new", 0), anew=True)
    fake, now = FakeClient(output=[piece(b"old line\nolder", 0), again]), [0.0]
    tails = Tails(fake, lambda: now[0])
    running = [job(1, "running", attempt=1)]
    assert tails.of(running) == {1: "older"}
    now[0] = 10.0
    assert tails.of(running) == {1: "new"}
