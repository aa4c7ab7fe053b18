"""What curves over mlnet-mini's maps do to its scores: the choice of its `tone_curve`.

Scores the pictures that training kept out under `tuebingen`, with no curve and with several of every exponent and toe,
each map predicted once. Prints a table.

    MLNET_DATA=DIR python experiments/tone_curves.py
"""

import os
from itertools import product

import torch
from score_mini import DATASETS, HELD_OUT

from modeling_mlnet import MINI
from modeling_mlnet.data import load
from modeling_mlnet.evaluation.evaluate import evaluate, read_truths
from modeling_mlnet.hub.checkpoint import load_checkpoint

CURVES = [None, *([exponent, toe] for exponent, toe in product((1, 0.98, 0.95, 0.9), (0.0025, 0.005, 0.0075, 0.01)))]
METRICS = ("CC", "SIM", "KL", "NSS")


def main() -> None:
    """Predicts, scores and prints."""
    data = os.environ["MLNET_DATA"]
    model, image_processor = load_checkpoint(str(MINI))
    model.eval()
    found: dict[str, list[list[dict[str, float]]]] = {name: [] for name in DATASETS}
    for name, spec in DATASETS.items():
        rows = load(spec.format(data), held_out=HELD_OUT)
        sizes = [truth.size for truth in read_truths(rows)]
        with torch.inference_mode():
            cells = [model(**image_processor(row["image"], return_tensors="pt")).saliency_map for row in rows]
        for curve in CURVES:
            image_processor.tone_curve = curve
            maps = [
                image_processor.post_process_saliency(one, [size])[0].numpy()
                for one, size in zip(cells, sizes, strict=True)
            ]
            results = evaluate(rows, lambda rows, maps=maps: maps)["per_image"]
            found[name].append([{metric: row[metric] for metric in METRICS} for row in results])
    print(f"| exponent, toe | {' | '.join(f'{where} {one}' for where in ('SALICON', 'all') for one in METRICS)} |")
    print("|" + "---|" * (1 + 2 * len(METRICS)))
    for number, curve in enumerate(CURVES):
        groups = [found["SALICON"][number], [row for scored in found.values() for row in scored[number]]]
        means = [sum(row[metric] for row in group) / len(group) for group in groups for metric in METRICS]
        print(f"| {curve or 'none'} | {' | '.join(f'{one:.4f}' for one in means)} |")


if __name__ == "__main__":
    main()
