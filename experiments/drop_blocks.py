"""Which residual blocks can mlnet-mini do without? Every pair of blocks at stride 32, left out of a trained run.

Stochastic depth trains a network to do without any block now and then. Prints the mean CC of the maps with their
labels, on the network's own grid, over every second image that training kept out, for the whole network and for each
pair; then, on all of these images at their own sizes, for the whole network and the best pair.

    MLNET_DATA=DIR python experiments/drop_blocks.py runs/mini
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from modeling_mlnet import MLNetImageProcessor, MLNetModel, SaliencyPredictor
from modeling_mlnet.data import load
from modeling_mlnet.evaluation.evaluate import evaluate, predicted_by
from modeling_mlnet.metrics import cc
from modeling_mlnet.training.arguments import parse_recipe
from modeling_mlnet.training.run import build_datasets

RECIPE = Path(__file__).parent.parent / "recipes" / "mini_larger.yaml"  # which keeps the same images out
BLOCKS = [f"blocks.5.{index}" for index in (1, 2, 3, 4)]


@torch.inference_mode()
def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="output_dir of the training")
    run = parser.parse_args().run
    arguments = parse_recipe(RECIPE, ["--use_cpu", "true"])[1]
    validation = build_datasets(arguments)[1]
    rows = list(validation.select(range(0, len(validation), 2)))
    image_processor = MLNetImageProcessor.from_pretrained(run)
    prepared = image_processor(
        [row["image"] for row in rows], saliency_maps=[row["saliency_map"] for row in rows], return_tensors="pt"
    )
    pairs = list(zip(prepared["pixel_values"].split(8), prepared["labels"].split(8), strict=True))
    scores = {}
    for dropped in [(), *combinations(BLOCKS, 2)]:
        model = MLNetModel.from_pretrained(run, drop_modules=list(dropped)).eval()
        scores[dropped] = np.concatenate([cc(model(pixels).saliency_map, labels) for pixels, labels in pairs]).mean()
        size = sum(item.numel() for item in model.state_dict().values())
        print(f"CC {scores[dropped]:.4f}  {size / 1e6:.2f} million values  without {', '.join(dropped) or 'nothing'}")
    for dropped in ((), max(scores.keys() - {()}, key=scores.__getitem__)):
        model = MLNetModel.from_pretrained(run, drop_modules=list(dropped))
        predictor = SaliencyPredictor(model, image_processor, dtype="float32")
        parts = [
            evaluate(load(item, held_out=arguments.held_out), predicted_by(predictor)) for item in arguments.datasets
        ]
        scores_of_all = np.concatenate([[row["CC"] for row in part["per_image"]] for part in parts])
        print(
            f"CC {scores_of_all.mean():.4f}  on all {len(scores_of_all)}, at their own sizes, without "
            f"{', '.join(dropped) or 'nothing'}"
        )


if __name__ == "__main__":
    main()
