"""`submit --manifest`: read it, send it as one graph, and say errors as errors of the file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

import click

from jobctl.render import notices
from jobctl.submission import manifest
from jobctl.submission.environment import missing_of, umask
from jobctl.submission.manifest import Manifest
from jobd.client.client import Client
from jobd.contract.errors import JobdError
from jobd.contract.models import Graph, Submitted

_OF_NODE: Final = re.compile(r"job (\d+) of the graph: (.*)", re.DOTALL)
"""How the daemon says which node is wrong, counted from 1."""


def read(file: str, directory: bytes) -> Manifest:
    """Raises: JobdError (unreadable), BadRequest (wrong)."""
    try:
        with click.open_file(file, "rb") as stream:
            raw: bytes = stream.read()
    except OSError as error:
        raise JobdError(f"cannot read {file}: {error.strerror}") from error
    return manifest.parse(raw, "stdin" if file == "-" else file, directory)


def place_of(option: str) -> str:
    """Where it stands in a manifest what an option says on the command line."""
    if manifest.may_be_default(option):
        return f"for all its jobs: {option}, in its [defaults]"
    if manifest.may_be_said(option):
        return f"for one of its jobs: {option}, in its [jobs.NAME]"
    return "the file says what is run, and how"


def submit(client: Client, found: Manifest, environment: Mapping[bytes, bytes]) -> Submitted:
    """All or none. Raises: JobdError (names the job of the file where it is about one)."""
    _warn(found, environment)
    graph = Graph(nodes=found.nodes, umask=umask(), environment=dict(environment))
    try:
        return client.graph(graph)
    except JobdError as error:
        raise _of_file(found, error) from error


def _of_file(found: Manifest, error: JobdError) -> JobdError:
    about = _OF_NODE.fullmatch(error.message)
    if about is None or not 1 <= int(about[1]) <= len(found.names):
        return error
    return type(error)(found.error(int(about[1]) - 1, about[2]).message)


def _warn(found: Manifest, environment: Mapping[bytes, bytes]) -> None:
    """Programs and directories that are not there, each once; an earlier job may make them."""
    programs: dict[str, None] = {}
    directories: dict[bytes, None] = {}
    for node in found.nodes:
        waits = node.parents or node.parents_any or node.options.after or node.options.after_any
        if waits:
            continue
        if not os.path.isdir(node.cwd):
            directories[node.cwd] = None
        else:
            own = {**environment, **node.variables}
            program = missing_of(node.command, node.options, own, node.cwd)
            programs |= {} if program is None else {program: None}
    for program in programs:
        notices.not_found(program)
    for directory in directories:
        notices.no_directory(os.fsdecode(directory))
