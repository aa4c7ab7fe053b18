"""What curves over mlnet-mini's maps do to its scores: the choice of its `tone_curve`.

Scores images that training did not see under `tuebingen`, with no curve and with several of every exponent and toe,
each map predicted once, as the kind of recording that its data set has. Prints a table.

    MLNET_DATA=DIR python experiments/tone_curves.py
"""

import os
from itertools import product

import torch
from score_checkpoints import DATASETS, unseen_rows

from modeling_mlnet import MINI
from modeling_mlnet.evaluation.evaluate import evaluate
from modeling_mlnet.evaluation.truths import read_truths
from modeling_mlnet.hub.checkpoint import load_checkpoint

CURVES = [None, *([exponent, toe] for exponent, toe in product((1, 0.98, 0.95, 0.9), (0.0025, 0.005, 0.0075, 0.01)))]
METRICS = ("CC", "SIM", "KL", "NSS")


def main() -> None:
    """Predicts, scores and prints."""
    data = os.environ["MLNET_DATA"]
    model, image_processor = load_checkpoint(str(MINI))
    model.eval()
    scores: dict[str, list[list[dict[str, float]]]] = {name: [] for name in DATASETS}
    for name in DATASETS:
        rows = unseen_rows(name, data)
        sizes = [truth.size for truth in read_truths(rows)]
        kinds = [row["recording"] if row["recording"] in model.config.recordings else None for row in rows]
        with torch.inference_mode():
            cells = [
                model(**image_processor(image, return_tensors="pt"), recording=kind).saliency_map
                for image, kind in zip(rows["image"], kinds, strict=True)
            ]
        for curve in CURVES:
            image_processor.tone_curve = curve
            maps = [
                image_processor.post_process_saliency(cell, [size])[0].numpy()
                for cell, size in zip(cells, sizes, strict=True)
            ]
            results = evaluate(rows, lambda rows, maps=maps: maps)["per_image"]
            scores[name].append([{metric: row[metric] for metric in METRICS} for row in results])
    shown = ("SALICON, reduced", "SALICON, full size", "all")
    print(f"| exponent, toe | {' | '.join(f'{where} {metric}' for where in shown for metric in METRICS)} |")
    print("|" + "---|" * (1 + len(shown) * len(METRICS)))
    for number, curve in enumerate(CURVES):
        groups = [scores[name][number] for name in shown[:-1]]
        groups.append([row for of_set in scores.values() for row in of_set[number]])
        means = [sum(row[metric] for row in group) / len(group) for group in groups for metric in METRICS]
        print(f"| {curve or 'none'} | {' | '.join(f'{mean:.4f}' for mean in means)} |")


if __name__ == "__main__":
    main()
