"""Scores of a model's densities, each metric on the map that the density expects to score best under it."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from datasets import Dataset

from ..data.schema import SIGMA_FRACTION
from ..inference.density import Calibration
from ..io.progress import Progress, no_progress
from ..metrics import Evaluator, get_protocol
from ..metrics.evaluator import ImageScores
from ..metrics.optimal import optimal_map
from .evaluate import EvaluationResults, score_truth
from .truths import fixation_pool, read_truths

PROTOCOL = "tuebingen"  # whose metrics the maps are derived for
OF_THE_POOL = ("sAUC", "IG")


def evaluate_optimal_maps(
    dataset: Dataset,
    maps: Callable[[Dataset], Iterable[np.ndarray]],
    calibration: Calibration,
    progress: Progress = no_progress,
) -> EvaluationResults:
    """Scores a model under `tuebingen`, each metric on `metrics.optimal_map` of its calibrated density.

    The centre bias of sAUC is the calibration's, so that nothing but the number of fixations per image is taken from
    the data set; the Gaussian of CC, KL and SIM is the data set's, or 3 % of the longer side where it brings maps.

    Args:
        dataset: Rows of `modeling_mlnet.data`.
        maps: A function from the data set to the model's maps, as in `evaluate`.
        calibration: Turns them into densities.
        progress: Wraps an iteration, `(iterable, description)`, to show a bar.

    Returns:
        As `evaluate`, and `"maps": "optimal"`.

    Raises:
        ValueError: As `evaluate`.
    """
    protocol = get_protocol(PROTOCOL)
    pool = fixation_pool(progress(read_truths(dataset), "reading fixations"))
    count = max(1, round(np.mean([len(points) for points in pool.fixations.values()])))
    evaluators = {
        name: Evaluator(replace(protocol, metrics={name: function}), pool if name in OF_THE_POOL else None)
        for name, function in protocol.metrics.items()
    }
    whole = Evaluator(protocol, pool)
    pairs = zip(maps(dataset), read_truths(dataset), strict=True)
    for saliency_map, truth in progress(pairs, "scoring"):
        height, width = saliency_map.shape
        sigma = truth.sigma or SIGMA_FRACTION * max(height, width)
        density = np.exp(calibration.log_density(saliency_map))
        centre_bias = np.exp(calibration.log_centre_bias((height, width)))
        row: ImageScores = {}
        for name, evaluator in evaluators.items():
            values = optimal_map(density, name, sigma=sigma, centre_bias=centre_bias, fixations=count)
            row |= score_truth(evaluator, values, truth)
        whole.rows.append(row)
    return {"truth": "all", "notes": [], "maps": "optimal", **whole.compute(gather=False)}
