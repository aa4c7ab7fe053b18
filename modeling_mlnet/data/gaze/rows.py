"""The usable rows of a tracker's table; those that are left out are counted by reason."""

import codecs
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..tables import TableRow, normal_name, quoted
from .presets import FIXATIONS, PRESETS, RECT, ROLES, TIME_UNITS, VALID, Origin, Position, Preset, Units

LOST = "without coordinates (blinks, lost samples)"
# How programs write that there is no number; other text in its place is an error.
MISSING = frozenset(["", ".", "-", "--", "nan", "-nan", "na", "n/a", "#n/a", "null", "none", "-nan(ind)"])


@dataclass(frozen=True)
class GazeFormat:
    """How tables of gaze are to be read.

    Args:
        preset: A key of `PRESETS`, or `None`.
        columns: Names of columns by role (`ROLES`), before those of the preset.
        separator: Separator of values; `None` detects it.
        encoding: `None` finds it.
        units: `None` takes the preset's; without one, the values tell fractions from pixels.
        origin: From where positions count; `None` takes the preset's.
        stimulus: The image that all rows belong to, where no column names it.
        eye: `left` or `right`, where a table has both.
        samples: Whether rows are samples, not fixations.
        time_unit: Unit of times and durations, a key of `TIME_UNITS`; `None` takes what the column's name says, or the
            preset.
    """

    preset: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    separator: str | None = None
    encoding: str | None = None
    units: Units | None = None
    origin: Origin | None = None
    stimulus: str | None = None
    eye: str | None = None
    samples: bool = False
    time_unit: str | None = None

    def __post_init__(self) -> None:
        if self.preset is not None and self.preset not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {self.preset!r}")
        for role, name in self.columns.items():
            if role not in ROLES:
                raise ValueError(f"columns: {role!r} is none of {', '.join(ROLES)}")
            same = [other for other in self.columns if normal_name(self.columns[other]) == normal_name(name)]
            if role in ("x", "y") and len(same) > 1:
                raise ValueError(f"columns: {name!r} cannot be {' and '.join(same)}")
        if self.time_unit is not None and self.time_unit not in TIME_UNITS:
            raise ValueError(f"time_unit must be one of {', '.join(TIME_UNITS)}, got {self.time_unit!r}")
        if self.separator is not None and len(self.separator) != 1:
            raise ValueError(f"separator must be one character, got {self.separator!r}")
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except LookupError:
                raise ValueError(
                    f"encoding must be one that Python knows, such as cp1252, got {self.encoding!r}"
                ) from None


@dataclass(frozen=True)
class GazeRow:
    """Arguments as of `Track`; `trial` and `index` are equal for rows of one fixation, `trial` for its samples."""

    trial: tuple[str, ...]
    index: str
    stimulus: str
    participant: str
    x: float
    y: float
    duration: float
    time: float
    rect: tuple[float, ...]


class RowReader:
    """Parses the lines of a table into rows, and counts skipped lines."""

    def __init__(
        self, path: Path, root: Path, form: GazeFormat, preset: Preset, position: Position, columns: dict[str, str]
    ):
        self.path, self.form, self.position, self.columns = path, form, position, columns
        self.duration_unit = self._unit("duration", preset.duration_unit)
        self.time_unit = self._unit("time", "ms" if form.preset == "pymovements" else None) if form.samples else 1.0
        self.left_out: Counter[str] = Counter()
        self.eyes: set[str] = set()
        self.stimulus = form.stimulus
        prefix = preset.stimulus_in_name
        if self.stimulus is None and prefix and path.stem.startswith(prefix):
            self.stimulus = path.stem.removeprefix(prefix)
        if self.stimulus is None and "stimulus" not in columns:
            raise ValueError(
                f"{path}: no column names the image; say which does, --columns stimulus=NAME, or name the one image "
                "of all rows, --stimulus NAME"
            )
        # Files of one stimulus each lie in a folder of a participant's recording.
        source = Path(os.path.abspath(path.parent if prefix and path.stem.startswith(prefix) else path))
        self.participant = source.name if source == root else source.relative_to(root).as_posix()
        if form.eye and "eye" not in columns:
            raise ValueError(f"{path}: no column says which eye a row is of; name it with --columns eye=NAME")

    def _unit(self, role: str, default: str | None) -> float:
        """Milliseconds of the unit of a column: as given, as its name says in brackets, or the default."""
        if role not in self.columns:
            return 1.0
        named = re.search(r"\[(.*)\]$", self.columns[role])
        unit = self.form.time_unit or (re.sub(r"[^\x00-\x7f]", "u", named[1]) if named else default)
        if unit not in TIME_UNITS:
            raise ValueError(
                f"{self.path}: in what does {self.columns[role]!r} count? Give --time-unit "
                f"{', '.join(TIME_UNITS)}, got {unit!r}"
            )
        return TIME_UNITS[unit]

    def notes(self) -> list[str]:
        """Notes on assumptions that no column confirms."""
        notes = []
        if "stimulus" not in self.columns and self.form.stimulus is None:
            notes.append(f"{self.path}: the image is {self.stimulus!r}, by the name of the file")
        if "participant" not in self.columns:
            notes.append(
                f"{self.path}: no column names the participant; all rows are taken for one, {self.participant}"
            )
        if not self.form.samples and "duration" not in self.columns:
            notes.append(f"{self.path}: no column holds durations")
        return notes

    def rows(self, lines: Iterator[TableRow]) -> Iterator[GazeRow]:
        """The lines that can be used."""
        for line in lines:
            reason = self._reason(line)
            if reason:
                self.left_out[f"rows {reason}"] += 1
            else:
                yield self._row(line)
        if self.form.eye and self.eyes and not any(eye[0] in "lr" for eye in self.eyes):
            raise ValueError(
                f"{self.path}: {self.columns['eye']!r} must say left or right for --eye {self.form.eye}, got "
                f"{quoted(sorted(self.eyes))}"
            )

    def _number(self, line: TableRow, name: str) -> float:
        """A value as a number; NaN where there is none."""
        value, text = line.number(name), line.values[name]
        if math.isnan(value) and text.lower() not in MISSING:
            raise ValueError(
                f"{self.path}, line {line.line}: {name!r} must be a number, got {text!r}; write numbers with decimal "
                "points and without thousands separators"
            )
        return value

    def _value(self, line: TableRow, role: str) -> str:
        return line.values[self.columns[role]] if role in self.columns else ""

    def _reason(self, line: TableRow) -> str | None:
        """Why a line is left out; `None` if it is not."""
        position, columns = self.position, self.columns
        if normal_name(line.values[position.x]) == normal_name(position.x):
            return "that repeat the header"
        kind = self._value(line, "kind").lower()
        if "kind" in columns and not kind:
            return f"without {columns['kind']!r}"
        if "kind" in columns and not self.form.samples and not kind.startswith(FIXATIONS):
            return f"of {columns['kind']!r} {self._value(line, 'kind')!r}"
        eye = self._value(line, "eye").lower()
        self.eyes |= {eye} - MISSING
        if self.form.eye and eye[:1] != self.form.eye[0]:
            return f"of another eye than the {self.form.eye}"
        if not self.form.eye and len(self.eyes) > 1:
            raise ValueError(
                f"{self.path}: has fixations of several eyes, {quoted(sorted(self.eyes))}; say which to take with "
                "--eye left or right"
            )
        if "stimulus" in columns and not self._value(line, "stimulus"):
            return "that name no image"
        if self.form.samples:  # a lost sample ends a fixation, so it stays
            return None
        if "valid" in columns and not self._is_valid(line):
            return f"that {columns['valid']!r} says are not valid"
        point = self._number(line, position.x), self._number(line, position.y)
        if not all(map(math.isfinite, point)):
            return LOST
        if point == (0, 0) and not position.origin.startswith("centre"):
            return "at exactly (0, 0) (lost samples)"
        return None

    def _is_valid(self, line: TableRow) -> bool:
        text = self._value(line, "valid").lower()
        return text in VALID or line.number(self.columns["valid"]) == 1

    def _row(self, line: TableRow) -> GazeRow:
        x, y = self._number(line, self.position.x), self._number(line, self.position.y)
        if self.form.samples and (
            (x, y) == (0, 0) or not math.isfinite(x + y) or ("valid" in self.columns and not self._is_valid(line))
        ):
            x = y = math.nan
            self.left_out[f"samples {LOST}"] += 1
        stimulus = self._value(line, "stimulus") or self.stimulus or ""
        participant = self._value(line, "participant") or self.participant
        numbers = {
            role: self._number(line, self.columns[role])
            for role in ("duration", "time", *RECT)
            if role in self.columns
        }
        if numbers.get("duration", 0) < 0:
            raise ValueError(
                f"{self.path}, line {line.line}: {self.columns['duration']!r} is {numbers['duration']:g}; durations "
                "cannot be negative"
            )
        return GazeRow(
            (participant, self._value(line, "recording"), self._value(line, "trial"), stimulus),
            self._value(line, "index") or f"line {line.line}",
            stimulus,
            participant,
            x,
            y,
            numbers.get("duration", math.nan) * self.duration_unit,
            numbers.get("time", math.nan) * self.time_unit,
            tuple(numbers.get(role, math.nan) for role in RECT),
        )
