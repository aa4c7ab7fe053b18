"""Positions in an image and shares, in words."""

ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "middle", "right")


def name_ninth(x: float, y: float) -> str:
    """The ninth of the image that a point lies in: "top left", "middle", "bottom right".

    Args:
        x: From the left, relative to the width, 0..1.
        y: From the top, relative to the height, 0..1.
    """
    row, column = ROWS[min(int(3 * y), 2)], COLUMNS[min(int(3 * x), 2)]
    return row if row == column else f"{row} {column}"


def percent(share: float) -> str:
    """A share as people read it: "34 %", "0.4 %", "< 0.1 %"."""
    value = 100 * share
    if 0 < value < 0.05:
        return "< 0.1 %"
    return f"{value:.0f} %" if value >= 9.95 or value == 0 else f"{value:.1f} %"
