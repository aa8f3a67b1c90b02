"""A daemon that says whatever its types allow: the worst of it, in every field of every answer."""

import random
from datetime import UTC, datetime

from msgspec import inspect

from jobd.client.client import Client
from jobd.client.connection import _decode
from jobd.contract import errors, wire
from jobd.contract.models import Edit, Event
from jobd.contract.states import State
from jobd.contract.version import VERSION

FORGED = "FORGED"
"""No line of what is printed may begin with it."""
CONTROLS = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA1)]))
FORMATS = "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff"
OTHERS = "\u2028\u2029\u3000\ue000\uffff\U000e0001\U0010ffff"
HOSTILE = [
    f"\n{FORGED}",
    f"x\r{FORGED}\x85{FORGED}\u2028{FORGED}",
    "\x1b]0;owned\x07\x9b31m\x1b[31m",
    CONTROLS,
    FORMATS + OTHERS,
    "letters of all scripts: \u00e4\u00df\u4e2d\u6587\u05d0\u0639 e\u0301",
    "\u0301" * 100,
    "wide \u4e2d" * 50,
    "",
]
"""Every kind of character that is no letter or sign, and some that are."""
REASONS = [
    *["queued", "held", "delayed", "dependency", "draining", "resources", "lost", "shutdown"],
    "group full", "group paused", "retry backoff", "exit code 2", "could not start: x: not found",
    "could not start: x", "dependency failed: 3", "time limit", "signal FOO", "by user",
]  # fmt: skip
SIGNALS = ["FOO", "KILL", "RTMIN+99", "-5", "0", "999999999999"]
_EVENTS = [*State, "submitted", "started", "restarted", "progress", "edited", "retrying", "workers"]
_WORDS = [
    *REASONS, *SIGNALS, *map(str, _EVENTS), "g", "{} %s [red]x[/red] :smile:", "high",
    "[[1,1],[4,6]]", '["\\u001b\\u009b", 7]', "[" * 5000, "[" + "9" * 5000,
]  # fmt: skip
"""What commands look for."""
_KEYS = [
    *Edit.__struct_fields__,
    *["attempt", "workers", "removed", "last", "reason", "percent", "eta_s", "message", "held"],
]
"""Of the data of an event."""
_INTEGERS = [0, 1, 1, 2, 3, -1, 255, 256, -(2**63), 2**63 - 1, 2**64 - 1]
_FLOATS = [0.0, 1.0, 41.5, 99.9, -1.0, 1e18, 1e308, -1e308, 5e-324] + [
    float(word) for word in ("nan", "inf", "-inf")
]
_TIMES = [
    datetime(2026, 1, 2, 12, 0, tzinfo=UTC),
    datetime.min.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
    datetime.now(UTC),
]
_LENGTHS = [0, 1, 1, 1, 2, 3]
_MANY = 22
"""More than any list of ours names one by one."""


class HostileDaemon(Client):
    """Answers `patience` requests, and is then gone; its answers go through the codec.

    `words`: what stands in its texts beside what is hostile anyway.
    """

    def __init__(self, seed, words=(), patience=12):
        super().__init__()
        self._chance = random.Random(seed)
        self._strings = [*HOSTILE, *words]
        self._patience = patience

    def request(self, request, kind):
        if self._patience == 0:
            raise errors.NotRunning("gone")
        self._patience -= 1
        return _decode(self._reply(kind), kind)

    def _reply(self, kind):
        if self._chance.random() < 0.05:
            name = self._chance.choice([*errors.BY_NAME, "Nonsense"])
            error = wire.WireError(kind=name, message=self._string())
            return wire.encode(wire.Reply(version=VERSION, error=error))
        return wire.encode_reply(self.value(inspect.type_info(kind)))

    def value(self, info):
        """Something of this type."""
        name = type(info).__name__.removesuffix("Type")
        return getattr(self, f"_{name.lower()}")(info)

    def _struct(self, info):
        given = {entry.name: self.value(entry.type) for entry in info.fields}
        if info.cls is Event:
            given["data"] = {self._chance.choice(_KEYS): v for v in given["data"].values()}
        return info.cls(**given)

    def _union(self, info):
        return self.value(self._chance.choice(info.types))

    def _none(self, info):
        return None

    def _any(self, info):
        return self._chance.choice([None, True, -1, 0.5, self._string(), [self._string()]])

    def _bool(self, info):
        return self._chance.random() < 0.5

    def _int(self, info):
        return self._chance.choice([n for n in _INTEGERS if _within(n, info)])

    def _float(self, info):
        return self._chance.choice([x for x in _FLOATS if _within(x, info)])

    def _str(self, info=None):
        if info.pattern is not None:
            return "g"
        return self._string()[: info.max_length]

    def _string(self):
        pool = self._strings if self._chance.random() < 0.6 else _WORDS
        return self._chance.choice(pool)

    def _bytes(self, info):
        raw = self._string().encode() + self._chance.choice([b"", b"\xff\x9b"])
        return raw[: info.max_length]

    def _datetime(self, info):
        return self._chance.choice(_TIMES)

    def _enum(self, info):
        return self._chance.choice(list(info.cls))

    def _list(self, info):
        count = self._chance.choice(_LENGTHS) if self._chance.random() < 0.9 else _MANY
        count = max(count, info.min_length or 0)
        return [self.value(info.item_type) for _ in range(count)][: info.max_length]

    def _tuple(self, info):
        return tuple(self.value(item) for item in info.item_types)

    def _dict(self, info):
        count = self._chance.choice(_LENGTHS)
        return {self.value(info.key_type): self.value(info.value_type) for _ in range(count)}


def _within(number, info):
    return all(
        (
            info.ge is None or number >= info.ge,
            info.gt is None or number > info.gt,
            info.le is None or number <= info.le,
            info.lt is None or number < info.lt,
        )
    )


def is_known(info):
    """Whether a value of it can be made, down to its last field."""
    if isinstance(info, inspect.StructType):
        return all(is_known(entry.type) for entry in info.fields)
    name = type(info).__name__.removesuffix("Type").lower()
    return hasattr(HostileDaemon, f"_{name}")
