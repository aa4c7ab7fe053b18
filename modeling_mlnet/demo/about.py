"""What the page says about the model: from its own card, so that no figure stands in two places."""

import re
from pathlib import Path

from ..manifest import resolve_model
from ..model_card import REFERENCES

PAPER = "https://arxiv.org/abs/1609.01064"
NOT_A_PERSON = "It **predicts the average viewer's first seconds, not a person**"
ROW = re.compile(r"^\| *(?P<set>[^|]*?) *\| *(?P<count>\d*) *\| *(?P<who>[\w-]+) *\|(?P<scores>.*)\|\s*$")


def read_card(model: str) -> str:
    """The model card beside a checkpoint, without front matter and pictures; empty if there is none at hand."""
    path = Path(resolve_model(model).place) / "README.md"
    if not path.is_file():
        return ""
    text = re.sub(r"\A---\n.*?\n---\n", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"^!\[.*\n?", "", text, flags=re.MULTILINE)
    return re.sub(r"<!--.*?-->\n?", "", text)


def correlations(card: str) -> dict[str, dict[str, float]]:
    """By data set and row (`mini`, `centre`, `half-observers`) the CC of the card's first table with such a column."""
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


def three_lines(model: str, card: str) -> str:
    """What it is and is not, as Markdown."""
    path = resolve_model(model).place
    link = "#model-card" if card or Path(path).is_dir() else f"https://huggingface.co/{path}"
    lines = [f"{NOT_A_PERSON}: where people look in a picture when they look without a task."]
    scores = correlations(card)
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
    sources = (
        f"[Model card]({link}) · [Paper: Cornia et al., ICPR 2016]({PAPER}) · Licence of code and mlnet-mini: MIT"
    )
    return f"{numbered}\n\n{sources}"
