"""JSON, and output byte for byte: what scripts read."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from jobctl.render import streams
from jobctl.render.text import visible
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


def array(pages: Iterable[Page], columns: Sequence[str] | None = None) -> list[int]:
    """The jobs as one JSON array, a job a line, page by page. Gives what is missing."""
    missing: list[int] = []
    before = b"[\n"
    for page in pages:
        missing += page.missing
        if page.jobs:
            lines = (_encoder.encode(_picked(job, columns)) for job in page.jobs)
            streams.raw(before + b",\n".join(lines))
            before = b",\n"
    streams.raw(b"[]\n" if before == b"[\n" else b"\n]\n")
    return missing


def lines(pages: Iterable[Page], columns: Sequence[str] | None = None) -> list[int]:
    """A job a line, page by page. Gives what is missing."""
    missing: list[int] = []
    for page in pages:
        missing += page.missing
        records(_picked(job, columns) for job in page.jobs)
    return missing


def _picked(job: Job, columns: Sequence[str] | None) -> Any:  # noqa: ANN401 # as the encoder has it
    return job if columns is None else {key: getattr(job, key) for key in columns}


def comma_separated(pages: Iterable[Page], columns: Sequence[str] | None = None) -> list[int]:
    """CSV (RFC 4180, but lines end as everywhere here), page by page. Gives what is missing.

    Text stands as it is, everything else as in JSON, null as nothing.
    """
    import csv

    chosen = columns or Job.__struct_fields__
    missing: list[int] = []
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(chosen)
    for page in pages:
        missing += page.missing
        writer.writerows([_field(getattr(job, key)) for key in chosen] for job in page.jobs)
        streams.flush()
    return missing


def _field(value: Any) -> str:  # noqa: ANN401 # whatever stands in a job
    if value is None:
        return ""
    text = value if isinstance(value, str) else _encoder.encode(value).decode().strip('"')
    return visible(text) if streams.on_terminal() else text


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


def status(value: DaemonStatus, stuck: Sequence[Struct], waiting: Sequence[Struct]) -> None:
    """The daemon's own keys, with `waiting` and `stuck` beside them."""
    document({**msgspec.structs.asdict(value), "waiting": waiting, "stuck": stuck})


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
