-- By which engine an attempt was started: it alone knows what became of it. Before, there was one.

ALTER TABLE attempts ADD COLUMN engine TEXT NOT NULL DEFAULT 'local';
