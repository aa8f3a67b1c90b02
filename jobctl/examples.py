"""How the examples at the end of every `--help` are written."""

from __future__ import annotations


def example(*lines: str) -> str:
    """An epilog whose lines click leaves as they are (its marker is a backspace)."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)
