"""How fast the queue is, measured beside others and against what is to be reached.

`cli` runs `scenarios`, a module a family; each gives `figures`. `instance` is a daemon of its own,
`peers` are other queues, each run in a `cell`; `contest` runs all of them by turns. `floor` is what
SQLite alone needs for the same rows. `table` shows what was found, `machine` where.
"""
