"""JSON, and output byte for byte: what scripts read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from jobctl.render import streams
from jobd.contract.models import Job, Page, Shown

_encoder = msgspec.json.Encoder(order=None)


def document(value: Any) -> None:  # noqa: ANN401 # whatever msgspec can write
    """One JSON value, indented for the eye."""
    streams.raw(msgspec.json.format(_encoder.encode(value), indent=2) + b"\n")


def record(value: Any) -> None:  # noqa: ANN401 # whatever msgspec can write
    """One JSON value on one line, at once."""
    streams.raw(_encoder.encode(value) + b"\n")


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
