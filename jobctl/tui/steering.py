"""What keys do to jobs: a question where something is lost, a deed, and what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from textual.app import App

from jobctl.tui import deeds
from jobctl.tui.deeds import Deed, Ids, Said
from jobctl.tui.dialogs import Prompt, Question
from jobctl.tui.sight import Row, Section
from jobd.client.client import Client
from jobd.contract.errors import JobdError
from jobd.contract.states import State
from jobd.contract.wording import printable

Connect = Callable[[], Client]
"""Makes a client for a thread."""


def _they(count: int, ids: Ids, verb: str) -> str:
    """`It runs`, `3 of them run`."""
    who = "It" if sum(last - first + 1 for first, last in ids) == 1 else f"{count:,} of them"
    return f"{who} {verb}{'s' if count == 1 else ''}"


class Doing:
    """A deed in a thread of its own, which ends with the process."""

    def __init__(self, rest: str) -> None:
        """`rest`: what is still to be done once jobs have ended; empty: nothing."""
        self.rest = rest
        self.said: Said | None = None
        """What came of it; None: it is not over."""
        self._over = threading.Event()

    def end(self, said: Said) -> None:
        self.said = said
        self._over.set()

    def wait(self) -> None:
        self._over.wait()


class Steering(App[None]):
    """The half of the view that changes something; the main thread is in it."""

    def __init__(self, connect: Connect) -> None:
        super().__init__(ansi_color=True)
        self._connect = connect
        self._doings: list[Doing] = []
        self._hook = threading.excepthook
        """What of another part of the program sees to defects in threads."""

    @property
    def defect(self) -> Exception | None:
        """What has ended it, and nobody foresaw."""
        return self._exception

    def _fatal_error(self) -> None:
        """Whoever runs it sees to the defect, and shows no traceback."""
        self._close_messages_no_wait()

    def watch_threads(self) -> None:
        """From now on a defect in any thread ends the view, too: it would stand still else."""
        self._hook, threading.excepthook = threading.excepthook, self._hear_defect

    def leave_threads(self) -> None:
        """No longer."""
        threading.excepthook = self._hook

    def _hear_defect(self, told: threading.ExceptHookArgs) -> None:
        """In the thread that it ends."""
        if isinstance(told.exc_value, Exception):
            self.tell(self._handle_exception, told.exc_value)

    def tell(self, call: Callable[..., object], *given: object) -> None:
        """From another thread: call it in the main thread, and come back when that is done; nothing
        once the view is over.
        """
        try:
            if self.is_running:
                self.call_from_thread(call, *given)
        except RuntimeError:
            if self.is_running:
                raise

    @property
    def unfinished(self) -> list[Doing]:
        """Deeds that are half done."""
        return [doing for doing in self._doings if doing.said is None and doing.rest]

    def chosen(self) -> Sequence[Row]:
        """What a key acts on."""
        raise NotImplementedError

    def done(self, gone: Sequence[int]) -> None:
        """Something may be different now. `gone`: jobs that there are no more."""
        raise NotImplementedError

    def _ids(self) -> Ids:
        return [run for row in self.chosen() for run in row.ids]

    def _do(self, deed: Deed, rest: str = "") -> None:
        """`rest`: as `Doing` has it."""
        doing = Doing(rest)
        self._doings.append(doing)

        def work() -> None:
            said = Said("a defect has ended it", is_wrong=True)
            try:
                with self._connect() as client:
                    said = deed(client)
            except JobdError as error:
                said = Said(error.message, is_wrong=True)
            finally:
                doing.end(said)
            self.tell(self._said, said)

        threading.Thread(target=work, name="top-deed", daemon=True).start()

    def _said(self, said: Said) -> None:
        self._doings = [doing for doing in self._doings if doing.said is None]
        told = printable(said.text)
        self.notify(told, severity="error" if said.is_wrong else "information", markup=False)
        self.done(said.gone)

    def _ask(self, question: str, yes: str, deed: Deed, rest: str = "") -> None:
        def answered(is_meant: bool | None) -> None:  # noqa: FBT001 # as Textual has it
            if is_meant:
                self._do(deed, rest)

        self.push_screen(Question(question, yes), answered)

    def action_stop(self) -> None:
        ids, chosen = self._ids(), self.chosen()
        if not ids:
            return
        running = sum(row.jobs_in(Section.RUNNING) for row in chosen)
        waiting = sum(row.jobs_in(Section.WAITING) for row in chosen)
        if running:
            what = f"{_they(running, ids, 'run')}: what has not been saved is lost."
        elif waiting:
            what = f"{_they(waiting, ids, 'wait')}, and will not start."
        else:
            self._said(Said("nothing to stop: it has finished already"))
            return
        self._ask(f"Stop {deeds.named(ids)}? {what}", "Stop", deeds.stop(ids))

    def action_restart(self) -> None:
        ids, chosen = self._ids(), self.chosen()
        if any(row.job.state is State.RUNNING or row.array for row in chosen):
            question = f"Run {deeds.named(ids)} again? What runs of it is stopped first."
            rest = f"{deeds.named(ids)}: to run again once all of it has stopped"
            self._ask(question, "Run again", deeds.restart(ids), rest)
        elif ids:
            self._do(deeds.restart(ids))

    def action_hold(self) -> None:
        ids, chosen = self._ids(), self.chosen()
        if ids:
            self._do(deeds.hold(ids, chosen[0].job))

    def action_halt(self) -> None:
        ids, chosen = self._ids(), self.chosen()
        if ids:
            self._do(deeds.halt(ids, chosen[0].job))

    def action_halt_group(self) -> None:
        chosen = self.chosen()
        if chosen:
            self._do(deeds.halt_group(chosen[0].job.group))

    def action_remove(self) -> None:
        ids = self._ids()
        if ids:
            question = (
                f"Remove {deeds.named(ids)}? Output and history go, and what runs is stopped."
            )
            rest = f"{deeds.named(ids)}: to be removed once all of it has stopped"
            self._ask(question, "Remove", deeds.remove(ids), rest)

    def action_priority(self) -> None:
        ids = self._ids()

        def typed(word: str | None) -> None:
            number = None if word is None else deeds.priority_of(word)
            if number is not None:
                self._do(deeds.edit(ids, priority=number))
            elif word is not None:
                self._said(Said(f"{word!r} is no priority", is_wrong=True))

        if ids:
            prompt = (
                f"Priority of {deeds.named(ids)} (high, regular, low or a number; higher first)"
            )
            self.push_screen(Prompt(prompt), typed)

    def action_workers(self, change: int) -> None:
        self._do(deeds.workers(change))
