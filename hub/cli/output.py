"""Printing: tables for eyes, tab-separated lines for pipes, one JSON document for programs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import Any

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and newline, and those that reverse text: they could repaint a terminal."""


def on_terminal() -> bool:
    return sys.stdout.isatty()


def clean(text: str) -> str:
    """Text of others (servers, models) without what a terminal would obey."""
    return _CONTROL.sub("", text)


def one_line(text: object) -> str:
    return " ".join(clean(str(text)).split())


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2 if on_terminal() else None, ensure_ascii=False, default=str))


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    title: str | None = None,
    *,
    whole_cells: bool = False,
) -> None:
    """A table on a terminal; elsewhere a line per row with tabs between the cells, and no heading.

    `whole_cells`: only headings may be broken into lines; `table_width` says whether that fits.
    """
    cells = [["" if cell is None else one_line(cell) for cell in row] for row in rows]
    if not on_terminal():
        for row in cells:
            print("\t".join(row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    least = _least_widths(columns, cells)
    for position, column in enumerate(columns):
        table.add_column(
            column,
            overflow="fold",
            no_wrap=position == 0,
            style="cyan" if position == 0 else None,
            min_width=least[position] if whole_cells else None,
        )
    for row in cells:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    Console().print(table)


def table_width(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """How many characters a table with whole cells takes at least."""
    return sum(width + 3 for width in _least_widths(columns, rows)) + 1


def _least_widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Of each column: its longest cell, or the longest word of its heading."""
    return [
        max(len(text) for text in (*column.split(), *(row[position] for row in rows), ""))
        for position, column in enumerate(columns)
    ]


_STYLES = {
    "ready": "green",
    "failed": "red",
    "restarting": "yellow",
    "needs login": "yellow",
    "starting": "yellow",
    "fetching": "yellow",
}
"""Words of state that are coloured wherever they stand alone in a cell."""


def note(message: str) -> None:
    """A remark beside the output: on standard error, so that pipes stay clean."""
    print(f"hub: {one_line(message)}", file=sys.stderr)
