"""Options of a job as a manifest has them: by long name, with the types of TOML and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, time
from typing import Any, Final

from jobctl.parsing import texts
from jobctl.parsing.param_types import (
    parse_array,
    parse_codes,
    parse_engine_option,
    parse_group,
    parse_key,
    parse_priority,
    parse_tag,
    parse_time_limit,
)
from jobctl.parsing.texts import as_bytes, checked
from jobctl.parsing.times import parse_at
from jobctl.submission.environment import input_file, interpreter
from jobd.contract import durations, sizes
from jobd.contract.destinations import Wish, wish
from jobd.contract.models import MAX_NAME, MAX_RETRIES, MAX_WORKERS, Command
from jobd.contract.wording import closest

Value = Callable[[Any], Any]
"""Makes a value of `Options` of what stands in the manifest. Raises: ValueError."""


def shown(value: object) -> str:
    """A wrong value in an error, not too long."""
    # As a file has it.
    return json.dumps(value) if value is None or isinstance(value, bool) else texts.shown(value)


def _text(value: Any) -> str:  # noqa: ANN401 # whatever stands there
    if not isinstance(value, str):
        raise ValueError(f"a text is needed, not {shown(value)}")  # noqa: TRY004 # told to the user
    return checked(value)


def _name(value: Any) -> str:  # noqa: ANN401 # whatever stands there
    name = _text(value)
    if len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(f"{shown(name)}: at most {MAX_NAME} characters that can be shown")
    return name


def _flag(value: Any) -> bool:  # noqa: ANN401 # whatever stands there
    if not isinstance(value, bool):
        raise ValueError(f"true or false is needed, not {shown(value)}")  # noqa: TRY004 # as above
    return value


def _number(low: int, high: int) -> Value:
    def number(value: Any) -> int:  # noqa: ANN401 # whatever stands there
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a number from {low} to {high} is needed, not {shown(value)}")
        return value

    return number


def _word_or_number(parse: Callable[[str], Any]) -> Value:
    """As on the command line; a bare number is the same as its text."""

    def parsed(value: Any) -> Any:  # noqa: ANN401 # whatever stands there
        if isinstance(value, int | float) and not isinstance(value, bool):
            return parse(f"{value}")
        return parse(_text(value))

    return parsed


def array(value: Any) -> list[int]:  # noqa: ANN401 # whatever stands there
    """Its indexes, in order. Raises: ValueError."""
    ranges = _word_or_number(parse_array)(value)
    return [index for first, last in ranges for index in range(first, last + 1)]


def listed(value: Any) -> list[Any]:  # noqa: ANN401 # whatever stands there
    """One thing is a list of it."""
    return value if isinstance(value, list) else [value]


def _tags(value: Any) -> list[str]:  # noqa: ANN401 # whatever stands there
    return [parse_tag(_text(tag)) for tag in listed(value)]


def _wishes(value: Any) -> list[Wish]:  # noqa: ANN401 # whatever stands there
    return [wish(_text(one)) for one in listed(value)]


def _engine_options(value: Any) -> list[str]:  # noqa: ANN401 # whatever stands there
    return [parse_engine_option(_text(option)) for option in listed(value)]


def _codes(value: Any) -> list[int]:  # noqa: ANN401 # whatever stands there
    return [code for item in listed(value) for code in _word_or_number(parse_codes)(item)]


def _moment(value: Any) -> float:  # noqa: ANN401 # whatever stands there
    """A time of TOML, or as `--at` takes it."""
    written = value.isoformat() if isinstance(value, date | time) else _text(value)
    return parse_at(written)


def _path(value: Any) -> bytes:  # noqa: ANN401 # whatever stands there
    path = _text(value)
    as_bytes(path)
    return input_file(path)


def _interpreter(value: Any) -> bytes:  # noqa: ANN401 # whatever stands there
    program = _text(value)
    as_bytes(program)
    return interpreter(program)


def variables(value: Any) -> dict[bytes, bytes]:  # noqa: ANN401 # whatever stands there
    """A table; numbers are written out. Raises: ValueError."""
    if not isinstance(value, Mapping):
        raise ValueError('a table is needed: {NAME = "VALUE"}')  # noqa: TRY004 # told to the user
    found = {}
    for name, content in value.items():
        if not name or "=" in name:
            raise ValueError(f"{shown(name)} is no name of a variable")
        if isinstance(content, bool) or not isinstance(content, str | int | float):
            raise ValueError(f"{name}: a text is needed, not {shown(content)}")  # noqa: TRY004 # as above
        found[as_bytes(name)] = as_bytes(str(content))
    return found


def command(value: Any) -> Command:  # noqa: ANN401 # whatever stands there
    """A list is an argv, a text a shell line. Raises: ValueError."""
    if isinstance(value, str):
        if not value.strip():
            raise ValueError("it is empty")
        return Command(argv=[as_bytes(value)], shell=True)  # noqa: S604 # a record, no call
    if not isinstance(value, list) or not value:
        raise ValueError('a list of words (["make", "-j4"]) or a shell line is needed')
    for word in value:
        if not isinstance(word, str):
            raise ValueError(f'every word is a text, {shown(word)} is none; write "{word}"')  # noqa: TRY004 # as above
    if not value[0]:
        raise ValueError("its first word is empty")
    return Command(argv=[as_bytes(word) for word in value])


OPTIONS: Final[dict[str, tuple[str, Value]]] = {
    "name": ("name", _name),
    "tag": ("tags", _tags),
    "priority": ("priority", _word_or_number(parse_priority)),
    "group": ("group", lambda value: parse_group(_text(value))),
    "slots": ("slots", _number(1, MAX_WORKERS)),
    "gpus": ("gpus", _number(0, MAX_WORKERS)),
    "hold": ("hold", _flag),
    "delay": ("delay", _word_or_number(durations.parse)),
    "at": ("at", _moment),
    "time-limit": ("time_limit", _word_or_number(parse_time_limit)),
    "retries": ("retries", _number(0, MAX_RETRIES)),
    "retry-delay": ("retry_delay", _word_or_number(durations.parse)),
    "retry-on": ("retry_on", _codes),
    "requeue": ("requeue", _flag),
    "key": ("key", lambda value: parse_key(_name(value))),
    "nice": ("nice", _number(-20, 19)),
    "shell": ("shell", _interpreter),
    "stdin": ("stdin", _path),
    "notify": ("notify", _wishes),
    "progress": ("progress", _text),
    "engine-option": ("engine_options", _engine_options),
    "max-output": ("max_output", _word_or_number(sizes.parse)),
}
"""By the long name of the option of `submit`: the field of `Options`, and how it is read."""

_SPELT: Final = {"tags": "tag", "after-all": "after", "timeout": "time-limit", "dir": "cwd"}
"""Other words for the same."""
_ELSEWHERE: Final = {
    "clean-env": "it holds for all jobs: jobctl submit --clean-env --manifest FILE",
    "notify-when-all": "it is about all jobs: jobctl submit --notify-when-all … --manifest FILE",
    "like": "it is for the command line alone",
}


def long_name(key: str) -> str:
    """`after_any` and `--after-any` are `after-any`."""
    return key.removeprefix("--").replace("_", "-")


def unknown(key: str, known: list[str]) -> str:
    """What to say of a key that is none."""
    name = long_name(key)
    if name in _ELSEWHERE:
        return _ELSEWHERE[name]
    meant = _SPELT.get(name) or closest(name, known)
    return (
        f"no such key; did you mean: {meant}"
        if meant
        else f"no such key; there are {', '.join(known)}"
    )
