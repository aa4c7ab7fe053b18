"""Answers in sentences; HTML where stated, with visitors' text escaped."""

import html
from collections.abc import Iterable, Sequence

from ..analysis import Comparison, Crop, Spot, by_change, in_words, percent
from ..analysis.clips import Moment
from ..io.json_types import JsonObject

NUMBERS = ("No", "One", "Two", "Three")


def spots_in_words(spots: Sequence[Spot]) -> str:
    """All spots in a sentence."""
    if not spots:
        return "No part of this image stands out: the map is empty."
    share, area = (sum(getattr(spot, what) for spot in spots) for what in ("share", "area"))
    where = f"One spot, {spots[0].where}, holds" if len(spots) == 1 else f"{NUMBERS[len(spots)]} spots hold"
    return f"{where} {percent(share)} of the predicted attention on {percent(area)} of the image."


def spot_in_words(spot: Spot) -> str:
    """One spot, behind its number."""
    return f"{spot.where.capitalize()}: {percent(spot.share)} on {percent(spot.area)} of the image"


def alt_text(spots: Sequence[Spot], view: str) -> str:
    """Text alternative of a view."""
    shown = {
        "Heat": "The image under its saliency map",
        "Spotlight": "The image, dark where little attention is expected",
        "Map": "The saliency map alone",
    }[view]
    parts = [f"{spot.where} {percent(spot.share)}" for spot in spots]
    return f"{shown}. Most predicted attention: {', '.join(parts) or 'nowhere'}"


def comparison_bars(comparison: Comparison, notes: Iterable[str]) -> str:
    """A sentence on what changes most, then all regions as bars, and notes."""
    regions = by_change(comparison.regions)
    rows = []
    most = max([share for region in regions for share in (region.first or 0, region.second or 0)], default=0) or 1
    for region in [*regions, *(region for region in comparison.regions if region.difference is None)]:
        bars = "".join(
            f'<span class="mlnet-pair">{which} <span class="mlnet-bar" style="width:{80 * (share or 0) / most:.1f}%">'
            f"</span> {'not there' if share is None else percent(share)}</span>"
            for which, share in (("A", region.first), ("B", region.second))
        )
        points = "" if region.difference is None else f"{100 * region.difference:+.1f} points"
        rows.append(f"<li><strong>{html.escape(region.name)}</strong> {points}{bars}</li>")
    lines = [f"<p>{html.escape(note[:1].upper() + note[1:])}.</p>" for note in notes]
    first = f"<p class='mlnet-first'>{html.escape(in_words(regions[0]))}</p>" if regions else ""
    return f"{first}<ul class='mlnet-pairs'>{''.join(rows)}</ul>{''.join(lines)}"


def crop_in_words(crop: Crop) -> str:
    """Share of attention that a crop keeps, in words."""
    return f"keeps {percent(crop.kept)} of the attention; the centre {percent(crop.kept_by_centre)}"


def why_in_words(levels: Sequence[JsonObject]) -> str:
    """Which level moves the map most; they come from fine to coarse."""
    first = max(range(len(levels)), key=lambda index: levels[index]["contribution"])
    what = {0: "Fine detail", len(levels) - 1: "Large shapes and whole objects"}.get(first, "Parts of objects")
    part = percent(levels[first]["contribution"])
    return f"{what} decide{'s' if first == 0 else ''} here: {levels[first]['level']} moves this map most, {part}."


def levels_table(levels: Sequence[JsonObject]) -> str:
    """The levels of `Answers.why` as a Markdown table."""
    rows = [f"| {row['level']} | {percent(row['gradient'])} | {percent(row['contribution'])} |" for row in levels]
    return "\n".join(["| Level | By gradient | By gradient times feature |", "|---|---|---|", *rows])


def clip_html(moments: Sequence[Moment]) -> str:
    """The curve of a clip for those who do not see it, and a line for every region."""
    ordered = sorted(moments, key=lambda moment: moment.effective_area)
    least, most = ordered[0], ordered[-1]
    mean = sum(moment.effective_area for moment in moments) / len(moments)
    first = (
        f"<p class='mlnet-first'>Attention is most concentrated at {least.time:.1f} s, on "
        f"{percent(least.effective_area)} of the image, and most spread at {most.time:.1f} s, on "
        f"{percent(most.effective_area)}; {percent(mean)} on average.</p>"
    )
    lines = []
    for name in moments[0].shares:
        shares = [moment.shares[name] for moment in moments]
        highest = moments[shares.index(max(shares))]
        lines.append(
            f"<li><strong>{html.escape(name)}</strong>: {percent(sum(shares) / len(shares))} of the attention on "
            f"average, most at {highest.time:.1f} s, {percent(max(shares))}</li>"
        )
    return f"{first}<ul>{''.join(lines)}</ul>" if lines else first


def progress_html(done: int, expected: int) -> str:
    """How far a clip is."""
    if not expected:
        return f"<p>Frame {done} ...</p>"
    part = min(done / expected, 1)
    bar = f'<progress value="{part:.3f}" aria-label="Frames rendered"></progress>'
    return f"<p>Frame {done} of about {expected} ({100 * part:.0f} %)</p>{bar}"
