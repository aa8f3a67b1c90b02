"""Where a message about a job goes: a program, or a URL that Apprise knows.

A URL may hold a password, so no URL is ever shown: only its label is. What is better not written
into it at all comes from elsewhere when it is used: `${env:NAME}` from the environment,
`${file:PATH}` from a file.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from jobd.contract.errors import BadRequest, JobdError
from jobd.contract.states import ENDS, OF_A_JOB, Occasion

MAX_URL: Final = 4000
"""Characters of a URL, or of a word of a command."""
MAX_WISHES: Final = 16
"""Destinations of one job."""
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_TEMPLATE: Final = re.compile(r"\$\{([^}]*)\}?")
_KNOWN: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/.+")
_LABEL: Final = 60
"""Characters of a command in a list."""


class Scope(StrEnum):
    """All of what is waited for."""

    SUBMISSION = "submission"
    GROUP = "group"
    TAG = "tag"


class WhenAll(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """To be told once all jobs of a submission have ended; or of its group, or with its tags."""

    of: Scope = Scope.SUBMISSION
    to: Destination


_SHELL: Final = ["/bin/sh", "-c"]
_HOW: Final = "write ${env:NAME} or ${file:/PATH}"

Text = Annotated[str, Meta(max_length=MAX_URL)]


class Destination(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One of the two is given."""

    url: Text = ""
    argv: Annotated[list[Text], Meta(max_length=1000)] = []

    @property
    def label(self) -> str:
        """What may be shown of it: of a URL no more than its kind."""
        if not self.url:
            import shlex  # no request of a client needs it

            line = self.argv[2] if self.argv[:2] == _SHELL else shlex.join(self.argv)
            return line if len(line) <= _LABEL else f"{line[: _LABEL - 2]} …"
        scheme = _SCHEME.match(self.url)
        return f"{scheme[1]}://…" if scheme else self.url


class Wish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the submitter of a job wants to be told, and where."""

    on: Annotated[list[Occasion], Meta(max_length=len(Occasion))]
    to: Destination

    @property
    def label(self) -> str:
        return f"{','.join(self.on)}:{self.to.label}"


def shell_line(line: str) -> Destination:
    """A command that a shell reads. Raises: ValueError."""
    return program([*_SHELL, line], line)


def program(argv: list[str], first: str | None = None) -> Destination:
    """`first`: what must not be empty, if that is not its first word. Raises: ValueError."""
    if not argv or not (argv[0] if first is None else first).strip():
        raise ValueError("the command is empty")
    for word in argv:
        if "\0" in word:
            raise ValueError("a command cannot contain NUL")
        if len(word) > MAX_URL:
            raise ValueError(f"a word of the command has more than {MAX_URL:,} characters")
    return Destination(argv=argv)


def address(url: str) -> Destination:
    """Raises: ValueError; it never quotes the URL."""
    for template in _TEMPLATE.finditer(url):
        if not template[0].endswith("}") or not _KNOWN.fullmatch(template[1]):
            raise ValueError(f"what stands between ${{ and }} in the URL is unknown; {_HOW}")
    if not _SCHEME.match(url) and not _TEMPLATE.fullmatch(url):
        raise ValueError("this is no URL; write one as Apprise has it, such as mailto://HOST")
    if not url.isprintable() or " " in url:
        raise ValueError("a URL holds no blanks and no control characters; write %20 for a blank")
    if len(url) > MAX_URL:
        raise ValueError(f"a URL has at most {MAX_URL:,} characters")
    return Destination(url=url)


def require_apprise(what: str) -> None:
    """Raises: JobdError: whatever `what` asks for cannot be sent here."""
    if importlib.util.find_spec("apprise") is None:
        from jobd.contract.distribution import how_to_get  # no request of a client needs it

        raise JobdError(f"{what}: Apprise, which sends it, is missing; {how_to_get('notify')}")


def is_url(text: str) -> bool:
    """Whether somebody who wrote this means a URL, and not a command."""
    return bool(_SCHEME.match(text) or _TEMPLATE.fullmatch(text))


def destination(text: str) -> Destination:
    """A URL, or else a shell line. Raises: ValueError."""
    return address(text) if is_url(text) else shell_line(text)


_HEAD: Final = re.compile(r"([A-Za-z]+(?:,[A-Za-z]+)*):(?!//)")
"""No command begins so: who mistypes a word hears of it now, and not by a message that is missing.
"""


def wish(text: str) -> Wish:
    """`[WHEN:]URL|CMD`. Raises: ValueError."""
    when = _HEAD.match(text)
    if when is None:
        return Wish(on=list(ENDS), to=destination(text))
    words, known = when[1].split(","), [word.value for word in OF_A_JOB]
    for word in words:
        if word not in known:
            raise ValueError(f"{word!r} is no occasion; there are {', '.join(known)}")
    return Wish(on=[Occasion(word) for word in words], to=destination(text[when.end() :].strip()))


def when_all(text: str) -> WhenAll:
    """`[group:|tag:]URL|CMD`. Raises: ValueError."""
    of = _HEAD.match(text)
    if of is None:
        return WhenAll(to=destination(text))
    if of[1] not in (Scope.GROUP, Scope.TAG):
        raise ValueError(f"{of[1]!r} is neither {Scope.GROUP} nor {Scope.TAG}")
    return WhenAll(of=Scope(of[1]), to=destination(text[of.end() :].strip()))


def _check(to: Destination) -> None:
    if to.url and to.argv:
        raise ValueError("either a URL or a command is needed")
    _ = address(to.url) if to.url else program(to.argv)


def check(option: str, wanted: Iterable[Wish | WhenAll]) -> None:
    """Of what a client sends. Raises: BadRequest, which names the option."""
    for one in wanted:
        try:
            _check(one.to)
        except ValueError as error:
            raise BadRequest(f"{option}: {error}") from None
        if isinstance(one, Wish) and not set(one.on) <= set(OF_A_JOB):
            known = ", ".join(OF_A_JOB)
            raise BadRequest(f"{option}: of one job the occasions are {known}; see [[notify]]")
