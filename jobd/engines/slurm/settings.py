"""The section `[engine.slurm]`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from jobd.contract import durations
from jobd.engines.base import BadSetting
from jobd.engines.loading import settings_as

_OURS: Final = frozenset(
    {
        "array", "begin", "chdir", "clusters", "dependency", "error", "export", "export-file",
        "get-user-env", "help", "hold", "ignore-pbs", "input", "job-name", "open-mode", "output",
        "parsable", "quiet", "requeue", "no-requeue", "signal", "test-only", "uid", "usage",
        "user", "version", "wait", "wrap",
    }
)  # fmt: skip
"""Options of sbatch by which an attempt would not start once, or not be found again."""
_OPTION: Final = re.compile(r"--([a-z0-9][a-z0-9-]*)(=.*)?", re.DOTALL)


class SlurmSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """As TOML has it; nothing of it is needed."""

    shared_dir: str = ""
    """A directory that all nodes reach by the same path; empty: beside the database."""
    partition: str = ""
    account: str = ""
    qos: str = ""
    max_jobs: Annotated[int, Meta(ge=1)] | None = None
    """How many may be with Slurm at a time; None: as many as there are workers."""
    pack: Annotated[int, Meta(ge=1)] = 1
    """So many may run one after another in what Slurm gives for one."""
    gpu_option: str = "--gres=gpu:%d"
    """What sbatch is told of a job that wants so many GPUs."""
    submit_options: list[str] = []
    """More for sbatch, as `--mem=4G`."""
    job_options: list[str] | None = None
    """Names of what a job may ask for, as `--mem`; None: whatever is not up to jobd."""
    poll: str = "2s"
    """How often Slurm is asked at most, as a duration."""
    programs: str = ""
    """The directory of sbatch and its like; empty: as PATH finds them."""

    @property
    def poll_s(self) -> float:
        return durations.parse(self.poll)

    @property
    def options(self) -> list[str]:
        """For sbatch."""
        named = (("partition", self.partition), ("account", self.account), ("qos", self.qos))
        return [f"--{name}={value}" for name, value in named if value] + self.submit_options


def shared_folder(found: SlurmSettings, data: Path, instance: str) -> Path:
    """Of one instance, in the shared directory. `data`: where its database lies."""
    return Path(found.shared_dir or data) / f"slurm-{instance}"


def read(settings: Mapping[str, Any]) -> SlurmSettings:
    """Raises: BadSetting."""
    found = settings_as(SlurmSettings, settings)
    try:
        seconds = found.poll_s
    except ValueError as error:
        raise BadSetting("poll", str(error)) from error
    if not seconds:
        raise BadSetting("poll", "Slurm is not to be asked without a pause")
    for key, path in (("shared_dir", found.shared_dir), ("programs", found.programs)):
        if path and not os.path.isabs(path):
            raise BadSetting(key, f"an absolute path is needed, not {path!r}")
    if found.gpu_option.count("%") != 1 or found.gpu_option.count("%d") != 1:
        raise BadSetting("gpu_option", "the number of GPUs stands in it once, as %d")
    if why := refused(found.gpu_option.replace("%d", "1")):
        raise BadSetting("gpu_option", f"{found.gpu_option!r} {why}")
    for option in found.submit_options:
        if why := refused(option):
            raise BadSetting("submit_options", f"{option!r} {why}")
    return found


def refused_of_job(option: str, allowed: list[str] | None) -> str | None:
    """As `refused`, of what a job asks for. `allowed`: names; None: all."""
    if allowed is not None and option.partition("=")[0] not in allowed:
        return f"is none of those that a job may have: {', '.join(allowed) or 'none'}"
    return refused(option)


def refused(option: str) -> str | None:
    """Why sbatch is not to get this option; None: it may."""
    match = _OPTION.fullmatch(option)
    if match is None:
        return "is no option in one word, such as --mem=4G"
    name = match[1]
    if any(ours.startswith(name) for ours in _OURS):
        return "is up to jobd"
    return None
