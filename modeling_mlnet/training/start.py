"""Comparison of a trained model with the checkpoint that it started from: what does not score better is not kept."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..evaluation.results import Difference, compare
from ..metrics.evaluator import Results
from .arguments import LEAST_IS_BEST

if TYPE_CHECKING:
    from .trainer import MLNetTrainer

FEWEST_IMAGES = 10  # with fewer, a difference of two means is not meaningful
SHOWN = ("CC", "SIM", "KL", "NSS", "AUC")


@dataclass
class Start:
    """The checkpoint that a training started from.

    Args:
        weights: Copies of its tensors.
        scores: Its scores from the Trainer's `evaluate`.
        results: The evaluator's results for it, with a row for each validation image.
    """

    weights: dict[str, Tensor]
    scores: dict[str, float]
    results: Results


@dataclass
class StartComparison:
    """The trained model beside its start, on the same validation images.

    Args:
        metric: The score that decides, `metric_for_best_model`.
        before: Its value for the start.
        after: Its value for the best model of the training.
        differences: `compare`'s paired differences, after minus before, for every metric.
        images: Number of validation images.
    """

    metric: str
    before: float
    after: float
    differences: dict[str, Difference]
    images: int

    @property
    def keeps_start(self) -> bool:
        """Whether the training brought nothing better."""
        return self.after >= self.before if self.metric in LEAST_IS_BEST else self.after <= self.before

    def lines(self) -> list[str]:
        """The comparison in sentences, for the console and the model card, one a line."""
        text = []
        for name in SHOWN:
            if name in self.differences:
                score = self.differences[name]
                text.append(
                    f"{name} {score['first']:.4f} before, {score['second']:.4f} after training: {score['mean']:+.4f} "
                    f"(95 % interval {score['low']:+.4f} to {score['high']:+.4f})"
                )
        if self.keeps_start:
            values = f"{self.metric} {self.before:.4f} at the start, at best {self.after:.4f} after training"
            text.append(f"No trained checkpoint scores better than the start, which is kept ({values}).")
        if self.images < FEWEST_IMAGES:
            text.append(f"{self.images} validation images are too few to tell an improvement from chance.")
        return text


def score_start(trainer: "MLNetTrainer") -> Start:
    """Scores the model before its first step, without a word to the callbacks and without drawing a random number."""
    with torch.random.fork_rng():
        dataloader = trainer.get_eval_dataloader()
        scores = trainer.evaluation_loop(dataloader, "Scoring the start", metric_key_prefix="eval").metrics
    weights = {name: tensor.detach().cpu().clone() for name, tensor in trainer.model.state_dict().items()}
    return Start(weights, scores, trainer.compute_metrics.results)


def keep_better(trainer: "MLNetTrainer", start: Start, scores: dict[str, float]) -> dict[str, float]:
    """Gives the model the weights of its start back if `scores`, after training, are no better.

    Returns:
        The scores of the model as it is then; the comparison is in `trainer.start_comparison`.
    """
    metric = (trainer.args.metric_for_best_model or "loss").removeprefix("eval_")
    results = trainer.compute_metrics.results
    comparison = StartComparison(
        metric,
        start.scores[f"eval_{metric}"],
        scores[f"eval_{metric}"],
        compare(start.results, results),
        results["images"],
    )
    trainer.start_comparison = comparison
    if trainer.is_world_process_zero():
        print(*comparison.lines(), sep="\n", file=sys.stderr, flush=True)
    if not comparison.keeps_start:
        return scores
    trainer.model.load_state_dict(start.weights)
    trainer.compute_metrics.results = start.results
    return start.scores
