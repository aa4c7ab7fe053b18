"""The page's text about the model, taken from the model card."""

import html
import re
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from ..hub.checkpoint import checkpoint_folder
from ..hub.registry import CARD, find_entry, resolve_model

MEASURED = "On images kept out of its training its maps correlate with measured attention by {}. 1 is perfect."
UNKNOWN = "How well it does is measured and said in its model card, as far as there is one."
ABOUT = """## What it is and is not

1. It **predicts the average viewer's first seconds, not a person**: where people look in an image without a task.
2. {measured}
3. It is not made for screens, documents, drawings or medical images, says nothing about anyone in the image, and
   must not be used to judge viewers.

[Paper: Cornia et al., ICPR 2016](https://arxiv.org/abs/1609.01064) · Code: MIT licence{licence}"""


def read_card(model: str) -> ModelCard | None:
    """The card beside a checkpoint; for one from the Hub it is fetched, if it can be."""
    location, folder = resolve_model(model).location, checkpoint_folder(model)
    path: Path | None = folder / CARD
    if not (folder / CARD).is_file():
        from ..hub.download import fetch_card  # imports PyTorch, which the page needs for explanations only

        path = None if Path(location).is_dir() else fetch_card(location, folder.name)
    return ModelCard(path.read_text(encoding="utf-8"), ignore_metadata_errors=True) if path else None


def shown_text(card: ModelCard) -> str:
    """A card's text without images and comments."""
    return re.sub(r"^!\[.*\n?|<!--.*?-->\n?", "", card.text, flags=re.MULTILINE)


def about(card: ModelCard | None, model: str = "") -> str:
    """What the model is and is not, as Markdown; scores come from the registry, or from the card."""
    entry = find_entry(model)
    data: Any = card.data if card else None
    results = (data and data.eval_results) or []
    scores = {result.dataset_name: result.metric_value for result in results if result.metric_type == "cc"}
    if entry is not None and entry.scores:
        scores = {name: values["CC"] for name, values in entry.scores.items()}
    figures = ", ".join(f"{score:.3f} on {name}" for name, score in scores.items())
    licence = f" · Checkpoint: {html.escape(str(data.license).upper())} licence" if data and data.license else ""
    return ABOUT.format(measured=MEASURED.format(figures) if figures else UNKNOWN, licence=licence)
