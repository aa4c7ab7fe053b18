"""Where something lies in a picture, in words."""

ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "middle", "right")


def place(x: float, y: float) -> str:
    """The ninth of the picture that a point lies in: "top left", "middle", "bottom right".

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


def strongest_in_words(regions: list[dict]) -> str:
    """One line of Markdown per region of `strongest`, the strongest first."""
    if not regions:
        return "The map is empty: no part of this picture stands out to the network."
    lines = [
        f"{number}. **{one['where'].capitalize()}**: {percent(one['share'])} of the predicted attention, "
        f"on {percent(one['area'])} of the picture, around {percent(one['x'])} from the left and "
        f"{percent(one['y'])} from the top"
        for number, one in enumerate(regions, 1)
    ]
    return "\n".join(lines)


def alt_text(regions: list[dict]) -> str:
    """What the overlay shows, for those who do not see it."""
    if not regions:
        return "The picture with an empty saliency map"
    parts = [f"{one['where']} {percent(one['share'])}" for one in regions]
    return "The picture under its saliency map. Most predicted attention: " + ", ".join(parts)
