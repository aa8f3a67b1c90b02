"""What SQLite and json alone need for the rows that a daemon has written: the floor of any."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

_PIECE: Final = 10_000
"""Rows that share a transaction."""
_TABLES: Final = ("jobs", "events")


def insert_seconds(database: Path, target: Path) -> float:
    """What it takes to write all jobs and events of a database into an empty one, indexes too.

    Synchronised as the daemon does it; reading them is not counted.
    """
    source = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    with closing(source), closing(sqlite3.connect(target, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode = WAL")
        copy.execute("PRAGMA synchronous = FULL")
        copy.execute("PRAGMA foreign_keys = OFF")
        for (sql,) in source.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
            " ORDER BY type DESC"
        ):
            copy.execute(sql)
        return sum(_insert(source, copy, table) for table in _TABLES)


def _insert(source: sqlite3.Connection, copy: sqlite3.Connection, table: str) -> float:
    columns = [row[1] for row in source.execute(f"PRAGMA table_info({table})")]
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    seconds = 0.0
    for rows in _pieces(source.execute(f"SELECT {names} FROM {table}")):
        begun = time.perf_counter()
        copy.execute("BEGIN IMMEDIATE")
        copy.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)
        copy.execute("COMMIT")
        seconds += time.perf_counter() - begun
    return seconds


def _pieces(cursor: sqlite3.Cursor) -> Iterator[list[tuple[object, ...]]]:
    while rows := cursor.fetchmany(_PIECE):
        yield rows


def read_seconds(database: Path, table: str, target: Path) -> float:
    """What it takes to read every row of a table and to write each as a line of JSON."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as source:
        columns = [row[1] for row in source.execute(f"PRAGMA table_info({table})")]
        begun = time.perf_counter()
        with open(target, "w", encoding="utf-8") as file:
            for row in source.execute(f"SELECT {', '.join(columns)} FROM {table}"):
                values = (v.hex() if isinstance(v, bytes) else v for v in row)
                file.write(json.dumps(dict(zip(columns, values, strict=True))) + "\n")
        return time.perf_counter() - begun
