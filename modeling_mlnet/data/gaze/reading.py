"""Tracks of a tracker's table, each of one participant on one stimulus; skipped rows are counted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from ..plausibility import FRACTIONS, NEAR_ZERO
from ..tables import DELIMITERS, find_encoding, normal_name, quoted, read_table, table_header
from .presets import OTHERS, PRESETS, RECT, TIME_UNITS, Position, Preset
from .rows import GazeFormat, GazeRow, RowReader

MEDIANS = (10, 10_000)  # ms, between which the median of fixations' durations lies; seconds and microseconds do not


@dataclass
class Track:
    """Positions of one participant on one stimulus, in the order of the table.

    Args:
        stimulus: As the table calls it.
        participant: As the table calls it.
        points: `(n, 2)` x and y as reported.
        durations: `(n,)` in milliseconds; NaN where the table does not say.
        times: `(n,)` in milliseconds, of samples only.
        rects: `(n, 4)` where the image was shown; NaN where the table does not say.
    """

    stimulus: str
    participant: str
    points: np.ndarray
    durations: np.ndarray
    times: np.ndarray
    rects: np.ndarray


@dataclass
class GazeTable:
    """Content of a table.

    Args:
        tracks: One a participant and stimulus, and of samples one a trial.
        position: The columns that were read, their units and origin known.
        left_out: How many rows were left out, by reason.
        notes: One line for everything that was found rather than said.
    """

    tracks: list[Track]
    position: Position
    left_out: Counter[str]
    notes: list[str]


def read_gaze(path: Path, root: Path, form: GazeFormat, on_image: bool = False) -> GazeTable:
    """Reads the fixations or samples of a table.

    Args:
        path: The table.
        root: The folder from which files name participants, where no column does.
        form: How it is to be read.
        on_image: Whether positions count on the image, also where the preset says on the screen.

    Raises:
        ValueError: If the file is no such table, a column is missing, or its values contradict the units.
    """
    preset = PRESETS[form.preset] if form.preset else Preset(())
    known = [
        *form.columns.values(),
        *(name for position in preset.positions for name in (position.x, position.y, position.valid) if name),
        *(name for names in preset.columns.values() for name in names),
    ]
    encoding = form.encoding or find_encoding(path)
    header, separator = table_header(path, known, form.separator, encoding)
    position = _position(path, form, preset, header)
    position = replace(position, on_image=on_image or position.on_image)
    columns = _columns(path, form, preset, header) | ({"valid": position.valid} if position.valid else {})
    if form.samples and "time" not in columns:
        raise ValueError(
            f"{path}: samples need their times; name the column with --columns time=NAME, {_there(header)}"
        )
    reader = RowReader(path, root, form, preset, position, columns)
    names = list(dict.fromkeys([position.x, position.y, *columns.values()]))
    rows = list(reader.rows(read_table(path, names, separator=form.separator, encoding=encoding)))
    points = np.array([(row.x, row.y) for row in rows], np.float64).reshape(-1, 2)
    position, said = _known_units(path, position, form, points[np.isfinite(points).all(axis=1)])
    if not form.samples:
        _require_milliseconds(path, columns, np.array([row.duration for row in rows]))
    named = [f"{role} {name!r}" for role, name in [("x", position.x), ("y", position.y), *columns.items()]]
    frame = "the image" if position.on_image else "the screen"
    between = DELIMITERS.get(separator, repr(separator))
    notes = [
        f"{path}: {encoding.removesuffix('-sig')}, between {between}; columns {', '.join(named)}",
        f"{path}: {position.units} of {frame} from its {position.origin.replace('-', ' ')}{said}",
        *reader.notes(),
    ]
    tracks = [_track(trial) for trial in _by_trial(rows)] if form.samples else _fixation_tracks(rows)
    return GazeTable(tracks, position, reader.left_out, notes)


def _there(header: Sequence[str]) -> str:
    return f"the columns found are {quoted(header, shown=40)}"


def _find(header: Sequence[str], name: str) -> str | None:
    return next((column for column in header if normal_name(column) == normal_name(name)), None)


def _position(path: Path, form: GazeFormat, preset: Preset, header: Sequence[str]) -> Position:
    x, y = form.columns.get("x"), form.columns.get("y")
    positions = [position for position in preset.positions if position.is_sample == form.samples]
    if x or y:
        if not (x and y):
            raise ValueError(f"{path}: name both columns of a position, --columns x=NAME,y=NAME")
        named = normal_name(x), normal_name(y)
        positions = [
            position for position in preset.positions if (normal_name(position.x), normal_name(position.y)) == named
        ] or [Position(x, y, None)]
    for position in positions:
        if _find(header, position.x) and _find(header, position.y):
            has_valid = position.valid and _find(header, position.valid)
            valid = form.columns.get("valid") or (position.valid if has_valid else None)
            units, origin = form.units or position.units, form.origin or position.origin
            return replace(position, units=units, origin=origin, valid=valid)
    looked_for = ", nor ".join(f"{position.x!r} and {position.y!r}" for position in positions) or "x and y"
    raise ValueError(f"{path}: no columns {looked_for}; name them with --columns x=NAME,y=NAME, {_there(header)}")


def _columns(path: Path, form: GazeFormat, preset: Preset, header: Sequence[str]) -> dict[str, str]:
    """The column of every role that there is one for."""
    columns = {}
    for role in (*OTHERS, *RECT):
        if role in form.columns:
            if not _find(header, form.columns[role]):
                raise ValueError(f"{path}: no column {form.columns[role]!r} ({role}); {_there(header)}")
            columns[role] = form.columns[role]
        else:
            name = next((name for name in preset.columns.get(role, ()) if _find(header, name)), None)
            if name:
                columns[role] = name
    return columns


def _require_milliseconds(path: Path, columns: dict[str, str], durations: np.ndarray) -> None:
    """Raises a ValueError if durations of fixations are in another unit."""
    durations = durations[durations > 0]
    median = np.median(durations) if len(durations) else MEDIANS[0]
    if not MEDIANS[0] <= median <= MEDIANS[1]:
        raise ValueError(
            f"{path}: fixations of {median:g} ms, the median of {columns['duration']!r}, are too "
            f"{'short' if median < MEDIANS[0] else 'long'}; say its unit with --time-unit {', '.join(TIME_UNITS)}"
        )


def _known_units(path: Path, position: Position, form: GazeFormat, points: np.ndarray) -> tuple[Position, str]:
    """The position with units, and how these were found; fractions that are taken for pixels are an error."""
    units, said = position.units, ""
    if len(points) and units != "deg":
        near = float((np.abs(points) <= NEAR_ZERO).all(axis=1).mean())
        (x0, y0), (x1, y1) = np.percentile(points, [1, 99], axis=0)
        values = f"{near:.0%} of x and y are within {NEAR_ZERO} of 0 (x {x0:.3g} to {x1:.3g}, y {y0:.3g} to {y1:.3g})"
        is_fraction = near >= FRACTIONS
        if units is None:
            units, said = ("fraction", f", as {values}") if is_fraction else ("px", f", as only {values}")
        elif is_fraction and units == "px":
            raise ValueError(f"{path}: {values}: fractions, or degrees, not pixels; say which with --units")
        elif not is_fraction and units == "fraction":
            raise ValueError(f"{path}: only {values}: these are no fractions; give --units px")
    if units == "deg" and not position.origin.startswith("centre"):
        raise ValueError(
            f"{path}: degrees count from the centre of the screen; give --origin centre if y counts down from it, "
            "centre-up if up"
        )
    return replace(position, units=units or "px"), said


def _track(rows: Sequence[GazeRow]) -> Track:
    return Track(
        rows[0].stimulus,
        rows[0].participant,
        np.array([(row.x, row.y) for row in rows]),
        np.array([row.duration for row in rows]),
        np.array([row.time for row in rows]),
        np.array([row.rect for row in rows]),
    )


def _by_trial(rows: Sequence[GazeRow]) -> list[list[GazeRow]]:
    """The rows of each trial; those of several people may alternate in a table."""
    trials: dict[tuple[str, ...], list[GazeRow]] = {}
    for row in rows:
        trials.setdefault(row.trial, []).append(row)
    return list(trials.values())


def _fixation_tracks(rows: Sequence[GazeRow]) -> list[Track]:
    """Rows of one index that follow each other in their trial are one fixation.

    Where they differ, it is the mean of those of the longest duration.
    """
    tracks: dict[tuple[str, str], list[GazeRow]] = {}
    in_order = [row for trial in _by_trial(rows) for row in trial]
    for _, group in groupby(in_order, key=lambda row: (row.trial, row.index)):
        fixation_rows = list(group)
        durations = np.nan_to_num([row.duration for row in fixation_rows])
        complete = [row for row, duration in zip(fixation_rows, durations, strict=True) if duration == durations.max()]
        x, y = np.mean([(row.x, row.y) for row in complete], axis=0).tolist()
        row = complete[-1]
        tracks.setdefault((row.stimulus, row.participant), []).append(replace(row, x=x, y=y))
    return [_track(fixations) for fixations in tracks.values()]
