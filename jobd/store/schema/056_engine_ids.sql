-- By which the tools of its engine know an attempt, as the number of a job of Slurm.

ALTER TABLE attempts ADD COLUMN engine_id TEXT;
