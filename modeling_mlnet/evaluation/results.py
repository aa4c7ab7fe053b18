"""Results of an evaluation: files, tables and the comparison of two."""

import csv
import importlib.metadata
import io
import json
import math
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

import numpy as np

from ..hub.checkpoint import checkpoint_folder
from ..hub.registry import WEIGHTS, resolve_model, sha256
from ..io.atomic import write_whole
from ..metrics import LOWER_IS_BETTER
from ..metrics.evaluator import (
    BOOTSTRAP_SAMPLES,
    BOOTSTRAP_SEED,
    ImageScores,
    Interval,
    Results,
    mean_with_interval,
)
from .evaluate import BASELINE_ALIASES, EvaluationResults

if TYPE_CHECKING:
    from ..inference.predictor import SaliencyPredictor

# Keys, besides those of the data, that two results must have in common to be compared
COMPARED_KEYS = ("protocol", "split", "held_out", "truth")

LIBRARIES = ("numpy", "scipy", "POT", "torch", "torchvision", "transformers", "timm", "datasets", "pillow")


class RunDescription(TypedDict, total=False):
    """Details needed to repeat an evaluation; `prediction` is present for models only."""

    bootstrap: dict[str, int]
    versions: dict[str, str]
    prediction: dict[str, str | bool | None]


class SavedResults(EvaluationResults, RunDescription, total=False):
    """Content of a results file of `mlnet evaluate`; files of earlier versions lack some keys."""

    model: str
    kind: str
    dataset: str
    dataset_sha256: str
    split: str | None
    held_out: float | None
    recording: str | None


class Difference(Interval):
    """A paired difference of two results, as `compare` describes it."""

    first: float
    second: float
    differs: bool
    better: str | None


def describe_run(model: str, predictor: "SaliencyPredictor | None" = None) -> RunDescription:
    """Collects the details needed to repeat an evaluation.

    Args:
        model: As given to the predictor.
        predictor: The predictor, if a model was evaluated.

    Returns:
        `{"bootstrap", "versions"}`, and for a model `"prediction"` with its settings and the
        SHA-256 of its weights.
    """
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    run: RunDescription = {
        "bootstrap": {"samples": BOOTSTRAP_SAMPLES, "seed": BOOTSTRAP_SEED},
        "versions": versions,
    }
    if predictor is not None:
        folder = checkpoint_folder(model)
        run["prediction"] = {
            "sha256": sha256(folder / WEIGHTS),
            "revision": None if Path(resolve_model(model).location).is_dir() else folder.name,
            "device": predictor.device,
            "network": predictor.network.description,
            "apply_prior": True,
        }
    return run


def write_json(path: Path, results: Mapping[str, object]) -> None:
    """Writes results as JSON; NaN, which JSON does not know, becomes null."""
    text = json.dumps(_without_nan(results), indent=2, allow_nan=False)
    write_whole(path, lambda file: file.write(f"{text}\n".encode()))


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def write_csv(path: Path, rows: list[ImageScores]) -> None:
    """Writes one line per image: `image_id`, `fixations` and the scores, NaN as `nan`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, lambda file: file.write(text.getvalue().encode()))


def read_json(path: Path) -> SavedResults:
    """Reads results.

    Raises:
        ValueError: If the file is none, or was changed to something that is none, naming the key.
    """
    try:
        results = _checked(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path}: not results of `mlnet evaluate --output`: {error}") from error
    return _with_present_names(results)


def _checked(results: Any) -> SavedResults:
    """The results; a ValueError names the first key whose value is not as `write_json` writes it."""

    def is_score(value: Any) -> bool:
        return value is None or (type(value) in (int, float) and math.isfinite(value))

    if not (isinstance(results, dict) and {"protocol", "metrics", "per_image"} <= set(results)):
        raise ValueError("keys are missing")
    names = {str: "a name", dict: "an object", list: "a list"}
    for key, kind in {"model": str, "dataset": str, "metrics": dict, "per_image": list}.items():
        if not isinstance(results.get(key), kind):
            raise ValueError(f"{key} must be {names[kind]}, got {str(results.get(key))[:40]!r}")
    for name, score in results["metrics"].items():
        if not (isinstance(score, dict) and all(is_score(score.get(key, "")) for key in ("mean", "low", "high"))):
            raise ValueError(f"metrics.{name} must have the numbers mean, low and high, got {str(score)[:60]!r}")
    rows = results["per_image"]
    ids = {str(row["image_id"]) for row in rows if isinstance(row, dict) and "image_id" in row}
    if not rows or len(ids) != len(rows):
        raise ValueError(f"per_image must have rows, each with an image_id of its own; {len(ids)} of {len(rows)} do")
    for row in rows:
        if wrong := [name for name in results["metrics"] if not is_score(row.get(name, ""))]:
            value = str(row.get(wrong[0]))[:40]
            raise ValueError(f"per_image: {wrong[0]} of {row['image_id']} must be a number or null, got {value!r}")
    return cast(SavedResults, results)


def _with_present_names(results: SavedResults) -> SavedResults:
    """Results of an earlier version with the names of this one."""
    if results.get("kind") == "baseline":
        results["model"] = BASELINE_ALIASES.get(results["model"], results["model"])
    definition = results.get("protocol_definition", {})
    if definition.get("pool") == "per_picture":
        definition["pool"] = "per_image"
    mean_over = definition.get("mean_over", {})
    definition["mean_over"] = {name: "images" if over == "pictures" else over for name, over in mean_over.items()}
    return results


def compare(first: Results, second: Results) -> dict[str, Difference]:
    """Paired differences, second minus first, over the images of both.

    Returns:
        `{metric: {"first", "second", "mean", "low", "high", "n", "differs", "better"}}`: means of both and of the
        difference with its bootstrap 95 % interval; `differs` if that leaves out 0, and then `better` is `first` or
        `second`.

    Raises:
        ValueError: If they were not scored in the same way on the same data set, or share no image.
    """
    has_sums = all(results.get("dataset_sha256") for results in (first, second))  # the data may lie anywhere then
    for key in (*COMPARED_KEYS, "dataset_sha256" if has_sums else "dataset"):
        if first.get(key) != second.get(key):
            raise ValueError(f"results differ in {key}: {first.get(key)!r} and {second.get(key)!r}")
    if first.get("protocol_definition") != second.get("protocol_definition"):
        versions = " and ".join(results.get("package_version", "unknown") for results in (first, second))
        raise ValueError(
            f"results differ in protocol_definition (package versions {versions}): score one of them anew"
        )
    rows = {row["image_id"]: row for row in first["per_image"]}
    pairs = [(rows[row["image_id"]], row) for row in second["per_image"] if row["image_id"] in rows]
    if not pairs:
        raise ValueError("the results have no image in common")
    mean_over = first.get("protocol_definition", {}).get("mean_over", {})
    comparison: dict[str, Difference] = {}
    for name in first["metrics"]:
        if name not in second["metrics"]:
            continue
        scores = np.array([[row[name] for row in pair] for pair in pairs], dtype=np.float64)  # null becomes NaN
        scores[np.isnan(scores).any(axis=1)] = np.nan
        weights = np.ones(len(pairs))
        if mean_over.get(name) == "fixations":
            weights = np.array([row["fixations"] for row, _ in pairs], dtype=np.float64)
        difference = mean_with_interval(scores[:, 1] - scores[:, 0], weights)
        differs = difference["low"] > 0 or difference["high"] < 0
        second_is_better = (difference["mean"] > 0) != (name in LOWER_IS_BETTER)
        comparison[name] = {
            "first": mean_with_interval(scores[:, 0], weights)["mean"],
            "second": mean_with_interval(scores[:, 1], weights)["mean"],
            **difference,
            "differs": differs,
            "better": ("second" if second_is_better else "first") if differs else None,
        }
    return comparison


def score_table(results: SavedResults) -> str:
    """Means and intervals, a line per metric."""
    lines = [f"{results['model']} on {results['dataset']}, protocol {results['protocol']}: {results['images']} images"]
    if results["images_without_fixations"]:
        lines[0] += f", {results['images_without_fixations']} of them without a fixation that counts"
    for name, score in results["metrics"].items():
        arrow = "lower is better" if name in LOWER_IS_BETTER else ""
        interval = f"95 % interval {score['low']:8.4f} .. {score['high']:8.4f}"
        lines.append(f"  {name:9} {score['mean']:8.4f}   {interval}   {arrow}".rstrip())
    lines += [f"note: {note}" for note in results.get("notes", [])]
    return "\n".join(lines)


def difference_table(comparison: Mapping[str, Difference], first: str, second: str) -> str:
    """Paired differences, a line per metric."""
    count = max(scores["n"] for scores in comparison.values())
    lines = [f"A = {first}", f"B = {second}", f"{count} images in both; difference B - A with its 95 % interval"]
    for name, scores in comparison.items():
        better = "B" if scores["better"] == "second" else "A"
        verdict = f"differs, {better} is better" if scores["differs"] else "no difference"
        values = f"A {scores['first']:8.4f}   B {scores['second']:8.4f}   B - A {scores['mean']:+8.4f}"
        lines.append(f"  {name:9} {values}   {scores['low']:+8.4f} .. {scores['high']:+8.4f}   {verdict}")
    return "\n".join(lines)
