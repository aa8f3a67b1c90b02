"""What `ls` may be asked for: the columns, which are the JSON keys, and another order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain
from string import Formatter
from typing import Any, Final

from msgspec import Struct

from jobd.contract.models import Job, Page
from jobd.contract.states import State
from jobd.contract.wording import closest

KEYS: Final = Job.__struct_fields__
USED: Final = frozenset({"cpu_s", "max_rss_kb", "rss_kb", "gpu_memory_kb"})
"""Of a running job these are known to whoever has it looked at."""
_SHORT: Final = {"cpu": ["cpu_s"], "mem": ["rss_kb", "max_rss_kb"], "gpu": ["gpu_memory_kb"]}
"""Columns that may be named by a word that is none of a job's keys."""
_HEADERS: Final = {
    "time": "run_s", "when": "finished_at", "prio": "priority", "detail": "reason",
    "index": "array_index", "date": "submitted_at", "label": "name", "path": "cwd",
}  # fmt: skip
"""What is meant by words that stand above columns, here or in other queues."""
_STATES: Final = list(State)


class Order(Struct, frozen=True):
    """By which JSON key rows are sorted."""

    key: str
    descending: bool = False


def parse_columns(text: str) -> list[str]:
    """JSON keys separated by commas, each once; `cpu` and `mem` stand for theirs.

    Raises: ValueError.
    """
    words = [word.strip() for word in text.split(",")]
    keys = [key for word in words for key in _SHORT.get(word) or [_key(word)]]
    return list(dict.fromkeys(keys))


def parse_order(text: str) -> Order:
    """`KEY`, or `-KEY` for the largest first. Raises: ValueError."""
    word = text.strip()
    return Order(_key(word.removeprefix("-")), word.startswith("-"))


class Template(Struct, frozen=True):
    """A line that is printed of each job."""

    parts: tuple[tuple[str, str | None], ...]
    """Some text, and the JSON key whose value stands behind it (None: at the end)."""


def parse_format(text: str, forms: Sequence[str]) -> str | Template:
    """One of the forms, or a line with keys in braces; `\\t` and `\\n` are what they are in C.

    Raises: ValueError.
    """
    if text in forms:
        return text
    if "{" not in text:
        raise ValueError(f"{text!r} is none of {', '.join(forms)}, and has no {{KEY}} in it")
    try:
        found = list(Formatter().parse(text.replace("\\t", "\t").replace("\\n", "\n")))
    except ValueError as error:
        raise ValueError(
            f"{text!r}: {str(error).lower()}; a brace itself is {{{{ or }}}}"
        ) from None
    if any(spec or conversion for _, _, spec, conversion in found):
        raise ValueError(f"{text!r}: only keys stand in braces, such as {{id}}")
    return Template(
        tuple((before, None if key is None else _key(key)) for before, key, _, _ in found)
    )


def _key(word: str) -> str:
    if word in KEYS:
        return word
    meant = _HEADERS.get(word.lower()) or closest(word.lower(), KEYS)
    hint = f"did you mean: {meant}" if meant else f"they are {', '.join(KEYS)}"
    raise ValueError(f"{word!r} is no key of a job; {hint}")


def ordered(pages: Iterable[Page], order: Order, limit: int | None) -> Page:
    """All pages as one, sorted; jobs without such a value come last, either way."""
    every = list(pages)
    jobs = list(chain.from_iterable(page.jobs for page in every))
    value = partial(_value, order.key)
    known = [job for job in jobs if value(job) is not None]
    known.sort(key=value, reverse=order.descending)
    unknown = [job for job in jobs if value(job) is None]
    return Page(
        jobs=[*known, *unknown][:limit],
        counts=every[0].counts if every else {},
        missing=[job for page in every for job in page.missing],
    )


def _value(key: str, job: Job) -> Any:  # noqa: ANN401 # whatever can be compared
    value = getattr(job, key)
    return _STATES.index(value) if isinstance(value, State) else value
