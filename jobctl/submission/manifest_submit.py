"""A manifest as one graph: read, sent, and what the daemon says of a node said of the file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from jobctl.submission import manifest
from jobctl.submission.environment import Missing, missing_input, missing_of, umask
from jobctl.submission.manifest import Manifest
from jobctl.submission.request import name_of, read_file
from jobd.client.client import Client
from jobd.contract.destinations import WhenAll
from jobd.contract.errors import JobdError
from jobd.contract.models import Graph, Node, Submitted

if TYPE_CHECKING:
    from jobctl.submission.advice import Case

_OF_NODE: Final = re.compile(r"job (\d+) of the graph: (.*)", re.DOTALL)
"""How the daemon says which node is wrong, counted from 1."""


def read(file: str, directory: bytes) -> Manifest:
    """Raises: JobdError (unreadable), BadRequest (wrong)."""
    return manifest.parse(read_file(file), name_of(file), directory)


def place_of(option: str) -> str:
    """Where it stands in a manifest what an option says on the command line."""
    if manifest.may_be_default(option):
        return f"for all its jobs: {option}, in its [defaults]"
    if manifest.may_be_said(option):
        return f"for one of its jobs: {option}, in its [jobs.NAME]"
    return "the file says what is run, and how"


def graph_of(
    found: Manifest, environment: Mapping[bytes, bytes], when_all: Sequence[WhenAll] = ()
) -> Graph:
    """The request, with the umask of this process. `when_all`: who is told of all of it."""
    return Graph(
        nodes=found.nodes, umask=umask(), environment=dict(environment), when_all=[*when_all]
    )


def submit(
    client: Client,
    found: Manifest,
    environment: Mapping[bytes, bytes],
    when_all: Sequence[WhenAll] = (),
) -> Submitted:
    """All or none. Raises: JobdError (names the job of the file where it is about one)."""
    try:
        return client.graph(graph_of(found, environment, when_all))
    except JobdError as error:
        raise _of_file(found, error) from error


def _of_file(found: Manifest, error: JobdError) -> JobdError:
    about = _OF_NODE.fullmatch(error.message)
    if about is None or not 1 <= int(about[1]) <= len(found.names):
        return error
    return type(error)(found.error(int(about[1]) - 1, about[2]).message)


def _waits(node: Node) -> bool:
    options = node.options
    return bool(node.parents or node.parents_any or options.after or options.after_any)


def missing_in(found: Manifest, environment: Mapping[bytes, bytes]) -> Missing:
    """What jobs that wait for nothing would not find; an earlier job may make it for the others."""
    programs: dict[str, None] = {}
    directories: dict[str, None] = {}
    files: dict[str, str] = {}
    for node in found.nodes:
        if _waits(node):
            continue
        files |= missing_input(node.options)
        if not os.path.isdir(node.cwd):
            directories[os.fsdecode(node.cwd)] = None
        else:
            own = {**environment, **node.variables}
            program = missing_of(node.command, node.options, own, node.cwd)
            programs |= {} if program is None else {program: None}
    return Missing(programs=list(programs), directories=list(directories), files=files)


def cases_of(
    found: Manifest, environment: Mapping[bytes, bytes], shell: Callable[[], bytes]
) -> Iterator[Case]:
    """What advice may be given about; `shell`: what runs lines where a job names none."""
    from jobctl.submission.advice import Case

    for node in found.nodes:
        own = node.options.shell
        yield Case(
            node.command,
            {**environment, **node.variables},
            node.cwd,
            _always(own) if own else shell,
            waits=_waits(node),
        )


def _always(shell: bytes) -> Callable[[], bytes]:
    return lambda: shell
