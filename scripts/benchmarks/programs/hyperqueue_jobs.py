"""HyperQueue by its Python package: no-op tasks in one job, on a server and a worker in here.

    hyperqueue_jobs.py JOBS SLOTS

Run by the interpreter that has the package, which need not be ours.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main(jobs: str, slots: str) -> None:
    """Their output goes into the current directory, a file each."""
    hyperqueue = importlib.import_module("hyperqueue")
    cluster = importlib.import_module("hyperqueue.cluster")
    here = Path.cwd()
    job = hyperqueue.Job()
    for number in range(int(jobs)):
        job.program(["sh", "-c", "true"], stdout=str(here / str(number)), stderr=None)
    workers = cluster.WorkerConfig(cores=int(slots))
    with cluster.LocalCluster(str(here / "server"), workers) as local:
        client = local.client()
        client.wait_for_jobs([client.submit(job)])


if __name__ == "__main__":
    main(*sys.argv[1:])
