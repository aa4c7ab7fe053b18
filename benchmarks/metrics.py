"""How fast are the metrics? Against straightforward ports of the procedures that the official code runs.

Times, one after the other and on one core, the eight metrics without EMD on maps of 640x480 with 300 fixations and a
pool of 10,000 other fixations: ours, and the reference procedures written out in NumPy (AUC-Judd threshold by
threshold with jitter, AUC-Borji and shuffled AUC with 100 random splits). Then the memory of scoring many images,
and one worker process against two.

    python benchmarks/metrics.py [--output metrics.json] [--images 5000]
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"  # before NumPy is imported

import numpy as np
from peak_memory import peak_memory_mib
from scipy.ndimage import gaussian_filter

from modeling_mlnet.evaluation.evaluate import _scores
from modeling_mlnet.evaluation.truths import Truth
from modeling_mlnet.metrics import (
    Evaluator,
    FixationPool,
    auc_borji,
    auc_judd,
    auc_shuffled,
    cc,
    centre_map,
    information_gain,
    kl,
    nss,
    sim,
)

HEIGHT, WIDTH, FIXATIONS, POOL, SPLITS = 480, 640, 300, 10_000, 100
THRESHOLDS = np.arange(11) * 0.1


def scene(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Saliency map, fixations, their density and other fixations."""
    rng = np.random.default_rng(seed)
    saliency_map = gaussian_filter(rng.random((HEIGHT, WIDTH)), 20)
    saliency_map = ((saliency_map - saliency_map.min()) / np.ptp(saliency_map)) ** 3
    places = rng.choice(HEIGHT * WIDTH, FIXATIONS, p=saliency_map.ravel() / saliency_map.sum())
    points = np.stack(np.divmod(places, WIDTH)[::-1], axis=1)
    counts = np.zeros((HEIGHT, WIDTH))
    counts[points[:, 1], points[:, 0]] = 1
    bias = centre_map(HEIGHT, WIDTH).ravel()
    others = rng.choice(HEIGHT * WIDTH, POOL, replace=False, p=bias / bias.sum())
    return saliency_map, points, gaussian_filter(counts, 19), np.stack(np.divmod(others, WIDTH)[::-1], axis=1)


def area(positives: np.ndarray, negatives: np.ndarray) -> float:
    thresholds = np.arange(0, max(positives.max(), negatives.max()) + 1e-12, 0.1)[::-1]
    tp = [0.0, *(np.sum(positives >= item) / len(positives) for item in thresholds), 1.0]
    fp = [0.0, *(np.sum(negatives >= item) / len(negatives) for item in thresholds), 1.0]
    return np.trapezoid(tp, fp)


def sampled_judd(saliency_map: np.ndarray, points: np.ndarray) -> float:
    """AUC_Judd.m: a pass over the image for every fixation, after a jitter."""
    values = saliency_map + np.random.default_rng(0).random(saliency_map.shape) / 1e7
    values = (values - values.min()) / np.ptp(values)
    at = np.sort(values[points[:, 1], points[:, 0]])[::-1]
    reached = [np.sum(values >= item) for item in at]
    ranks = np.arange(1, len(at) + 1)
    tp = [0.0, *(ranks / len(at)), 1.0]
    fp = [0.0, *((np.array(reached) - ranks) / (values.size - len(at))), 1.0]
    return np.trapezoid(tp, fp)


def sampled_borji(saliency_map: np.ndarray, points: np.ndarray) -> float:
    """AUC_Borji.m: 100 splits of as many random pixels as fixations."""
    rng = np.random.default_rng(0)
    values = (saliency_map - saliency_map.min()) / np.ptp(saliency_map)
    at, flat = values[points[:, 1], points[:, 0]], values.ravel()
    return np.mean([area(at, flat[rng.integers(0, flat.size, len(at))]) for _ in range(SPLITS)])


def sampled_shuffled(saliency_map: np.ndarray, points: np.ndarray, others: np.ndarray) -> float:
    """AUC_shuffled.m: 100 splits of as many fixations of other images, without replacement."""
    rng = np.random.default_rng(0)
    values = (saliency_map - saliency_map.min()) / np.ptp(saliency_map)
    at, flat = values[points[:, 1], points[:, 0]], values.ravel()
    result = np.flatnonzero(np.bincount(others @ [1, WIDTH], minlength=flat.size))
    return np.mean([area(at, flat[rng.permutation(result)[: len(at)]]) for _ in range(SPLITS)])


def milliseconds(function: Callable[[], object], repeats: int) -> float:
    """Best of several runs."""
    function()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return 1000 * best


def time_metrics() -> dict[str, dict[str, float]]:
    saliency_map, points, density, others = scene(0)
    centre = centre_map(HEIGHT, WIDTH)
    ours = {
        "CC": lambda: cc(saliency_map, density),
        "SIM": lambda: sim(saliency_map, density),
        "KL": lambda: kl(saliency_map, density),
        "NSS": lambda: nss(saliency_map, points),
        "IG": lambda: information_gain(saliency_map, points, centre),
        "AUC-Judd": lambda: auc_judd(saliency_map, points),
        "AUC-Borji": lambda: auc_borji(saliency_map, points),
        "sAUC": lambda: auc_shuffled(saliency_map, points, others, thresholds=THRESHOLDS),
    }
    sampled = {
        "AUC-Judd": lambda: sampled_judd(saliency_map, points),
        "AUC-Borji": lambda: sampled_borji(saliency_map, points),
        "sAUC": lambda: sampled_shuffled(saliency_map, points, others),
    }
    times = {name: {"ours_ms": milliseconds(function, 20)} for name, function in ours.items()}
    for name, function in sampled.items():
        assert abs(function() - ours[name]()) < 0.01, name  # the same quantity
        times[name]["sampled_ms"] = milliseconds(function, 5)
        times[name]["ratio"] = times[name]["sampled_ms"] / times[name]["ours_ms"]
    return times


def time_workers(images: int) -> dict[str, float]:
    """Seconds per image of one and two worker processes, after both have started."""
    scenes = [scene(seed) for seed in range(4)]
    truths = [
        Truth(f"p{k}", (HEIGHT, WIDTH), scenes[k % 4][1].astype(float), np.zeros(0), 19.0, {}) for k in range(images)
    ]
    pool = FixationPool({truth.image_id: truth.relative_fixations() for truth in truths})
    maps = [item[0].astype(np.float32) for item in scenes]
    seconds = {}
    for workers in (1, 2, 1, 2):
        jobs = ((maps[k % 4], truth) for k, truth in enumerate(truths))
        scored = _scores(Evaluator("tuebingen", pool), jobs, workers)
        for _ in range(8):
            next(scored)
        start = time.perf_counter()
        count = sum(1 for _ in scored)
        each = (time.perf_counter() - start) / count
        seconds[str(workers)] = min(each, seconds.get(str(workers), each))
    return seconds


def memory(images: int) -> dict[str, float]:
    """Peak memory in MiB after a tenth of the images and after all."""
    scenes = [scene(seed) for seed in range(4)]
    points = {f"p{k}": (scenes[k % 4][1] + 0.5) / [WIDTH, HEIGHT] for k in range(images)}
    evaluator = Evaluator("tuebingen", FixationPool(points))
    peaks = {}
    for k in range(images):
        saliency_map, fixations, density, _ = scenes[k % 4]
        evaluator.update(saliency_map, fixations, density, image_id=f"p{k}")
        if k + 1 in (images // 10, images):
            peaks[str(k + 1)] = peak_memory_mib()
    return peaks


def main() -> None:
    """Prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--images", type=int, default=5000, help="for the memory")
    arguments = parser.parse_args()
    times = time_metrics()
    print(f"{'':10} {'ours':>9} {'sampled':>10} {'ratio':>7}")
    for name, item in times.items():
        reference = f"{item['sampled_ms']:7.1f} ms {item['ratio']:6.0f}x" if "ratio" in item else ""
        print(f"{name:10} {item['ours_ms']:6.2f} ms {reference}")
    total = sum(item["ours_ms"] for item in times.values())
    sampled = [item for item in times.values() if "ratio" in item]
    ratio = sum(item["sampled_ms"] for item in sampled) / sum(item["ours_ms"] for item in sampled)
    print(f"all eight  {total:6.2f} ms; the three AUCs together {ratio:.0f} times faster than sampled")
    seconds = time_workers(400)
    print(f"workers    1: {1000 * seconds['1']:.1f} ms an image, 2: {1000 * seconds['2']:.1f} ms")
    peaks = memory(arguments.images)
    print("memory    ", ", ".join(f"{peak:.0f} MiB after {count} images" for count, peak in peaks.items()))
    if arguments.output:
        machine = {"processor": platform.processor() or platform.machine(), "numpy": np.__version__}
        results = {"machine": machine, "metrics": times, "all_ms": total, "auc_ratio": ratio}
        results |= {"workers_s": seconds, "memory_mib": peaks}
        arguments.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
