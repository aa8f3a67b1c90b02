"""A message goes to a URL, by Apprise. Whatever in the URL may be secret is in no word of ours."""

from __future__ import annotations

import difflib
import io
import logging
import os
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

_TEMPLATE: Final = re.compile(r"\$\{(env|file):([^}]*)\}")
_BEGIN: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
_SERVICES: Final = "https://appriseit.com/services/"
_HIDDEN: Final = "…"
_SHORTEST: Final = 4
"""Characters of a part of a URL that could be a secret."""
_MOST: Final = 10_000
"""Bytes of a file with a secret."""


class _CannotReadError(Exception):
    """What the URL refers to is not there; the text says what."""


def notify(url: str, title: str, body: str, kind: str) -> str:
    """Empty: it was delivered; else why not."""
    try:
        import apprise

        whole = expanded(url)
    except _CannotReadError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, this message was not delivered
        return f"Apprise cannot be used: {type(error).__name__}: {error}"
    log = io.StringIO()
    logging.getLogger("apprise").addHandler(handler := logging.StreamHandler(log))
    handler.setLevel(logging.WARNING)
    service = apprise.Apprise()
    try:
        if not service.add(whole):
            return masked(_why_not(url, service.details(), log), whole)
        if service.notify(body=body, title=title, notify_type=kind):
            return ""
        return masked(_last(log).removeprefix(": ") or "Apprise does not say why", whole)
    except Exception as error:  # noqa: BLE001 - a plugin's defect is why this one failed
        return masked(f"{type(error).__name__}: {error}", whole)


def _why_not(url: str, details: dict[str, Any], log: io.StringIO) -> str:
    """`url`: as it was written, so that nothing is quoted that was put into it."""
    begin = _BEGIN.match(url)
    if begin is None:
        return f"Apprise takes no such URL{_last(log)}"
    known = {
        name
        for service in details["schemas"]
        for names in (service["protocols"], service["secure_protocols"])
        for name in names or ()
    }
    kind = begin[1].lower()
    if kind in known:
        wrong = "a part of it is missing or wrong"
        return f"Apprise takes no {kind}:// URL like this one: {wrong}{_last(log)}"
    near = difflib.get_close_matches(kind, sorted(known), n=1)
    meant = f"; did you mean: {near[0]}://" if near else ""
    return f"Apprise knows no {kind}:// URLs{meant}. All that it knows: {_SERVICES}"


def _last(log: io.StringIO) -> str:
    lines = log.getvalue().split("\n")
    said = " ".join(line.strip() for line in lines[-5:] if line.strip())
    return f": {said}" if said else ""


def expanded(url: str) -> str:
    """With what it refers to, percent-encoded unless that is all of it.

    Raises: _CannotReadError.
    """
    whole = _TEMPLATE.fullmatch(url)
    if whole:
        return _value(whole[1], whole[2])
    return _TEMPLATE.sub(lambda found: quote(_value(found[1], found[2]), safe=""), url)


def _value(kind: str, name: str) -> str:
    try:
        if kind == "env":
            return os.environ[name]
        with open(name, "rb") as file:
            return file.read(_MOST).decode().strip()
    except KeyError:
        raise _CannotReadError(f"the variable {name} is not set in the environment") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no text"
        raise _CannotReadError(f"{name}: {reason}") from None


def masked(text: str, url: str) -> str:
    """The text without the URL, and without what in it may be secret."""
    for secret in sorted({url, *_secrets(url)}, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return text


def _secrets(url: str) -> Iterator[str]:
    """User, password, host, parts of the path and values of the query: which of them is a token
    depends on the service.
    """
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        found = [parts.username, parts.password, *parts.path.split("/"), parts.netloc, host]
    except ValueError:
        return
    found += [pair.partition("=")[2] for pair in parts.query.split("&")]
    for part in found:
        for form in {part or "", unquote(part or "")}:
            if len(form) >= _SHORTEST:
                yield form
