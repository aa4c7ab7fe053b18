"""Problems and notes about the rows of a data set; many lines with the same reason become one with a count."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

SHOWN = 3  # lines of one kind that are shown in full


@dataclass
class Remarks:
    """Problems and notes about rows, collected while they are made.

    Args:
        problems: One line for every image that is left out, or file that is missing.
        notes: Lines about what is unusual but no fault.
        outside: How many fixations lay outside images that were left out because they have no other.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    outside: int = 0

    def lines(self) -> list[str]:
        """All of it, repeated problems as one line."""
        return [*summarise(self.problems), *summarise(self.notes)]


def summarise(lines: Sequence[str]) -> list[str]:
    """Joins lines `NAME: reason` of which more than three have the same reason into one with a count.

    Numbers may differ between reasons that count as the same. The order is that of the first line of each kind.
    """
    kinds: dict[str, list[str]] = {}
    for line in lines:
        kinds.setdefault(re.sub(r"\d+", "0", line.partition(": ")[2]) or line, []).append(line)
    joined = []
    for alike in kinds.values():
        name, separator, reason = alike[0].partition(": ")
        is_long = separator and len(alike) > SHOWN
        joined += [f"{name} and {len(alike) - 1:,} more: {reason}"] if is_long else alike
    return joined
