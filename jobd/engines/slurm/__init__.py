"""Jobs as jobs of a Slurm cluster. By this name the entry point finds the engine.

The queue stays here: Slurm gets only what may run now. An attempt is submitted held, its number is
brought to the disk, and then it is released: so it starts at most once, whatever dies in between
(`submission`). With `[engine.slurm] pack` others of its kind follow it in its allocation (`packs`).
On its node a few lines of shell (`script`) run the command and write down how it ended; Slurm says
it, too, and `verdict` makes one outcome of both. All that an attempt leaves lies in a directory
that the nodes share, its user's alone.
"""

from jobd.engines.slurm.engine import SlurmEngine

__all__ = ["SlurmEngine"]
