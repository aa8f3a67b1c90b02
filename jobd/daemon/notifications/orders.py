"""What a sender is told: the message as its receiver is to get it."""

from __future__ import annotations

import os
from typing import Any, Final

import msgspec

from jobd.contract.paths import Paths
from jobd.contract.states import Occasion, State
from jobd.core.notification import text
from jobd.daemon.notifications.couriers import Order
from jobd.store.deliveries import Taken
from jobd.store.reader import Reader

_KINDS: Final = {
    Occasion.COMPLETED.value: "success",
    Occasion.QUEUE_EMPTY.value: "info",
    Occasion.FAILED.value: "failure",
    Occasion.LOST.value: "failure",
    Occasion.STOPPED.value: "warning",
    Occasion.STUCK.value: "warning",
}
"""As Apprise calls them."""


class Orders:
    """Couriers' threads call."""

    def __init__(self, paths: Paths, reader: Reader) -> None:
        self._paths = paths
        self._reader = reader

    def order(self, taken: Taken) -> Order:
        """Raises: StoreFailed."""
        target, message = taken.target, taken.message
        return {
            "limit": target.timeout,
            "argv": target.to.argv,
            "url": target.to.url,
            "title": text.title(message),
            "body": text.body(message, taken.token),
            "kind": _KINDS.get(message.occasion, "info"),
            "input": msgspec.json.encode(self._content(taken)).decode(),
            "variables": self._variables(taken),
            "environment": self._environment(target.environment),
            "cwd": os.fsdecode(target.cwd),
        }

    def _environment(self, number: int | None) -> dict[str, str] | None:
        """None: as the daemon's, also where the job's has been removed."""
        found = None if number is None else self._reader.environment(number)
        if not found:
            return None
        return {os.fsdecode(name): os.fsdecode(value) for name, value in found.items()}

    def _content(self, taken: Taken) -> dict[str, Any]:
        """The job's own keys, and the message beside them."""
        message = taken.message
        job = {} if message.job is None else msgspec.structs.asdict(message.job)
        verdict = {"exit_code": message.exit_code, "counts": message.counts}
        return {
            **job,
            "notification": {
                "id": taken.token,
                "rule": taken.target.rule,
                "on": message.occasion,
                "title": text.title(message),
                "text": text.body(message, taken.token),
                "count": message.count,
                "jobs": message.jobs or ([] if message.job is None else [message.job.id]),
                "last_lines": message.last_lines,
                "again": message.again or None,
                **(verdict if message.exit_code is not None else {}),
                "tries": taken.tries,
            },
        }

    def _variables(self, taken: Taken) -> dict[str, str]:
        message = taken.message
        found: dict[str, object] = {
            "JOBD_NOTIFICATION": taken.token,
            "JOBD_ON": message.occasion,
            "JOBD_RULE": taken.target.rule,
            "JOBD_TITLE": text.title(message),
            "JOBD_COUNT": message.count,
            "JOBD_SOCKET": self._paths.socket,
        }
        if job := message.job:
            found |= {
                "JOBD_JOB_ID": job.id,
                "JOBD_NAME": job.name,
                "JOBD_STATE": job.state.value,
                "JOBD_REASON": job.reason or "",
                "JOBD_EXIT_CODE": _exit_code(job.state, job.exit_code),
                "JOBD_GROUP": job.group,
                "JOBD_ATTEMPT": job.attempt,
            }
        return {name: str(value) for name, value in found.items()}


def _exit_code(state: State, code: int | None) -> object:
    """Empty: it has none."""
    return (0 if state is State.COMPLETED else "") if code is None else code
