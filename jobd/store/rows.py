"""What a row of the database means: it becomes a record, also where a part of it is damaged."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from jobd.contract.states import State
from jobd.store.pages import SIZE
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
JOB: Final = f"""
SELECT j.id, j.state, j.reason, j.priority, j.name, j.user, j.spec, j.environment, j.attempt,
       j.stop, j.progress, j.progress_message, j.submitted_at, j.queued_at, j.started_at,
       j.finished_at, a.token, a.slot, a.host, a.exit_code, a.signal, a.pid, a.cpu_us,
       a.max_rss_kb, j.group_name, j.slots, j.gpus, j.tags, j.held, j.paused, j.parents, j.unmet,
       j.due, j.policy, j.failures, j.key, j.array_index, a.gpus, a.engine, j.notify,
       a.engine_id, r.spec
FROM jobs AS j LEFT JOIN attempts AS a ON a.job = j.id AND a.attempt = j.attempt
                                      AND j.state <> '{State.PENDING}'
               LEFT JOIN arrays AS r ON r.first = j.array
"""
"""Jobs with all that `job_of` reads; to be followed by a condition."""
SIZED: Final = JOB.replace("\nFROM jobs", f", {SIZE}\nFROM jobs", 1)
"""The same with the size of each as `pages.read_page` wants it."""
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
    except (msgspec.DecodeError, zlib.error):
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
