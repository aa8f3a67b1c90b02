"""What a row of the database means: it becomes a record, also where a part of it is damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from jobd.contract.states import State
from jobd.store.records import (
    JobRow,
    Policy,
    Spec,
    policy_decoder,
    spec_decoder,
    stop_decoder,
    wishes_decoder,
)

T = TypeVar("T")
_TAGS: Final = JobRow.__struct_fields__.index("tags")
_NOTIFY: Final = JobRow.__struct_fields__.index("notify")
_POLICY: Final = JobRow.__struct_fields__.index("policy")
_FLAGS: Final = [JobRow.__struct_fields__.index(name) for name in ("held", "paused")]
_DAMAGED: Final = Spec([b"(damaged record)"], True, b"/", 0o077)  # noqa: FBT003
"""In the place of what cannot be read, so that one record does not hide the others."""


def readable(decode: Callable[[bytes], T], blob: object) -> T | None:
    """None: it is damaged."""
    try:
        return decode(blob) if isinstance(blob, bytes) else None
    except msgspec.DecodeError:
        return None


def job_of(row: tuple[object, ...]) -> JobRow:
    """`row`: the columns of `JobRow` in their order, and the spec that its array shares."""
    values = list(row)
    shared = values.pop()
    values[1] = State(str(row[1]))
    values[6] = readable(spec_decoder.decode, row[6] or shared) or _DAMAGED
    values[9] = readable(stop_decoder.decode, row[9])
    for flag in _FLAGS:
        values[flag] = bool(row[flag])
    values[_TAGS] = [] if row[_TAGS] is None else json.loads(str(row[_TAGS]))
    values[_POLICY] = readable(policy_decoder.decode, row[_POLICY]) or Policy()
    values[_NOTIFY] = readable(wishes_decoder.decode, row[_NOTIFY]) or []
    return JobRow(*values)  # type: ignore[arg-type]
