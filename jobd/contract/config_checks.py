"""What is wrong with a configuration whose keys and types are right: names, paths, their company.

Each fault is told as msgspec tells of one: what is wrong, and at which key.
"""

from __future__ import annotations

import grp
import os
import pwd
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from jobd.contract import listening
from jobd.contract.ownership import number_of

if TYPE_CHECKING:
    from jobd.contract.config import AccessConfig, Config, MetricsConfig, NotifyConfig, Retention


def check(config: Config) -> None:
    """Raises: msgspec.ValidationError."""
    devices = config.gpus.devices
    if len(set(devices)) < len(devices):
        raise msgspec.ValidationError("a device is named twice - at `$.gpus.devices`")
    _check_access(config.access)
    _check_notify(config.notify)
    _check_metrics(config.metrics)
    _check_compression(config.retention)
    owner = config.client.owner
    if owner and number_of(owner) is None:
        raise msgspec.ValidationError(f"there is no user {owner!r} - at `$.client.owner`")


def refuse_nul(value: object, place: str = "$") -> None:
    """No path, name or pattern can have one in it. Raises: msgspec.ValidationError."""
    if isinstance(value, str) and "\0" in value:
        raise msgspec.ValidationError(f"there is a NUL in {value!r} - at `{place}`")
    if isinstance(value, dict):
        for key, inner in value.items():
            refuse_nul(inner, f"{place}.{key}")
    if isinstance(value, list):
        for number, inner in enumerate(value):
            refuse_nul(inner, f"{place}[{number}]")


def _check_access(access: AccessConfig) -> None:
    if (access.viewers or access.admins) and not access.socket:
        raise msgspec.ValidationError("others need a socket to come in by - at `$.access.socket`")
    if access.socket and not os.path.isabs(access.socket):
        raise msgspec.ValidationError("an absolute path is needed - at `$.access.socket`")
    for key, names in (("viewers", access.viewers), ("admins", access.admins)):
        for name in names:
            if not _exists(name):
                what = "group" if name.startswith("@") else "user"
                named = name.removeprefix("@")
                raise msgspec.ValidationError(f"there is no {what} {named!r} - at `$.access.{key}`")


def _check_notify(rules: list[NotifyConfig]) -> None:
    names = [rule.name for rule in rules if rule.name]
    for number, rule in enumerate(rules):
        place = f"at `$.notify[{number}]"
        try:
            rule.destinations()
        except ValueError as error:
            key, _, said = str(error).partition(": ")
            place += f".{key}" if said else ""
            raise msgspec.ValidationError(f"{said or key} - {place}`") from None
        if names.count(rule.name) > 1:
            raise msgspec.ValidationError(f"there are two of this name - {place}.name`")


def _check_metrics(metrics: MetricsConfig) -> None:
    if metrics.listen:
        try:
            listening.parse(metrics.listen)
        except ValueError as error:
            raise msgspec.ValidationError(f"{error} - at `$.metrics.listen`") from None
    if metrics.textfile and not os.path.isabs(metrics.textfile):
        raise msgspec.ValidationError("an absolute path is needed - at `$.metrics.textfile`")


def _exists(name: str) -> bool:
    try:
        if name.startswith("@"):
            grp.getgrnam(name[1:])
        else:
            pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _check_compression(retention: Retention) -> None:
    if not retention.compress_after or sys.version_info >= (3, 14):
        return
    if find_spec("backports") is None or find_spec("backports.zstd") is None:
        raise msgspec.ValidationError(
            "it needs a library that is not installed: pip install 'jobctl[zstd]'"
            " - at `$.retention.compress_after`"
        )
