"""Where something lies in a picture, in words."""

ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "middle", "right")
NUMBERS = ("no", "one", "two", "three")


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


def strongest_in_words(regions: list[dict], wanted: int = 3) -> str:
    """One line of Markdown per region of `strongest`, the strongest first; fewer than wanted are explained."""
    if not regions:
        return "The map is empty: no part of this picture stands out to the network."
    lines = [
        f"{number}. **{one['where'].capitalize()}**: {percent(one['share'])} of the predicted attention, "
        f"on {percent(one['area'])} of the picture, around {percent(one['x'])} from the left and "
        f"{percent(one['y'])} from the top"
        for number, one in enumerate(regions, 1)
    ]
    if len(regions) < wanted:
        counted = "Only one region stands" if len(regions) == 1 else f"Only {NUMBERS[len(regions)]} regions stand"
        lines.append(f"\n{counted} out; the rest of the attention is spread over the picture.")
    return "\n".join(lines)


def strongest_in_short(regions: list[dict]) -> str:
    """The first of `strongest` in a few words."""
    if not regions:
        return "No part of this picture stands out."
    return f"Strongest: {regions[0]['where']}, {percent(regions[0]['share'])} of the predicted attention."


def alt_text(regions: list[dict]) -> str:
    """What the map alone shows, for those who do not see it."""
    if not regions:
        return "The saliency map alone, which is empty"
    parts = [f"{one['where']} {percent(one['share'])}" for one in regions]
    return "The saliency map alone. Most predicted attention: " + ", ".join(parts)
