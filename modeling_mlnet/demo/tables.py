"""Figures as Markdown tables, which read well on a phone and by a screen reader."""

import html
import re
from typing import Any

from ..analysis import percent


def plain(text: str) -> str:
    """A visitor's text as it is: no Markdown, no tags."""
    return re.sub(r"([\\`*_{}\[\]()#+.!|~$-])", r"\\\1", html.escape(text, quote=False))


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def regions_table(rows: list[dict[str, Any]]) -> str:
    """Of `measure_regions`."""
    cells = [[plain(row["name"]), percent(row["share"]), f"{row['ratio']:.2f} x", str(row["rank"])] for row in rows]
    return _table(["Region", "Share", "Per area", "Rank"], cells)


def comparison_table(rows: list[dict[str, Any]]) -> str:
    """Of `compare_regions`."""
    cells = []
    for row in rows:
        shares = ["not there" if row[which] is None else percent(row[which]) for which in ("first", "second")]
        points = "" if row["difference"] is None else f"{100 * row['difference']:+.1f}"
        cells.append([plain(row["name"]), *shares, points])
    return _table(["Region", "First", "Second", "Points"], cells)


def levels_table(levels: list[dict[str, Any]]) -> str:
    """Of `Handlers.why`."""
    cells = [[plain(row["level"]), percent(row["gradient"]), percent(row["contribution"])] for row in levels]
    return _table(["Level", "By gradient", "By gradient times feature"], cells)
