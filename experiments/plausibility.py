"""What data sets of eye and mouse tracking have of the faults that `modeling_mlnet.data.plausibility` looks for.

    python experiments/plausibility.py osie:DATA/osie DATA/eyecrowd DATA/sun500 DATA/mit1003 salicon:DATA/salicon

Prints, for each data set, shares of the fixations, and by how much fixations fit mlnet-mini's maps better (NSS) as
they are than mirrored, turned or exchanged, in the mean and at worst over 1,000 draws of four images; of such draws
is also the largest distance of the fixations' mean from the centre.
"""

import argparse

import numpy as np

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.data import load
from modeling_mlnet.data.plausibility import NEAR_ZERO, Orientation, images_of, mean_from_centre, sample_indices

IMAGES, DRAWS, DRAWN = 80, 1000, 4


def measure(spec: str, predictor: SaliencyPredictor) -> dict[str, str]:
    """The row of one data set."""
    rows = load(spec, check_plausibility=False)
    images = images_of(rows)
    points = np.concatenate([image.fixations for image in images])
    sizes = np.repeat([image.size for image in images], [len(image.fixations) for image in images], axis=0)
    anchored = (points, sizes - 1 - points, points - (sizes - 1) / 2)
    at_point = max(np.unique(positions, axis=0, return_counts=True)[1].max() for positions in anchored) / len(points)
    border = ((points <= 0) | (points >= sizes - 1)).any(axis=1).mean()
    near_zero = (np.abs(points) <= NEAR_ZERO).mean(axis=0).max()
    extent = np.percentile((points + 0.5) / sizes, 99, axis=0).min()
    outside = sum(image.outside for image in images)
    random = np.random.default_rng(0)
    fixated = [image for image in images if len(image.fixations)]
    parts = [[fixated[index] for index in random.choice(len(fixated), DRAWN, replace=False)] for _ in range(DRAWS)]
    orientation = Orientation()
    sample = rows.select(sample_indices(len(rows), IMAGES))
    for row, values in zip(sample, predictor.maps(row["image"] for row in sample), strict=True):
        orientation.add(values, (np.array(row["fixations"]) + 0.5) / row["image"].size)
    scores = np.array(orientation.scores)
    gains = scores[:, :1] - scores[:, 1:]
    draws = [gains[random.choice(len(gains), DRAWN, replace=False)].mean(axis=0).min() for _ in range(DRAWS)]
    return {
        "one point": f"{at_point:.3%}",
        "border": f"{border:.2%}",
        "near 0": f"{near_zero:.2%}",
        "99 % within": f"{extent:.2f}",
        "from the centre": f"{np.abs([mean_from_centre(part) for part in parts]).max():.2f}",
        "outside": f"{outside / (outside + len(points)):.1%}",
        "NSS gain": f"{gains.mean(axis=0).min():.2f}",
        "worst of four": f"{min(draws):.2f}",
    }


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", help="as `mlnet evaluate --dataset` takes them")
    predictor = SaliencyPredictor("mini")
    for spec in parser.parse_args().datasets:
        print(spec, *(f"{name} {value}" for name, value in measure(spec, predictor).items()), sep="  ", flush=True)


if __name__ == "__main__":
    main()
