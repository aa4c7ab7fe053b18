"""Scores during training, computed as in evaluation: every map at the size of its own image."""

from datasets import Dataset
from transformers import EvalPrediction

from ..data.schema import undecoded
from ..evaluation.evaluate import score_truth
from ..evaluation.truths import truth_of
from ..image_processing_mlnet import MLNetImageProcessor
from ..metrics import Evaluator
from ..metrics.evaluator import Results


class BatchMetrics:
    """`compute_metrics` of a Trainer with `batch_eval_metrics=True`.

    Args:
        dataset: The rows that are evaluated, with the columns of `modeling_mlnet.data`.
        image_processor: Inverts the letterbox of the maps.

    Attributes:
        results: Results of the last evaluation, with intervals; `None` before it.
    """

    def __init__(self, dataset: Dataset, image_processor: MLNetImageProcessor):
        self.rows = undecoded(dataset)
        self.image_processor = image_processor
        self.evaluator = Evaluator()
        self.results: Results | None = None

    def __call__(self, prediction: EvalPrediction, compute_result: bool) -> dict[str, float]:
        """Scores a batch.

        Args:
            prediction: Maps `(batch, height/8, width/8)`, and as second label the number of each row.
            compute_result: Whether this is the last batch.

        Returns:
            The mean of every metric with the last batch, nothing before.
        """
        row_numbers = prediction.label_ids[1].tolist()
        for saliency_map, row_number in zip(prediction.predictions, row_numbers, strict=True):
            truth = truth_of(self.rows[row_number])
            [predicted] = self.image_processor.post_process_saliency(saliency_map[None], [truth.size])
            scores = score_truth(self.evaluator, predicted.cpu().numpy(), truth)
            # By row number, as two data sets may share an image id. Rows that fill up the last batch of several
            # processes appear twice and count once.
            self.evaluator.rows.append({**scores, "image_id": row_number})
        if not compute_result:
            return {}
        self.results = self.evaluator.compute()
        self.evaluator.reset()
        return {name: metric["mean"] for name, metric in self.results["metrics"].items()}
