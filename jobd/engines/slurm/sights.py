"""What `jobd check` sees: whether Slurm would take a job, and where its output would lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jobd.contract.directories import Directory, Foreign
from jobd.engines.base import Away, CannotStart, NoResources, Sight
from jobd.engines.slurm.commands import SlurmCommands
from jobd.engines.slurm.notes import known_instance
from jobd.engines.slurm.settings import SlurmSettings, shared_folder
from jobd.engines.slurm.shared import ANSWER

_NOTHING: Final = b"#!/bin/sh\n"
"""A script, for a job that is only asked about."""


def sights(settings: SlurmSettings, data: Path) -> Iterator[Sight]:
    """`data`: where the database lies. Changes nothing, here or in Slurm."""
    yield _slurm(settings)
    yield _shared_directory(settings, data)


def _slurm(settings: SlurmSettings) -> Sight:
    """Asked as for a job, with all that the configuration says: partition, account, qos, more."""
    with_what = " ".join(settings.options)
    asked = f"sbatch {with_what}" if with_what else "sbatch"
    try:
        said = SlurmCommands(settings.programs, settings.options).takes(_NOTHING)
    except Away as error:
        return Sight(f"away: {error}", "jobs wait until it answers; ask it yourself: scontrol ping")
    except NoResources as error:
        return Sight(f"takes no job now: {error}", _AS_ASKED.format(asked))
    except CannotStart as error:
        return Sight(f"takes no job: {error}", _AS_ASKED.format(asked))
    return Sight(f"takes jobs ({said.partition(' using ')[2] or asked})")


_AS_ASKED: Final = "mend [engine.slurm], or Slurm; it was asked by: {} --test-only"


def _shared_directory(settings: SlurmSettings, data: Path) -> Sight:
    path, known = Path(settings.shared_dir or data), False
    try:
        instance = known_instance(data)
        folder = path if instance is None else shared_folder(settings, data, instance)
        if folder != path and folder.exists():
            Directory(folder).now()
            known = (folder / ANSWER).exists()
        elif not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            os.stat(path)
            return Sight(f"shared directory: {path} cannot be written", _OTHER)
    except Foreign as error:
        return Sight(f"shared directory: {error.strerror}", f"make it yours alone, or {_OTHER}")
    except FileNotFoundError:
        return Sight(f"shared directory: {path} is not there", f"make it, or {_OTHER}")
    except OSError as error:
        return Sight(f"shared directory: {path}: {error.strerror}", _OTHER)
    seen = "a node has written there" if known else "no node has been asked for it yet"
    return Sight(f"shared directory {path} ({seen})")


_OTHER: Final = "name another one that all nodes share: [engine.slurm] shared_dir"
