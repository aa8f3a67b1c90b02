"""What `jobd check` tells, as it stands in its JSON."""

from __future__ import annotations

from msgspec import Struct


class Finding(Struct, frozen=True):
    """Something that is wrong."""

    kind: str
    """`database`, `record`, `output`, `access`, `configuration` or `engine`."""
    text: str
    next_step: str
    job: int | None = None


class EngineSight(Struct, frozen=True):
    """Something of an engine that is as it should be."""

    engine: str
    text: str


class Report(Struct, frozen=True):
    """What a check has found."""

    database: str
    running: bool
    """Whether a daemon was at work meanwhile."""
    schema: int | None
    jobs: int | None
    outputs: int
    """Output files that were looked for."""
    findings: list[Finding]
    notes: list[str]
    """What is not wrong, but not done either."""
    engines: list[EngineSight] = []
    """What was seen of those that jobs run on, as far as it is as it should be."""
