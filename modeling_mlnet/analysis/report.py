"""Reports: one self-contained HTML file, without requests, which prints well, and its rows as CSV."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import resources
from string import Template

import numpy as np
from PIL import Image

from ..io.json_types import JsonObject
from ..io.overlay import overlay
from ..metrics.evaluator import package_version
from .comparison import SAME_PLACE, ComparedRegion, Comparison, by_change, in_words
from .documents import Answer, Model
from .drawing import draw_regions, draw_spots
from .words import percent

THUMBNAIL = 320  # px of the width
QUALITY = 72  # of WebP
TALLEST = 2.0  # height over width of a thumbnail; of a longer page it shows the top
PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<main>
<h1>$title</h1>
$content
</main>
$script</body>
</html>
""")
EXPLANATION = (
    "Focus is the effective area: the part of the image that the predicted attention would fill if it were even. "
    "The smaller, the more focused. Shares are of all predicted attention of an image. Spots are numbered by share."
)


@dataclass(frozen=True)
class ReportRow:
    """An image in a report.

    Args:
        answer: Its measurements.
        name: With its folders.
        thumbnail: Its overlay as a data URI, of `thumbnail_uri`.
        width: Width of the thumbnail in pixels.
        height: Height of the thumbnail in pixels.
        shares: Shares of named boxes, 0..1; `None` where the image lacks a box.
    """

    answer: Answer
    name: str
    thumbnail: str
    width: int
    height: int
    shares: dict[str, float | None] = field(default_factory=dict)

    @classmethod
    def from_map(
        cls, answer: Answer, name: str, image: np.ndarray, saliency_map: np.ndarray, side: int = THUMBNAIL
    ) -> "ReportRow":
        """Row of an image with its map: the overlay with spots and boxes, at most `side` px wide.

        Of a page more than twice as tall as wide the thumbnail shows the top.

        Args:
            answer: Its measurements.
            name: With its folders.
            image: uint8 `(height, width, 3)`.
            saliency_map: `(height, width)` in 0..1.
            side: In pixels.
        """
        visible = min(image.shape[0], int(TALLEST * image.shape[1]))
        size = (image.shape[1], visible)
        scale = min(1.0, side / max(size[0], visible / TALLEST))
        width, height = (max(1, round(length * scale)) for length in size)
        small = Image.fromarray(image[:visible]).resize((width, height), Image.Resampling.BOX)
        values = Image.fromarray(saliency_map[:visible].astype(np.float32)).resize((width, height))
        shown = overlay(np.asarray(small), np.asarray(values).clip(0, 1))
        spots = [spot for spot in answer.focus.spots if spot.y < visible]
        shown = draw_spots(shown, spots, size)
        boxes = [region for region in answer.regions if region.y + region.height <= visible]
        shown = draw_regions(shown, boxes, size)
        shares: dict[str, float | None] = {region.name: region.share for region in answer.regions}
        return cls(answer, name, data_uri(shown), width, height, shares)


def data_uri(image: Image.Image) -> str:
    """An image as a WebP data URI."""
    file = io.BytesIO()
    image.convert("RGB").save(file, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def report_rows(rows: Iterable[ReportRow]) -> list[JsonObject]:
    """The lines of report.csv."""
    rows = list(rows)
    names = box_names(rows)
    lines = []
    for row in rows:
        spots = row.answer.focus.spots
        image = row.answer.image
        lines.append(
            {
                "image": row.name,
                "width": image.width,
                "height": image.height,
                "effective_area": row.answer.focus.effective_area,
                "strongest": spots[0].where if spots else None,
                "strongest_share": spots[0].share if spots else None,
                **{f"share: {name}": row.shares.get(name) for name in names},
            }
        )
    return lines


def box_names(rows: Iterable[ReportRow]) -> list[str]:
    """The names of all boxes, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows for name in row.shares))


def report_html(rows: Sequence[ReportRow], title: str, model: Model, problems: Sequence[str] = ()) -> str:
    """A page with a sortable table: thumbnail, focus, strongest spot and shares of named boxes.

    Args:
        rows: One for every image.
        title: Title of the page.
        model: The model that predicted the maps.
        problems: One line for every image or box that could not be measured.
    """
    names = box_names(rows)
    titles = ["Image", "Name", "Focus", "Strongest", "Its share", *names]
    places = sorted({spot.where for row in rows for spot in row.answer.focus.spots[:1]})
    large = " large" if max((row.width for row in rows), default=0) > THUMBNAIL else ""
    content = [
        f"<p>{_count(len(rows), 'image')}. {escape(_credit(model))}</p>",
        f"<p>{EXPLANATION}</p>",
        _lines("problem", problems),
        _tools(titles, places),
        f'<div class="scroll"><table class="images{large}"><thead><tr>',
        *(_header(title, sortable=index > 0) for index, title in enumerate(titles)),
        "</tr></thead><tbody>",
        *(_row(row, names) for row in rows),
        "</tbody></table></div>",
    ]
    return _page(title, content, "report.js")


def comparison_html(
    answers: tuple[Answer, Answer], shown: tuple[Image.Image, Image.Image], comparison: Comparison, model: Model
) -> str:
    """A page with both designs, and their boxes side by side.

    Args:
        answers: Measurements of both designs.
        shown: Both overlays, on one scale.
        comparison: Comparison of their boxes.
        model: The model that predicted the maps.
    """
    names = [answer.image.file for answer in answers]
    figures = [
        f'<figure><img src="{data_uri(image)}" width="{image.width}" height="{image.height}" '
        f'alt="{escape(name)} under its saliency map, with its boxes">'
        f"<figcaption>{which}: {escape(name)}, focus {percent(answer.focus.effective_area)}</figcaption></figure>"
        for which, name, answer, image in zip("AB", names, answers, shown, strict=True)
    ]
    sentences = [escape(in_words(region)) for region in by_change(comparison.regions)[:1]]
    content = [
        *(f"<p><strong>{sentence}</strong></p>" for sentence in sentences),
        f"<p>{escape(SAME_PLACE.capitalize())}.</p>" if comparison.same_place else "",
        _lines("warning", comparison.warnings),
        f'<div class="designs">{"".join(figures)}</div>',
        '<div class="scroll"><table><thead><tr><th>Box</th><th>A</th><th>B</th><th>Points</th><th>Factor</th></tr>'
        "</thead><tbody>",
        *(_compared(region) for region in comparison.regions),
        "</tbody></table></div>",
        f"<p>Shares are of all predicted attention of a design. {escape(_credit(model))}</p>",
    ]
    return _page(f"{names[0]} and {names[1]}", content)


def _page(title: str, content: Iterable[str], script: str | None = None) -> str:
    code = f"<script>\n{_asset(script)}</script>\n" if script else ""
    lines = "\n".join(filter(None, content))
    return PAGE.substitute(title=escape(title), style=_asset("style.css"), content=lines, script=code)


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("page", name).read_text(encoding="utf-8")


def _credit(model: Model) -> str:
    prior = "" if model.apply_prior else ", without the prior"
    return f"Predicted by {model.name}{prior} (mlnet-saliency {package_version()}, checkpoint {model.sha256[:12]})."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _lines(noun: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<details class="lines" open><summary>{_count(len(lines), noun)}</summary><ul>{items}</ul></details>'


def _tools(titles: Sequence[str], places: Sequence[str]) -> str:
    numbers = [(index, title) for index, title in enumerate(titles) if title not in ("Image", "Name", "Strongest")]
    return "".join(
        (
            '<form class="tools" onsubmit="return false">',
            '<label>Name contains<input id="name" type="search"></label>',
            '<label>Strongest<select id="place"><option value="">anywhere</option>',
            *(f"<option>{escape(where)}</option>" for where in places),
            "</select></label>",
            '<label>Column<select id="column">',
            *(f'<option value="{index}">{escape(title)}</option>' for index, title in numbers),
            "</select></label>",
            '<label>at least, %<input id="least" type="number" min="0" max="100" step="any"></label>',
            '<label>at most, %<input id="most" type="number" min="0" max="100" step="any"></label>',
            '<button type="reset">Show all</button><output id="count"></output></form>',
        )
    )


def _header(title: str, sortable: bool) -> str:
    text = escape(title)
    return f'<th scope="col">{f"<button>{text}</button>" if sortable else text}</th>'


def _row(row: ReportRow, names: Sequence[str]) -> str:
    spots, image = row.answer.focus.spots, row.answer.image
    where = spots[0].where if spots else ""
    alt = f"{row.name} under its saliency map" + (f"; strongest: {where}" if where else "")
    cells = [
        f'<td class="image"><img loading="lazy" decoding="async" src="{row.thumbnail}" width="{row.width}" '
        f'height="{row.height}" alt="{escape(alt)}"></td>',
        f'<th scope="row">{escape(row.name)}<br><small>{image.width} x {image.height} px</small></th>',
        _number("Focus", row.answer.focus.effective_area),
        f'<td data-label="Strongest" data-value="{escape(where)}">{escape(where) or "-"}</td>',
        _number("Its share", spots[0].share if spots else None),
        *(_number(name, row.shares.get(name)) for name in names),
    ]
    return f'<tr data-place="{escape(where)}">{"".join(cells)}</tr>'


def _number(label: str, share: float | None) -> str:
    if share is None:
        return f'<td class="number none" data-label="{escape(label)}" data-value="">-</td>'
    bar = f'<span class="bar" style="width:{100 * share:.1f}%"></span>'
    return (
        f'<td class="number" data-label="{escape(label)}" data-value="{share:.6f}">{escape(percent(share))}{bar}</td>'
    )


def _compared(region: ComparedRegion) -> str:
    shares = ["-" if share is None else percent(share) for share in (region.first, region.second)]
    points = "-" if region.difference is None else f"{100 * region.difference:+.1f}"
    factor = "-" if region.factor is None else f"{region.factor:.2f} x"
    cells = "".join(f'<td class="number">{escape(text)}</td>' for text in (*shares, points, factor))
    return f'<tr><th scope="row">{escape(region.name)}</th>{cells}</tr>'
