"""JSON, and output byte for byte: what scripts read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from jobctl.render import streams
from jobd.contract.models import DaemonStatus, Job, Page, Shown, Waited

_encoder = msgspec.json.Encoder(order=None)


def document(value: Any) -> None:  # noqa: ANN401 # whatever msgspec can write
    """One JSON value, indented for the eye."""
    streams.raw(msgspec.json.format(_encoder.encode(value), indent=2) + b"\n")


def record(value: Any) -> None:  # noqa: ANN401 # whatever msgspec can write
    """One JSON value on one line, at once."""
    streams.raw(_encoder.encode(value) + b"\n")


def records(values: Iterable[Any]) -> None:
    """One JSON value a line, all of them at once."""
    streams.raw(b"".join(_encoder.encode(value) + b"\n" for value in values))


def array(pages: Iterable[Page]) -> list[int]:
    """The jobs as one JSON array, a job a line, page by page. Gives what is missing."""
    missing: list[int] = []
    before = b"[\n"
    for page in pages:
        missing += page.missing
        if page.jobs:
            streams.raw(before + b",\n".join(_encoder.encode(job) for job in page.jobs))
            before = b",\n"
    streams.raw(b"[]\n" if before == b"[\n" else b"\n]\n")
    return missing


def job(value: Job) -> None:
    document(value)


def shown(value: Shown) -> None:
    """The job's own keys, with `attempts`, `events` and `why` beside them."""
    document(
        {
            **msgspec.structs.asdict(value.job),
            "why": value.why,
            "attempts": value.attempts,
            "events": value.events,
        }
    )


def status(value: DaemonStatus, stuck: Sequence[Struct]) -> None:
    """The daemon's own keys, with `stuck` beside them."""
    document({**msgspec.structs.asdict(value), "stuck": stuck})


def verdict(value: Waited, exit_code: int) -> None:
    """What `wait` says on stderr, as data; `exit_code` is the one that it ends with."""
    document({"exit_code": exit_code, **msgspec.structs.asdict(value)})


def environment(variables: dict[bytes, bytes]) -> None:
    """`K=V` lines, exactly as captured."""
    streams.raw(b"".join(b"%b=%b\n" % (key, variables[key]) for key in sorted(variables)))


def environment_json(variables: dict[bytes, bytes]) -> None:
    document(
        {
            key.decode("utf-8", "replace"): variables[key].decode("utf-8", "replace")
            for key in sorted(variables)
        }
    )
