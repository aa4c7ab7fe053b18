"""Checks of a data set: complete, missing and damaged files, and a drawing of some rows."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
from datasets import Dataset

from ..io.atomic import write_whole
from ..io.overlay import overlay
from ..io.progress import Progress, no_progress
from .catalog import ALL, CATALOG
from .files import UnusableError, encoded_file, upright_size
from .folder import not_listed
from .loading import LISTERS, find_data_set, list_images, load_rows, splits_of
from .maps import is_constant
from .plausibility import DENSITIES, Finding, ImageFixations, find_implausible, images_of, sample_indices
from .problems import summarise
from .schema import FEATURES, Record, Row, constant_note, make_row, open_record, undecoded

DRAWN = 4
LOOKED_AT = 24  # rows of a check, for a closer look

RowMaker: TypeAlias = Callable[[], Row]


@dataclass
class SplitCheck:
    """Result of checking a split.

    Args:
        split: Its name, or `ALL`.
        official: How many images its authors count; `None` where nobody does.
        images: How many are there, and of these
        usable: those whose files are all whole,
        own_maps: those that bring their density,
        with_fixations: those with a fixation at least,
        with_observers: those whose observers are known.
        fixations: How many fixations lie on the images, and how many
        outside: lie outside them and are left out.
        sizes: How often each width and height occurs.
        problems: One line for every file that is missing or damaged.
        notes: Lines about what is unusual but no fault.
    """

    split: str
    official: int | None = None
    images: int = 0
    usable: int = 0
    own_maps: int = 0
    with_fixations: int = 0
    with_observers: int = 0
    fixations: int = 0
    outside: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def count(self, size: tuple[int, int], fixations: int, own_map: bool, observers: bool) -> None:
        """Counts one usable image."""
        self.usable += 1
        self.sizes[size] += 1
        self.fixations += fixations
        self.with_fixations += fixations > 0
        self.own_maps += own_map
        self.with_observers += observers

    def judge(self, findings: Sequence[Finding]) -> None:
        """Adds implausible fixations to the problems if they are certainly wrong, else to the notes."""
        for finding in findings:
            (self.problems if finding.is_certain else self.notes).append(f"{self.split}: {finding.text}")

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing, damaged or implausible beyond doubt."""
        return not self.problems and self.usable == (self.images if self.official is None else self.official)


@dataclass
class Check:
    """Result of checking a data set.

    Args:
        title: Its name.
        splits: Its splits.
        rows: Some rows of the schema, evenly spaced, with their images undecoded.
        notes: Lines about what is unusual but no fault.
    """

    title: str
    splits: list[SplitCheck]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """One line for every file that is missing or damaged."""
        return [problem for split in self.splits for problem in split.problems]

    @property
    def is_complete(self) -> bool:
        """Whether no file is missing or damaged, and the number of images is the official one."""
        return all(split.is_complete for split in self.splits)


def check(spec: str | PathLike, split: str | None = None, progress: Progress = no_progress) -> Check:
    """Opens every file of a data set and compares the counts with its official ones.

    Args:
        spec: `NAME:DIR`, or a folder with `metadata.jsonl`, `fixations.csv` or exported Parquet files.
        split: One of the data set's splits; `None` looks at all of them.
        progress: Wraps an iteration, `(iterable, description)`, to show a bar.

    Raises:
        ValueError: If the data set or the split does not exist, or the data set is packed or elsewhere in the folder.
    """
    spec = fspath(spec)
    kind, location = find_data_set(spec)
    known = CATALOG.get(kind)
    look = partial(_check_files, spec, kind) if kind in LISTERS else partial(_check_rows, spec)
    reports: list[SplitCheck] = []
    makers: list[RowMaker] = []
    names: Sequence[str | None] = splits_of(spec) or [None] if split is None else [split]
    for name in names:
        report = SplitCheck(name or ALL, known.images.get(name or ALL) if known else None)
        try:
            makers += look(name, report, progress)
        except ValueError as error:  # this split is not there
            if len(names) == 1:
                raise
            report.problems.append(str(error))
        reports.append(report)
    if not any(report.images for report in reports):
        raise ValueError(reports[0].problems[0])
    rows = [makers[index]() for index in sample_indices(len(makers), LOOKED_AT)]
    result = Check(known.title if known else str(location), reports, rows)
    if known is not None and known.size is not None:
        result.notes = [_other_sizes(report, known.size) for report in reports if set(report.sizes) - {known.size}]
    result.notes += [note for report in reports for note in report.notes]
    return result


def _check_files(spec: str, kind: str, split: str | None, report: SplitCheck, progress: Progress) -> list[RowMaker]:
    """Counts the images of a split and returns what makes the row of each that has ground truth."""
    listed = list_images(spec, split, progress)
    report.images = len(listed.records)
    report.problems += [*listed.problems, *listed.unmatched]
    if kind == "folder" and (unlisted := not_listed(listed.records)):
        report.notes.append(f"not listed, but beside the listed images: {len(unlisted):,}, first {unlisted[0]}")
    makers: list[RowMaker] = []
    images: list[ImageFixations] = []
    constant: list[str] = []
    left_out = 0
    looked_at = set(sample_indices(len(listed.records)))
    for index, record in enumerate(progress(listed.records, f"checking {split or ''}".strip())):
        try:
            content = open_record(record)
        except UnusableError as error:
            report.problems.append(str(error))
            left_out += error.outside
            continue
        points, density = content.points, content.density
        report.count(content.size, len(points.fixations), density is not None, len(points.observers) > 0)
        report.outside += points.outside
        if density is not None and is_constant(density):
            constant.append(constant_note(record))
        if index in looked_at:
            kept_density = density if sum(image.density is not None for image in images) < DENSITIES else None
            images.append(ImageFixations(content.size, points.fixations, points.outside, kept_density))
        if record.annotation is not None or density is not None:
            makers.append(partial(_encoded_row, record))
    report.notes += summarise(constant)
    report.judge(find_implausible(images, left_out * len(images) // report.usable if report.usable else left_out))
    return makers


def _encoded_row(record: Record) -> Row:
    return FEATURES.encode_example(make_row(record)[0])


def _check_rows(spec: str, split: str | None, report: SplitCheck, progress: Progress) -> list[RowMaker]:
    loaded, remarks = load_rows(spec, split)
    rows = cast(Dataset, loaded)
    report.images = len(rows) + len(remarks.problems)
    report.problems += remarks.problems
    report.notes += summarise(remarks.notes)
    encoded = undecoded(rows)
    for row in progress(encoded, f"checking {split or ''}".strip()):
        size = upright_size(encoded_file(row["image"]))
        report.count(size, len(row["fixations"]), row["sigma"] is None, len(row["observers"]) > 0)
        report.outside += row["outside"] or 0
    images = images_of(rows)
    report.judge(find_implausible(images, remarks.outside * len(images) // len(rows) if images else remarks.outside))
    return [partial(encoded.__getitem__, index) for index in range(len(encoded))]


def _other_sizes(report: SplitCheck, size: tuple[int, int]) -> str:
    counts = Counter({each: count for each, count in report.sizes.items() if each != size})
    largest, count = counts.most_common(1)[0]
    return "{}: {} images are not {}x{} px, the official size; {} are {}x{} px".format(
        report.split, counts.total(), *size, count, *largest
    )


def check_drawing(path: Path) -> None:
    """Raises a ValueError if `draw_rows` could not write a file of that name."""
    from matplotlib.backend_bases import FigureCanvasBase

    kinds = sorted(FigureCanvasBase.get_supported_filetypes())
    if path.suffix and path.suffix[1:].lower() not in kinds:
        raise ValueError(f"{path}: is not the name of a drawing; it must end in one of {', '.join(kinds)}")
    existing = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if path.is_dir() or (not existing.is_dir() and existing != path) or not os.access(existing, os.W_OK):
        raise ValueError(f"{path}: cannot be written; name another file for the drawing")


def draw_rows(rows: Sequence[Row], path: str | PathLike) -> int:
    """Draws four rows one below another: the image, the image with its fixations, the image under its density.

    Args:
        rows: Rows of the schema, decoded or not, of which four evenly spaced ones are drawn.
        path: The image file to write.

    Returns:
        How many rows are drawn.

    Raises:
        ValueError: If there is no row, or the file's ending is not that of an image.
    """
    from matplotlib.figure import Figure  # half a second that only drawings need

    path = Path(path)
    if not rows:
        raise ValueError(f"{path}: there is no row to draw")
    rows = [rows[index] for index in sample_indices(len(rows), DRAWN)]
    figure = Figure(figsize=(12, 3.2 * len(rows)), layout="constrained")
    for axes, row in zip(figure.subplots(len(rows), 3, squeeze=False), rows, strict=True):
        row = FEATURES.decode_example(row)
        image = np.asarray(row["image"].convert("RGB"))
        density = np.asarray(row["saliency_map"], dtype=np.float64) / 255
        points = np.asarray(row["fixations"]).reshape(-1, 2)
        made = "" if row["sigma"] is None else f", made with sigma {row['sigma']:.1f} px"
        titles = (row["image_id"], f"{len(points)} fixations", f"density{made}")
        for axis, panel, title in zip(axes, (image, image, overlay(image, density)), titles, strict=True):
            axis.imshow(panel)
            axis.set_title(title, fontsize=8)
            axis.set_axis_off()
        size = min(6, 3000 / max(1, len(points)))  # thousands of mouse positions would hide the image
        axes[1].scatter(points[:, 0], points[:, 1], s=size, c="red", edgecolors="white", linewidths=0.05 * size)
    write_whole(path, partial(figure.savefig, format=path.suffix[1:] or "png", dpi=100))
    return len(rows)
