"""JSON, CSV, variables and paths: what scripts read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from jobctl.render import streams
from jobd.contract.models import DaemonStatus, Job, Page, Shown, Waited
from jobd.contract.wording import printable

_encoder = msgspec.json.Encoder(order=None)


def document(value: Any) -> None:  # noqa: ANN401 # whatever msgspec can write
    """One JSON value, indented for the eye."""
    streams.json(msgspec.json.format(_encoder.encode(value), indent=2) + b"\n")


def record(value: Any) -> None:  # noqa: ANN401 # whatever msgspec can write
    """One JSON value on one line, at once."""
    streams.json(_encoder.encode(value) + b"\n")


def records(values: Iterable[Any]) -> None:
    """One JSON value a line, all of them at once."""
    streams.json(b"".join(_encoder.encode(value) + b"\n" for value in values))


def array(pages: Iterable[Page], columns: Sequence[str] | None = None) -> None:
    """The jobs as one JSON array, a job a line, page by page."""
    before = b"[\n"
    for page in pages:
        if page.jobs:
            lines = (_encoder.encode(_picked(job, columns)) for job in page.jobs)
            streams.json(before + b",\n".join(lines))
            before = b",\n"
    streams.json(b"[]\n" if before == b"[\n" else b"\n]\n")


def lines(pages: Iterable[Page], columns: Sequence[str] | None = None) -> None:
    """A job a line, page by page."""
    for page in pages:
        records(_picked(job, columns) for job in page.jobs)


def _picked(job: Job, columns: Sequence[str] | None) -> Any:  # noqa: ANN401 # as the encoder has it
    return job if columns is None else {key: getattr(job, key) for key in columns}


def comma_separated(pages: Iterable[Page], columns: Sequence[str] | None = None) -> None:
    """CSV (RFC 4180, but lines end as everywhere here), page by page.

    Text stands as it is, everything else as in JSON, null as nothing.
    """
    import csv

    chosen = columns or Job.__struct_fields__
    rows = _Rows()
    writer = csv.writer(rows)
    writer.writerow(chosen)
    rows.show()
    for page in pages:
        writer.writerows([_field(getattr(job, key)) for key in chosen] for job in page.jobs)
        rows.show()


def formatted(pages: Iterable[Page], parts: Sequence[tuple[str, str | None]]) -> None:
    """A line a job, page by page: texts, each with the value of a key behind it. Values stand as
    in CSV.
    """
    for page in pages:
        for job in page.jobs:
            values = (before + _text(job, key) for before, key in parts)
            streams.now("".join(values) + "\n")


def _text(job: Job, key: str | None) -> str:
    """On one line: a line is a job."""
    return "" if key is None else printable(_field(getattr(job, key)))


def csv_rows(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """The same of anything that has rows."""
    import csv

    written = _Rows()
    writer = csv.writer(written)
    writer.writerow(header)
    writer.writerows([_field(value) for value in row] for row in rows)
    written.show()


class _Rows(list[str]):
    """What the writer of rows writes to: ends of line as everywhere here.

    The writer itself keeps those of the RFC: it quotes what holds one of its own characters, and
    a carriage return in a text must be quoted, too.
    """

    def write(self, row: str) -> None:
        self.append(row.removesuffix("\r\n") + "\n")

    def show(self) -> None:
        streams.now("".join(self))
        self.clear()


def _field(value: Any) -> str:  # noqa: ANN401 # whatever stands in a job
    if value is None:
        return ""
    text = value if isinstance(value, str) else _encoder.encode(value).decode().strip('"')
    return printable(text) if streams.on_terminal() else text


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


def status(
    value: DaemonStatus,
    stuck: Sequence[Struct],
    waiting: Sequence[Struct],
    arrays: Sequence[Struct],
) -> None:
    """The daemon's own keys, with `arrays`, `waiting` and `stuck` beside them."""
    beside = {"arrays": arrays, "waiting": waiting, "stuck": stuck}
    document({**msgspec.structs.asdict(value), **beside})


def verdict(value: Waited, exit_code: int) -> None:
    """What `wait` says on stderr, as data; `exit_code` is the one that it ends with."""
    document({"exit_code": exit_code, **msgspec.structs.asdict(value)})


def environment(variables: dict[bytes, bytes]) -> None:
    """`K=V` lines, exactly as captured; on a terminal each is one line, and fit for it."""
    entries = [b"%b=%b" % (key, variables[key]) for key in sorted(variables)]
    if not streams.on_terminal():
        streams.raw(b"".join(entry + b"\n" for entry in entries))
        return
    for entry in entries:
        streams.line(entry.decode("utf-8", "replace"))


def path(value: str, exact: bytes | None) -> None:
    """A file's path as the daemon has it; on a terminal fit for it.

    `exact`: where it is no text.
    """
    if streams.on_terminal():
        streams.line(value)
    else:
        streams.raw((exact or value.encode()) + b"\n")


def environment_json(variables: dict[bytes, bytes]) -> None:
    document(
        {
            key.decode("utf-8", "replace"): variables[key].decode("utf-8", "replace")
            for key in sorted(variables)
        }
    )
