"""Tables of several results files: models in rows, metrics in columns, in Markdown or LaTeX."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..metrics import LOWER_IS_BETTER
from ..metrics.evaluator import Interval
from .results import Difference, SavedResults, compare

SAME_TRUTH = ("split", "held_out", "truth")  # scores of other fixations are shown, but not compared


@dataclass(frozen=True)
class Cell:
    """A mean, or a mean difference, with its 95 % interval; `differs` if that of a difference leaves out 0."""

    mean: float
    low: float
    high: float
    is_difference: bool = False
    differs: bool = False


@dataclass(frozen=True)
class TableRow:
    """A line of a table; a cell is `None` where there is nothing to show."""

    dataset: str
    images: int
    model: str
    cells: list[Cell | None]


def table_rows(
    results: Mapping[str, SavedResults], metrics: Sequence[str] = (), against: str | None = None
) -> tuple[list[str], list[TableRow]]:
    """Collects results by data set, in the order in which they are given.

    Args:
        results: By file name, what `read_json` of `evaluation.results` gives.
        metrics: The columns; all that all results have if empty.
        against: The model whose scores are shown as they are; all others become paired differences, theirs minus its.

    Returns:
        The names of the columns, and the rows.

    Raises:
        ValueError: If results do not go into one table, a metric or `against` is missing, or a row is there twice.
    """
    first = next(iter(results.values()))
    for file, given in results.items():
        for key in ("protocol", "protocol_definition"):
            if given.get(key) != first.get(key):
                raise ValueError(f"{file}: results differ in {key}: {first.get(key)!r} and {given.get(key)!r}")
    common = [name for name in first["metrics"] if all(name in given["metrics"] for given in results.values())]
    if missing := [name for name in metrics if name not in common]:
        raise ValueError(f"metric {missing[0]!r} is not in all results; these are: {', '.join(common)}")
    columns = list(metrics) or common
    datasets: dict[str, dict[str, SavedResults]] = {}
    for file, given in results.items():
        by_model = datasets.setdefault(_short(given["dataset"]), {})
        name = _short(given["model"])
        if name in by_model:
            raise ValueError(f"{file}: {name} on {_short(given['dataset'])} is in another file already")
        by_model[name] = given
    rows = []
    for dataset, by_model in datasets.items():
        if len({given.get("dataset_sha256") for given in by_model.values()}) > 1:
            raise ValueError(f"the results on {dataset} are of different data: {', '.join(by_model)}")
        if against is not None and against not in by_model:
            raise ValueError(f"no results of {against!r} on {dataset}; there are {', '.join(by_model)}")
        reference = None if against is None else by_model[against]
        for name, given in by_model.items():
            if reference is None or name == against:
                cells: list[Cell | None] = [_cell(given["metrics"][column]) for column in columns]
            else:
                cells = _differences(reference, given, columns)
            rows.append(TableRow(dataset, given["images"], name, cells))
    return columns, rows


def _short(spec: str) -> str:
    """Short name of `NAME:DIR`, a folder or a Hub id: the last part of its path."""
    return Path(spec.rpartition(":")[2] or spec).name or spec


def _cell(score: Interval | Difference) -> Cell | None:
    """The cell of a score or difference; `None` if no image has it."""
    if score["mean"] is None:  # NaN, in a file
        return None
    return Cell(score["mean"], score["low"], score["high"], "differs" in score, bool(score.get("differs")))


def _differences(first: SavedResults, second: SavedResults, columns: Sequence[str]) -> list[Cell | None]:
    if any(first.get(key) != second.get(key) for key in SAME_TRUTH):
        return [None] * len(columns)
    differences = compare(first, second)
    return [_cell(differences[name]) for name in columns]


def markdown_table(columns: Sequence[str], rows: Sequence[TableRow], intervals: bool = True) -> str:
    """The table in Markdown; differences whose interval leaves out 0 are bold."""

    def show(cell: Cell | None) -> str:
        if cell is None:
            return "-"
        sign = "+" if cell.is_difference else ""
        text = f"{cell.mean:{sign}.3f}"
        if intervals:
            text += f" ({cell.low:{sign}.3f}..{cell.high:{sign}.3f})"
        return f"**{text}**" if cell.differs else text

    heads = [f"{name} ↓" if name in LOWER_IS_BETTER else name for name in columns]
    lines = [f"| data set | images | | {' | '.join(heads)} |", "|---|---|---|" + "---|" * len(columns)]
    for row, dataset, images in _with_headings(rows):
        lines.append(f"| {dataset} | {images} | {row.model} | {' | '.join(map(show, row.cells))} |")
    return "\n".join(lines)


def latex_table(columns: Sequence[str], rows: Sequence[TableRow], intervals: bool = True) -> str:
    """The table as a LaTeX `tabular` with the rules of the package booktabs; see `markdown_table`."""

    def show(cell: Cell | None) -> str:
        if cell is None:
            return "--"
        sign = "+" if cell.is_difference else ""
        mean = f"{cell.mean:{sign}.3f}"
        text = f"$\\mathbf{{{mean}}}$" if cell.differs else f"${mean}$"
        if intervals:
            text += f" {{\\scriptsize (${cell.low:{sign}.3f}$, ${cell.high:{sign}.3f}$)}}"
        return text

    heads = [f"{name} $\\downarrow$" if name in LOWER_IS_BETTER else name for name in columns]
    lines = [rf"\begin{{tabular}}{{lrl{'r' * len(columns)}}}", r"\toprule"]
    lines += [rf"data set & images & & {' & '.join(heads)} \\"]
    for row, dataset, images in _with_headings(rows):
        if dataset:
            lines.append(r"\midrule")
        lines.append(
            rf"{_escaped(dataset)} & {images} & {_escaped(row.model)} & {' & '.join(map(show, row.cells))} \\"
        )
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _with_headings(rows: Sequence[TableRow]) -> Iterator[tuple[TableRow, str, str]]:
    """The rows, each with the data set and the number of images where they are to be written: in its first row."""
    last = None
    for row in rows:
        yield (row, "", "") if row.dataset == last else (row, row.dataset, str(row.images))
        last = row.dataset


def _escaped(text: str) -> str:
    return re.sub(r"([&%$#_{}])", r"\\\1", text)
