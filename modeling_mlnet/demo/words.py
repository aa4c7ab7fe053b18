"""The strongest spots of a map, in words."""

from ..analysis import Spot, percent

NUMBERS = ("no", "one", "two", "three")


def strongest_in_words(spots: list[Spot], size: tuple[int, int], wanted: int = 3) -> str:
    """One line of Markdown per spot, the strongest first; fewer than wanted are explained.

    Args:
        spots: Of `find_spots`, in pixels of the image.
        size: Width and height of the image in pixels.
        wanted: How many were asked for.
    """
    if not spots:
        return "The map is empty: no part of this picture stands out to the network."
    lines = [
        f"{spot.number}. **{spot.where.capitalize()}**: {percent(spot.share)} of the predicted attention, "
        f"on {percent(spot.area)} of the picture, around {percent(spot.x / size[0])} from the left and "
        f"{percent(spot.y / size[1])} from the top"
        for spot in spots
    ]
    if len(spots) < wanted:
        counted = "Only one region stands" if len(spots) == 1 else f"Only {NUMBERS[len(spots)]} regions stand"
        lines.append(f"\n{counted} out; the rest of the attention is spread over the picture.")
    return "\n".join(lines)


def strongest_in_short(spots: list[Spot]) -> str:
    """The first of the spots in a few words."""
    if not spots:
        return "No part of this picture stands out."
    return f"Strongest: {spots[0].where}, {percent(spots[0].share)} of the predicted attention."


def alt_text(spots: list[Spot]) -> str:
    """What the map alone shows, for those who do not see it."""
    if not spots:
        return "The saliency map alone, which is empty"
    parts = [f"{spot.where} {percent(spot.share)}" for spot in spots]
    return "The saliency map alone. Most predicted attention: " + ", ".join(parts)
