"""Numbers as programs of several countries write them."""

import math
import re
from pathlib import Path

THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")


class Numbers:
    """The numbers of a table; a comma in them is a decimal one, if values are not between commas."""

    def __init__(self, decimal_comma: bool):
        self.decimal_comma = decimal_comma
        self.decimal_marks: set[str] = set()
        self.whole: set[str] = set()  # columns with numbers that have no mark
        self.doubtful: dict[tuple[str, str], str] = {}  # by mark and column, the first number such as 1,234

    def read(self, line: int, name: str, text: str) -> float:
        """A value as a number; NaN for other text."""
        mark = "," if self.decimal_comma and "," in text and "." not in text else "."
        try:
            value = float(text.replace(",", ".", 1) if mark == "," else text)
        except ValueError:
            return math.nan
        if THOUSANDS.fullmatch(text):
            self.doubtful.setdefault((mark, name), f"line {line}: {name} is {text!r}")
        elif mark in text:
            self.decimal_marks.add(mark)
        elif value and math.isfinite(value):
            self.whole.add(name)
        return value

    def require_clear(self, path: Path) -> None:
        """Raises a ValueError if a mark in a number read may separate thousands, as the other numbers suggest."""
        for (mark, name), where in self.doubtful.items():
            has_other_mark = bool(self.decimal_marks - {mark})
            if mark not in self.decimal_marks and (has_other_mark or (mark == "," and name in self.whole)):
                raise ValueError(
                    f"{path}, {where}: is that a decimal mark or a thousands separator? Write numbers with decimal "
                    "points and without thousands separators"
                )
