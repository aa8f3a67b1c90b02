-- Which engines have output of a removed job, as a JSON array: they alone are asked to delete it.
-- NULL: nobody has noted it.

ALTER TABLE deletions ADD COLUMN engines TEXT;
