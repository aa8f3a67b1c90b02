"""What Slurm says of one job."""


def listed(cluster, which):
    """Its state; `which`: its number or its name."""
    by = "--jobs" if isinstance(which, int) else "--name"
    said = cluster.run("squeue", "--noheader", "--states=all", f"{by}={which}", "--format=%T")
    return said.strip()
