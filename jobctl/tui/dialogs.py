"""Questions, and what the keys do."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

HELP = """\
↑ ↓ PgUp PgDn    move; the mouse does, too
0 1 2 3 4        all, running, waiting, failed, finished
/                less: train  group:gpu  tag:sweep  user:anna  3-9
s                another order
Space            mark: keys act on all that are marked, and their
                 outputs stand side by side
Enter            the elements of an array; else the job larger
d o              job, output (both on a wide screen)
Tab              into the next pane; there the same keys scroll
x                stop
r                run again
h                hold, or let go
p G              pause or resume the job; its group
n                priority
[ ]              fewer, more workers
D                remove, with the output
Esc              back: no filter, no marks
q                leave; jobs go on"""


class Question(ModalScreen[bool]):
    """Yes or no; Enter is what the button in focus says, which is no at first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,q", "answer(False)", "No"),
        Binding("left,right", "app.focus_next", "Other", show=False),
    ]

    def __init__(self, text: str, yes: str) -> None:
        """`yes`: what is done then."""
        super().__init__()
        self._text = text
        self._yes = yes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(self._text, markup=False)
            with Horizontal():
                yield Button("No (n)", id="no", compact=True)
                yield Button(f"{self._yes} (y)", id="yes", compact=True)

    def action_answer(self, answer: bool) -> None:  # noqa: FBT001 # as bindings have it
        self.dismiss(answer)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")


class Prompt(ModalScreen[str | None]):
    """A line is typed; None: it was not."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(self._text, markup=False)
            yield Input(compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)

    def action_leave(self) -> None:
        self.dismiss(None)


class Help(ModalScreen[None]):
    """All keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter,space", "dismiss", "Back"),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog help"):
            yield Static(HELP, markup=False)

    def on_click(self) -> None:
        self.dismiss()
