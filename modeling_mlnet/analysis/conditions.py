"""Conditions on measures, such as `button.share<0.04`, for checks of designs."""

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

from .comparison import ComparedRegion
from .regions import Region

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
FORM = re.compile(
    r"\s*(?:(?P<name>.+)\.)?(?P<measure>\w+)\s*(?P<sign><=|>=|==|!=|<|>)\s*(?P<number>[^\s%]+)\s*(?P<percent>%?)\s*"
)
FOCUS = "effective_area"  # the one measure of an image, not of a box
PARTS = ("share", "area", "peak", "first", "second", "difference", FOCUS)  # of 1; the number may end in %


@dataclass(frozen=True)
class Condition:
    """A measure, a comparison and a number.

    Args:
        text: As it was given.
        name: Name of a box; empty for `effective_area`, which is the image's.
        measure: A field of `Region` or `ComparedRegion`, or `effective_area`.
        sign: A key of `OPERATORS`.
        number: The number that the measure is compared with.
    """

    text: str
    name: str
    measure: str
    sign: str
    number: float

    def find_value(self, regions: Iterable[Any], effective_area: float | None = None) -> float:
        """The measured value.

        Raises:
            ValueError: If there is no such box, or the measure has no value for it.
        """
        if self.measure == FOCUS and effective_area is not None:
            return effective_area
        for region in regions:
            if region.name == self.name:
                value = getattr(region, self.measure)
                if value is None:
                    raise ValueError(f"{self.text}: {self.name}.{self.measure} has no value")
                return float(value)
        raise ValueError(f"{self.text}: there is no box {self.name!r}")

    def holds(self, value: float) -> bool:
        """Whether the condition is true of a value."""
        return OPERATORS[self.sign](value, self.number)


def parse_condition(text: str, kind: type = Region) -> Condition:
    """A condition from `NAME.MEASURE<NUMBER`; the number may end in `%`.

    Args:
        text: For example `button.share<0.04`, `logo.rank>2` or `effective_area>20%`.
        kind: `Region` or `ComparedRegion`, whose fields are the measures.

    Raises:
        ValueError: If it is not of this form, the measure is unknown, or never has values like the number.
    """
    match = FORM.fullmatch(text)
    measures = [field.name for field in fields(kind) if field.name not in ("name", "x", "y", "width", "height")]
    example = "second" if kind is ComparedRegion else "share"
    if match is None:
        raise ValueError(f"expected NAME.MEASURE<NUMBER such as button.{example}<0.04, got {text!r}")
    name, measure = match["name"] or "", match["measure"]
    is_focus = kind is Region and measure == FOCUS and not name
    if not is_focus and (measure not in measures or not name):
        known = ", ".join([*(f"NAME.{known}" for known in measures), *([FOCUS] if kind is Region else [])])
        raise ValueError(f"{text!r}: unknown measure; there are {known}")
    try:
        number = float(match["number"]) / (100 if match["percent"] else 1)
    except ValueError:
        raise ValueError(f"{text!r}: {match['number']!r} is not a number") from None
    lowest = -1 if measure == "difference" else 0
    if measure in PARTS and not lowest <= number <= 1:
        hint = "" if match["percent"] or not lowest <= number / 100 <= 1 else f": did you mean {match['number']}%?"
        raise ValueError(f"{text!r}: {measure} lies in {lowest}..1{hint}")
    return Condition(text.strip(), name, measure, match["sign"], number)
