"""Draws the figures of docs/attribution.md and of mlnet-mini's card, and writes experiments/attribution.json.

Reads the data sets of score_checkpoints.py in the folder named by MLNET_DATA, the images that training kept out. Their
photographs are not shown: the sheets have map panels alone, and single images are the free ones of the tests.
Prints the numbers and, if they are of all images, puts them into the page.

    MLNET_DATA=DIR python experiments/make_attribution_figures.py [--images N] [--model mini]
"""

import argparse
import os
from pathlib import Path
from typing import Any

from datasets import Dataset, concatenate_datasets
from PIL import Image
from score_checkpoints import DATASETS, HELD_OUT, put

from modeling_mlnet import MINI, SaliencyPredictor
from modeling_mlnet.attribution import level_ablation, level_importance, prior_map
from modeling_mlnet.attribution.explain import image_panels, summary_lines
from modeling_mlnet.attribution.plots import draw_ablation, draw_importance, draw_panels, draw_prior
from modeling_mlnet.data import load
from modeling_mlnet.evaluation.evaluate import predicted_by
from modeling_mlnet.evaluation.example_sheet import choose_images, draw_sheet, sheet_table
from modeling_mlnet.evaluation.results import write_json
from modeling_mlnet.io.figures import save_figure

DOCS = Path(__file__).parent.parent / "docs"
OUTPUT, CARD = DOCS / "images" / "attribution", MINI / "images"
COLORS = 192  # maps and bars do not need more, and the files travel with the package
PAGE, MARKERS = DOCS / "attribution.md", ("<!-- numbers -->", "<!-- end of numbers -->")
FREE = DOCS.parent / "tests" / "fixtures" / "images"


def images_kept_out(data: str, count: int | None) -> Dataset:
    """Of all data sets, the same number of each if `count` does not take all."""
    parts = []
    for name, spec in DATASETS.items():
        part = load(spec.format(data), held_out=HELD_OUT)
        if count is not None:
            part = part.select(range(min(len(part), -(-count // len(DATASETS)))))
        names = [f"{name}/{image_id}" for image_id in part["image_id"]]  # two sets may use the same ones
        parts.append(part.remove_columns("image_id").add_column("image_id", names))
    return concatenate_datasets(parts)


def draw_all(predictor: SaliencyPredictor, rows: Dataset, name: str) -> dict[str, Any]:
    """Writes all figures; returns the numbers."""
    importance = level_importance(predictor, (row["image"] for row in rows.select_columns("image")))
    ablation = level_ablation(predictor, rows, keep_only=True)
    prior = prior_map(predictor.model)
    save_figure(draw_importance(importance, name), CARD / "importance.png")
    save_figure(draw_ablation(ablation), OUTPUT / "ablation.png")
    save_figure(draw_prior(prior), CARD / "prior.png")
    for image in ("astronaut", "coffee"):
        panels = image_panels(predictor, FREE / f"{image}.jpg")
        save_figure(draw_panels(panels, image), OUTPUT / f"{image}.png")
    sources = {name: predicted_by(predictor)}
    for rule in ("worst", "random"):
        sheet = choose_images(rows, sources, rule, count=6)
        save_figure(draw_sheet(sheet, photos=False), (CARD if rule == "worst" else OUTPUT) / f"{rule}.png")
        print(sheet_table(sheet))
    for path in (*OUTPUT.glob("*.png"), *CARD.glob("*.png")):
        Image.open(path).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
    return {"model": name, **importance.describe(), "prior": prior.describe(), "ablation": ablation}


def main() -> None:
    """Draws, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, help="a quick look at about so many; all by default")
    parser.add_argument("--model", default="mini")
    arguments = parser.parse_args()
    rows = images_kept_out(os.environ["MLNET_DATA"], arguments.images)
    name = "mlnet-mini" if arguments.model == "mini" else Path(arguments.model).name
    result = draw_all(SaliencyPredictor(arguments.model, dtype="float32"), rows, name)
    write_json(Path(__file__).parent / "attribution.json", result)
    lines = list(summary_lines(result))
    print("\n".join(lines))
    if arguments.images is None and arguments.model == "mini":  # a quick look is not for the page
        put(PAGE, ["```", *lines, "```"], MARKERS)


if __name__ == "__main__":
    main()
