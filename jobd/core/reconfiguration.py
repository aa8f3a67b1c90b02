"""What of another configuration a daemon can take over while it runs; the rest the next one does.

Pure decisions. Whatever is not named here waits for the next daemon, so a new key does, too, until
somebody sees to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from msgspec.structs import replace

from jobd.contract.config import Config, GroupConfig
from jobd.contract.configured import keys_of
from jobd.contract.states import FromWhen

_AT_ONCE: Final = ("workers", "grace", "env_exclude", "max_output", "max_log")
"""Keys of `[daemon]`."""
_ABSENT: Final = object()


class Difference(NamedTuple):
    """A key that has another value; None: it has none."""

    key: str
    before: object
    after: object
    counts: FromWhen


def in_place(before: Config, after: Config) -> Config:
    """`before`, with as much of `after` as counts at once."""
    at_once = {name: getattr(after.daemon, name) for name in _AT_ONCE}
    return replace(
        before,
        daemon=replace(before.daemon, **at_once),
        groups=_groups(before, after),
        access=replace(
            before.access, viewers=after.access.viewers, admins=after.access.admins
        ),
        client=after.client,
        notify=after.notify,
    )  # fmt: skip


def _groups(before: Config, after: Config) -> dict[str, GroupConfig]:
    """Engines are loaded when a daemon starts: until then a group stays where it is, and one whose
    jobs are to run elsewhere than all others is not there yet.
    """
    found = {}
    for name, group in after.groups.items():
        had = before.groups.get(name)
        if had is not None:
            found[name] = replace(group, engine=had.engine)
        elif group.engine in (None, before.daemon.engine):
            found[name] = replace(group, engine=None)
    return found


def differences(before: Config, after: Config) -> Iterator[Difference]:
    """Key by key, in their order."""
    old, new, now = keys_of(before), keys_of(after), keys_of(in_place(before, after))
    for key in dict.fromkeys([*old, *new]):
        if old.get(key, _ABSENT) != new.get(key, _ABSENT):
            yield Difference(key, old.get(key), new.get(key), _counts(key, now, new))


def _counts(key: str, now: Mapping[str, object], new: Mapping[str, object]) -> FromWhen:
    """`now`: what holds at once of what is `new`."""
    if key.startswith("groups.") and key not in new:
        # A group that the file no longer names is kept, with its limit; where its jobs run is not.
        return FromWhen.RESTART if key.endswith(".engine") else FromWhen.NEVER
    at_once = now.get(key, _ABSENT) == new.get(key, _ABSENT)
    return FromWhen.NOW if at_once else FromWhen.RESTART
