"""What the store gives and takes: rows as frozen records, free of SQL."""

from __future__ import annotations

import hashlib
import zlib
from typing import Final

import msgspec
from msgspec import Struct

from jobd.contract.models import Command, State


class Spec(Struct, frozen=True, array_like=True, omit_defaults=True):
    """What was submitted and never changes; one blob a job."""

    argv: list[bytes]
    shell: bool
    cwd: bytes
    umask: int
    requeue: bool = False

    @property
    def command(self) -> Command:
        return Command(argv=self.argv, shell=self.shell)


class StopOrder(Struct, frozen=True, array_like=True):
    """An order to end a running job; on disk until the job has ended."""

    reason: str
    signal: int
    grace: float
    """Seconds between the signal and KILL."""
    at: int
    """When it was given, microseconds since the epoch."""


class JobRow(Struct, frozen=True):
    """A job with its current attempt."""

    id: int
    state: State
    reason: str | None
    priority: int
    name: str
    user: str
    spec: Spec
    environment: int
    attempt: int
    stop: StopOrder | None
    progress: float | None
    progress_message: str | None
    submitted_at: int
    queued_at: int
    started_at: int | None
    finished_at: int | None
    token: str | None
    slot: int | None
    host: str | None
    exit_code: int | None
    signal: str | None
    pid: int | None
    cpu_us: int | None
    max_rss_kb: int | None


class AttemptRow(Struct, frozen=True):
    attempt: int
    state: State
    reason: str | None
    started_at: int
    finished_at: int | None
    exit_code: int | None
    signal: str | None
    pid: int | None
    cpu_us: int | None
    max_rss_kb: int | None


class EventRow(Struct, frozen=True):
    seq: int
    at: int
    job: int | None
    event: str
    user: str
    data: bytes | None


spec_encoder: Final = msgspec.msgpack.Encoder()
spec_decoder: Final = msgspec.msgpack.Decoder(Spec)
stop_decoder: Final = msgspec.msgpack.Decoder(StopOrder)
_environment_decoder: Final = msgspec.msgpack.Decoder(dict[bytes, bytes])


def pack_environment(environment: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """Its digest and its compressed content; equal environments have equal digests."""
    raw = msgspec.msgpack.encode(dict(sorted(environment.items())))
    return hashlib.sha256(raw).digest(), zlib.compress(raw, 6)


def unpack_environment(content: bytes) -> dict[bytes, bytes]:
    return _environment_decoder.decode(zlib.decompress(content))
