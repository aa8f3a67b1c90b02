"""Cells below each other: each padded to the width of its column, two blanks before the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jobctl.render import text


def alignment(widths: Sequence[int], numeric: Sequence[bool]) -> Callable[[Sequence[str]], str]:
    """What makes a line of the cells of a row, which are `printable`.

    `widths`: of the columns, on a terminal. `numeric`: whether they are aligned on the right.
    """
    signs = ["" if is_numeric else "-" for is_numeric in numeric]
    form = "  ".join(f"%{sign}{width}s" for sign, width in zip(signs, widths, strict=True))

    def line(cells: Sequence[str]) -> str:
        made = form % (*cells,)
        # Of other scripts a character need not take one column.
        return made if made.isascii() else "  ".join(map(_padded, cells, widths, numeric))

    return line


def _padded(cell: str, width: int, is_numeric: bool) -> str:  # noqa: FBT001 # mapped
    return text.padded_left(cell, width) if is_numeric else text.padded(cell, width)
