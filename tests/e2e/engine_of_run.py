"""The engine of a run of the tests (`TEST_ENGINE`): its part of a configuration, and its files."""

import os

import pytest

from jobd.contract.paths import Paths

at_the_door = pytest.mark.local("who may do what on this machine is asked before any engine")


def configured(text, engine, section):
    """A configuration in which jobs run on that engine.

    What was on a line stays there, for messages name it: as far as the table `[daemon]`, if it has
    one, reaches.
    """
    if engine == "local":
        return text
    chosen = f"engine = '{engine}'\n"
    ours = f"[engine.{engine}]\n{section}"
    begin = text.find("[daemon]\n")
    if begin < 0:
        return f"{text}\n[daemon]\n{chosen}{ours}"
    end = text.find("\n[", begin) + 1 or len(text)
    return f"{text[:end]}{chosen}{text[end:]}\n{ours}"


def of_cluster():
    """Variables by which Slurm's programs find theirs."""
    return {name: os.environ[name] for name in ("SLURM_CONF",) if name in os.environ}


def where_outputs_are(paths):
    """Those of a cluster's jobs lie in a directory that it shares."""
    instance = paths.data / "slurm-instance"
    if not instance.exists():
        return paths
    return Paths(paths.data / f"slurm-{instance.read_text()}", paths.config)
