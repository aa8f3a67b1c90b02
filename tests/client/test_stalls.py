"""A daemon whose answers lead nowhere: whoever asks for one after the other comes to an end."""

from datetime import UTC, datetime

import pytest

from jobd.client import follow, outputs, past, stalls
from jobd.contract.errors import JobdError, NotFound
from jobd.contract.models import (
    Acted,
    Event,
    EventPage,
    History,
    HistoryPage,
    Job,
    List,
    Note,
    Output,
    Page,
    Piece,
    Selector,
    Show,
    Shown,
    Waited,
)
from jobd.contract.states import State
from jobd.contract.wire import MAX_WAIT

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ALL = Selector(all=True)
LEADS_NOWHERE = "no jobd, or a broken one: .*jobd restart"


def job(number, attempt=1, state=State.RUNNING):
    return Job(
        id=number, name="", command="x", argv=["x"], shell=False, cwd="/", state=state,
        attempt=attempt, submitted_at=NOW,
    )  # fmt: skip


def event(seq):
    return Event(seq=seq, at=NOW, job=1, event="started", user="me")


def piece(data=b"", offset=0, **more):
    said = {"id": 1, "attempt": 1, "ended": False, "state": State.RUNNING, "path": "", **more}
    return Piece(data=data, offset=offset, **said)


class Repeats:
    """Answers each request by a function of it; whoever asks too often is told so by the test."""

    def __init__(self, most=2000, **answers):
        self._left = most
        self._answers = answers

    def _answer(self, name, request):
        self._left -= 1
        assert self._left > 0, "this would go on for ever"
        answer = self._answers[name]
        return answer(request) if callable(answer) else answer

    def list(self, request):
        return self._answer("list", request)

    def events(self, request):
        return self._answer("events", request)

    def wait(self, request):
        return self._answer("wait", request)

    def output(self, request):
        return self._answer("output", request)

    def history(self, request):
        return self._answer("history", request)

    def show(self, job, **_):
        return self._answer("show", Show(id=job))


def all_of(iterator):
    for _ in iterator:
        pass


def empty_cursors(request):
    """A new place each time, and no job anywhere."""
    return Page(jobs=[], next=str(int(request.cursor or 0) + 1))


PAGES = {
    "the same page": Page(jobs=[job(1)], next="x"),
    "the same place": lambda r: Page(jobs=[job(int((r.cursor or "1")[0]))], next="1"),
    "two places in turn": lambda r: Page(jobs=[job(1)], next="b" if r.cursor == "a" else "a"),
    "empty pages": empty_cursors,
    "ids that were given": lambda r: Page(jobs=[], ids=[(9, 2)], next=str(int(r.cursor or 0) + 1)),
    "more ids than there are": Page(jobs=[], ids=[(1, 2**62)]),
    "jobs that were given": lambda r: Page(jobs=[job(7)], next=str(int(r.cursor or 0) + 1)),
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_pages_that_go_round_are_refused(page, monkeypatch):
    monkeypatch.setattr(stalls, "_MOST_PAGES", 50)
    with pytest.raises(JobdError, match=LEADS_NOWHERE) as caught:
        all_of(follow.pages(Repeats(list=page), List()))
    assert caught.value.exit_code == 1


def test_pages_that_lead_on_are_given(monkeypatch):
    """Also where there is nothing on most of them."""
    monkeypatch.setattr(stalls, "_MOST_PAGES", 50)

    def page(request):
        at = int(request.cursor or 0)
        jobs = [job(at + 1)] if at % 40 == 0 else []
        return Page(jobs=jobs, next=None if at == 1000 else str(at + 1))

    found = [each.id for page in follow.pages(Repeats(list=page), List()) for each in page.jobs]
    assert found == [*range(1, 1002, 40)]


def test_what_has_moved_is_asked_for_to_its_end_only_where_that_comes_nearer():
    events = EventPage(events=[event(3)], next=3)
    client = Repeats(
        list=lambda r: Page(jobs=[job(2 if r.cursor else 1)], next=None if r.cursor else "x",
                            seq=9 if r.cursor else 2),
        events=events,
    )  # fmt: skip
    with pytest.raises(JobdError, match="behind event 3 goes on behind event 3"):
        all_of(follow.pages(client, List()))


@pytest.mark.parametrize(
    "page",
    [
        HistoryPage(attempts=[], next=(3, 1)),
        lambda r: HistoryPage(attempts=[], next=(5, 1) if r.after[0] == 4 else (4, 1)),
        lambda r: HistoryPage(attempts=[], next=(r.after[0] + 1, 1)),
    ],
    ids=["the same place", "two places in turn", "empty pages"],
)
def test_a_history_of_attempts_that_goes_round_is_refused(page, monkeypatch):
    monkeypatch.setattr(stalls, "_MOST_PAGES", 50)
    with pytest.raises(JobdError, match=LEADS_NOWHERE):
        all_of(past.attempts(Repeats(history=page), History()))


BACK = {
    "the same page": EventPage(events=[event(6)], next=5, unfinished=1),
    "an earlier one": EventPage(events=[event(6)], next=2, unfinished=1),
    "an earlier one without events": EventPage(events=[], next=4, unfinished=1),
}
HISTORIES = {
    "events": lambda client: follow.history(client, ALL, 5, follow=False),
    "events -f": lambda client: follow.history(client, ALL, 5, follow=True),
    "watch": lambda client: follow.changes(client, ALL, 5),
}


@pytest.mark.parametrize("ask", HISTORIES.values(), ids=HISTORIES)
@pytest.mark.parametrize("page", BACK.values(), ids=BACK)
def test_a_history_that_does_not_go_forward_is_refused(page, ask):
    with pytest.raises(JobdError, match=LEADS_NOWHERE):
        all_of(ask(Repeats(events=page)))


AT_ONCE = {
    "events -f": lambda client: follow.history(client, ALL, 5, follow=True),
    "watch": lambda client: follow.changes(client, ALL, 5),
    "wait": lambda client: [follow.until_finished(client, ALL)],
    "wait --timeout": lambda client: [follow.until_finished(client, ALL, timeout=3600)],
    "logs -f": lambda client: outputs.output(client, Output(id=1), follow=True),
    "submit -w": lambda client: outputs.all_output(client, 1),
}


def stands_still():
    return {
        "events": lambda r: EventPage(events=[], next=r.after or 0, unfinished=1),
        "wait": Waited(done=False, total=1, counts={State.RUNNING: 1}),
        "output": lambda r: piece(offset=r.offset),
        "show": Shown(job=job(1, attempt=0, state=State.PENDING), attempts=[], events=[]),
    }


@pytest.mark.parametrize("ask", AT_ONCE.values(), ids=AT_ONCE)
def test_a_daemon_that_does_not_wait_is_not_asked_for_ever(ask):
    with pytest.raises(JobdError, match="is to wait for news, and answers at once"):
        all_of(ask(Repeats(**stands_still())))


@pytest.mark.parametrize("name", AT_ONCE)
def test_one_that_does_wait_is_asked_for_as_long_as_it_takes(name, monkeypatch):
    """Also one that ends now and then, and lets go all who wait."""
    now, asked = [0.0], [0]

    def late(answer):
        def answered(request):
            asked[0] += 1
            if asked[0] > 1500:
                raise KeyboardInterrupt
            now[0] += 0.0 if asked[0] % 21 else getattr(request, "wait", 0.0)
            return answer(request) if callable(answer) else answer

        return answered

    for module in (follow, outputs):
        monkeypatch.setattr(module, "Waits", lambda *_, **__: stalls.Waits(lambda: now[0]))
    client = Repeats(**{name: late(answer) for name, answer in stands_still().items()})
    with pytest.raises(KeyboardInterrupt):
        all_of(AT_ONCE[name](client))


def test_attempts_without_end_are_not_looked_for(monkeypatch):
    def gone(_):
        raise NotFound("gone")

    monkeypatch.setattr(outputs, "MOST_ATTEMPTS", 50)
    many = Shown(job=job(1, attempt=2**62), attempts=[], events=[])
    for output in (gone, lambda r: piece(attempt=r.attempt, ended=True)):
        client = Repeats(**stands_still() | {"show": many, "output": output})
        with pytest.raises(JobdError, match=LEADS_NOWHERE):
            all_of(outputs.all_output(client, 1))


def test_an_attempt_that_comes_and_goes_is_not_looked_for_without_end(monkeypatch):
    monkeypatch.setattr(outputs, "MOST_ATTEMPTS", 50)
    turns = iter(range(10_000))

    def gone(_):
        raise NotFound("gone")

    def show(_):
        return Shown(job=job(1, attempt=1 - next(turns) % 2), attempts=[], events=[])

    client = Repeats(**stands_still() | {"show": show, "output": gone})
    with pytest.raises(JobdError, match=LEADS_NOWHERE):
        all_of(outputs.all_output(client, 1))


PIECES = {
    "the same": piece(b"again", next=0),
    "the same bytes": piece(b"again"),
    "none of them counts": lambda r: piece(b"again", offset=r.offset, next=r.offset),
    "backwards": lambda r: piece(b"again", offset=r.offset, next=max(0, r.offset - 1)),
}


@pytest.mark.parametrize("how", [{"follow": True}, {"follow": False}], ids=str)
@pytest.mark.parametrize("answer", PIECES.values(), ids=PIECES)
def test_output_that_does_not_go_forward_is_refused(answer, how):
    with pytest.raises(JobdError, match=LEADS_NOWHERE):
        all_of(outputs.output(Repeats(output=answer), Output(id=1), **how))


NOTE = Note(id=1, text="is held (and 7 more jobs)")


@pytest.mark.parametrize(
    ("before", "after", "leads_on"),
    [
        (Acted(done=[1]), Acted(done=[1]), False),
        (Acted(done=[]), Acted(done=[]), False),
        (Acted(done=[1, 2]), Acted(done=[1]), False),
        (Acted(done=[1]), Acted(done=[], notices=[NOTE]), False),
        (Acted(done=[], notices=[NOTE]), Acted(done=[], notices=[NOTE]), False),
        (Acted(done=[1]), Acted(done=[1, 2]), True),
        (Acted(done=[1]), Acted(done=[1], errors=[NOTE]), True),
        (Acted(done=[], notices=[NOTE]), Acted(done=[], notices=[Note(id=1, text="8")]), True),
    ],
)
def test_a_change_goes_on_while_it_gets_further(before, after, leads_on):
    stalls.check_acted(None, before)
    if leads_on:
        stalls.check_acted(before, after)
    else:
        with pytest.raises(JobdError, match=LEADS_NOWHERE):
            stalls.check_acted(before, after)


def test_a_daemon_of_an_earlier_version_holds_nobody_back_for_long():
    """It answers after twenty seconds that there is nothing new, whatever it is asked for."""
    now = [0.0]
    waits = stalls.Waits(lambda: now[0])
    for _ in range(10 * stalls._MOST_WAITS):
        now[0] += stalls._HELD_S
        waits.check(MAX_WAIT, news=False)
    for _ in range(stalls._MOST_WAITS):
        now[0] += 1.0
        waits.check(MAX_WAIT, news=False)
    now[0] += 1.0
    with pytest.raises(JobdError, match=LEADS_NOWHERE):
        waits.check(MAX_WAIT, news=False)
