"""What the page says about the model: from its own card, so that no figure stands in two places."""

import html
import re
from dataclasses import dataclass
from pathlib import Path

from ..hub.checkpoint import checkpoint_folder
from ..hub.download import fetch_card
from ..hub.model_card import REFERENCES
from ..hub.registry import CARD, resolve_model

PAPER = "https://arxiv.org/abs/1609.01064"
NOT_A_PERSON = "It **predicts the average viewer's first seconds, not a person**"
ROW = re.compile(r"^\| *(?P<set>[^|]*?) *\| *(?P<count>\d*) *\| *(?P<who>[\w-]+) *\|(?P<scores>.*)\|\s*$")


@dataclass(frozen=True)
class Card:
    """A model card, for the page.

    Args:
        text: Without front matter and pictures; empty if there is no card.
        licence: Of the checkpoint, as the card names it; empty if it does not.
    """

    text: str = ""
    licence: str = ""


def read_card(model: str) -> Card:
    """The card beside a checkpoint; for one from the Hub it is fetched, if it can be."""
    place, path = resolve_model(model).location, checkpoint_folder(model) / CARD
    if not path.is_file():
        fetched = None if Path(place).is_dir() else fetch_card(place, path.parent.name)
        if fetched is None:
            return Card()
        path = fetched
    whole = path.read_text(encoding="utf-8")
    front = re.match(r"---\n(.*?\n)---\n", whole, re.DOTALL)
    text = whole[front.end() :] if front else whole
    licence = re.search(r"^license: *(\S+)", front[1], re.MULTILINE) if front else None
    text = re.sub(r"^!\[.*\n?", "", text, flags=re.MULTILINE)
    return Card(re.sub(r"<!--.*?-->\n?", "", text), licence[1] if licence else "")


def correlations(card: str) -> dict[str, dict[str, float]]:
    """By data set and row (`mini`, `centre`, `inter-observer`) the CC of the card's first table with such a column."""
    found: dict[str, dict[str, float]] = {}
    column, data_set = None, ""
    for line in card.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if column is None:
            if cells[0] == "data set" and "CC" in cells:
                column = cells.index("CC")
        elif not line.startswith("|"):
            break
        elif match := ROW.match(line):
            data_set = match["set"] or data_set
            found.setdefault(data_set, {})[match["who"]] = float(cells[column].split()[0])
    return found


def three_lines(card: Card) -> str:
    """What it is and is not, as Markdown."""
    lines = [f"{NOT_A_PERSON}: where people look in a picture when they look without a task."]
    scores = correlations(card.text)
    if scores:
        own = [(name, rows[who]) for name, rows in scores.items() for who in rows if who not in REFERENCES]
        ours = ", ".join(f"{one:.3f} on {name}" for name, one in own)
        line = f"On pictures kept out of its training its maps correlate with measured attention by {ours}"
        guess = [rows["centre"] for rows in scores.values() if "centre" in rows]
        if guess:
            line += f"; guessing the centre gives {min(guess):.3f} to {max(guess):.3f}"
        lines.append(f"{line}. 1 would be perfect.")
    else:
        lines.append("How well it does is measured and said in its model card, as far as there is one.")
    lines.append(
        "It is not made for screens, documents, drawings or medical pictures, says nothing about anyone in the "
        "picture, and must not be used to judge viewers."
    )
    numbered = "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))
    sources = [f"[Paper: Cornia et al., ICPR 2016]({PAPER})", "Code: MIT licence"]
    if card.text:
        sources.insert(0, "[Model card](#model-card)")
    if card.licence:
        sources.append(f"Checkpoint: {html.escape(card.licence.upper())} licence")
    return f"{numbered}\n\n{' · '.join(sources)}"
