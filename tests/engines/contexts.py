"""What an engine is loaded with, in a directory of a test."""

from jobd.contract.paths import Paths
from jobd.engines.base import Context
from jobd.outputs.on_disk import DiskWorkspace


def context_of(directory, name="local", **more):
    paths = Paths(directory, directory / "config.toml")
    return Context(name=name, paths=paths, workspace=DiskWorkspace(paths), **more)
