"""What engines leave to the next daemon, in the plan that goes there by way of the supervisor.

    pidfds      descriptors, which every supervisor keeps open and hands on: those of the local
                engine by token alone, those of others as ENGINE:NAME
    used        what the local engine says beside them, as JSON
    heritage    what others say: by engine, in base64

Versions that knew no engine but the local one have said and read the first two, and it is the
version before that may have made a plan, or the one after that reads it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from jobd.engines.base import Heritage

_LOCAL: Final = "local"
Plan = Mapping[str, Any]


def told(heritages: Mapping[str, Heritage]) -> dict[str, Any]:
    """The keys of a plan that carry what these engines, by name, leave."""
    local = heritages.get(_LOCAL, Heritage())
    return {
        "pidfds": {
            _name(engine, name): descriptor
            for engine, left in heritages.items()
            for name, descriptor in left.descriptors.items()
        },
        "used": json.loads(local.data or b"{}"),
        "heritage": {
            engine: base64.b64encode(left.data).decode()
            for engine, left in heritages.items()
            if engine != _LOCAL and left.data
        },
    }


def left_to(engine: str, plan: Plan) -> Heritage:
    """What a plan carries for the engine of this name."""
    descriptors = plan.get("pidfds", {})
    if engine == _LOCAL:
        mine = {name: number for name, number in descriptors.items() if ":" not in name}
        used = {token: use for token, use in plan.get("used", {}).items() if use}
        return Heritage(mine, json.dumps(used).encode() if used else b"")
    begin = f"{engine}:"
    mine = {
        name.removeprefix(begin): number
        for name, number in descriptors.items()
        if name.startswith(begin)
    }
    return Heritage(mine, base64.b64decode(plan.get("heritage", {}).get(engine, "")))


def _name(engine: str, name: str) -> str:
    return name if engine == _LOCAL else f"{engine}:{name}"
