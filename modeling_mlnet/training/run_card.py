"""The model card of a training run: its data and settings, and its scores beside the references."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

import numpy as np
from datasets import Dataset

from ..data.schema import FEATURES
from ..evaluation.evaluate import evaluate, predicted_by
from ..evaluation.example_sheet import MapSource, choose_images, draw_sheet
from ..evaluation.truths import read_truths
from ..hub.model_card import TrainingSet, compose, front_matter, score_section, training_section
from ..image_processing_mlnet import MLNetImageProcessor
from ..inference.predictor import SaliencyPredictor
from ..io.atomic import write_whole
from ..io.figures import save_figure
from ..metrics import Evaluator
from ..metrics.evaluator import Interval, Results
from ..modeling_mlnet import MLNetModel
from .arguments import MLNetTrainingArguments
from .start import StartComparison

VALIDATION = "validation"  # name of the held-out images, whichever data sets they come from
SHEET_CANDIDATES = 200  # images that the sheets are chosen from; each costs one more pass through the network
# An absolute path, alone or behind the name of a data set or an option
ABSOLUTE = re.compile(r"(^|[:=])(?:[A-Za-z]:[/\\]|/)(?:[^/\\]+[/\\])*([^/\\]+)[/\\]?$")
SHEETS = {"random": "Images at random", "worst": "The worst images"}
PROTOCOL = Evaluator().protocol.name


@dataclass(frozen=True)
class RunOrigin:
    """Facts about a run that the Trainer does not know.

    Args:
        command: The command that repeats it.
        start: Source of its initial weights.
        datasets: Data sets of training and validation.
        changes: Description of the augmentation.
    """

    command: str = "`MLNetTrainer`, called from Python"
    start: str = "not stated"
    datasets: list[TrainingSet] = field(default_factory=list)
    changes: str = "not stated"


@dataclass(frozen=True)
class FinishedRun:
    """A run whose card is to be written.

    Args:
        arguments: Arguments of the training.
        model: The trained model.
        image_processor: Image processor of the model.
        rows: The validation data set.
        results: Results of the last evaluation, or `None`.
        origin: Start, data and augmentation.
        start_comparison: Scores beside those of the checkpoint that the training started from, if there was one.
    """

    arguments: MLNetTrainingArguments
    model: MLNetModel
    image_processor: MLNetImageProcessor
    rows: Dataset | None
    results: Results | None
    origin: RunOrigin
    start_comparison: StartComparison | None = None


def command_line(recipe: str | Path, overrides: Sequence[str]) -> str:
    """The `mlnet train` command of a run, without folders of the machine and options that concern the terminal."""
    words = ["mlnet", "train", *(ABSOLUTE.sub(r"\1\2", str(word)) for word in (recipe, *overrides))]
    quiet = ["--disable_tqdm", "true"]
    for index in range(len(words) - 1):
        if words[index : index + 2] == quiet:
            words[index : index + 2] = []
            break
    return f"`{shlex.join(words)}`"


def write_run_card(run: FinishedRun, scored: bool = True) -> Path:
    """Writes README.md into the folder of a run, with sheets of random images and of the worst.

    Args:
        run: After its training.
        scored: Whether the references are scored and the sheets drawn, which takes a while; needs rows of
            `modeling_mlnet.data`.

    Returns:
        The path of the card.
    """
    arguments, origin, rows, results = run.arguments, run.origin, run.rows, run.results
    folder = Path(arguments.output_dir)
    own_rows = isinstance(rows, Dataset) and set(FEATURES) <= set(rows.column_names)
    if own_rows:
        rows = with_unique_ids(rows)
    name = arguments.hub_model_id or folder.absolute().name
    title = name.rpartition("/")[2]
    sections = {"Training": training_section(origin.datasets, _facts(run))}
    scores: dict[str, dict[str, Interval]] = {}
    sources = {} if results is None else {title: results}
    if scored and own_rows:
        device = arguments.device.type
        predictor = SaliencyPredictor(run.model, run.image_processor, device=device, dtype="float32")
        predicted = predicted_by(predictor)
        sources = _all_scores(title, predicted, rows)
    if sources:
        scores = {VALIDATION: sources[title]["metrics"]}
        sections["Scores"] = (
            "On the images kept out of training, from the same data sets: expect less on other kinds of images."
            f"{_choices(run)}\n\n{score_section(PROTOCOL, {VALIDATION: sources}, title)}"
        )
    if scored and own_rows:
        sections["Images"] = _sheets(title, predicted, rows, folder, arguments.seed)
    slugs = {VALIDATION: "+".join(dataset.slug for dataset in origin.datasets) or "unknown"}
    data = front_matter(title, scores, PROTOCOL, slugs, license="other")
    data.datasets = [dataset.slug for dataset in origin.datasets] or None
    config = run.model.config
    text = (
        f"ML-Net (Cornia et al., ICPR 2016, arXiv 1609.01064) on the timm backbone `{config.backbone}`, trained on a "
        f"canvas of {config.image_size[0]}x{config.image_size[1]} px. The licence of the weights follows from the "
        "data sets and the backbone's weights; state it before you publish."
    )
    card = compose(data, title, text, str(folder), sections)
    write_whole(folder / "README.md", lambda file: file.write(card.encode()))
    return folder / "README.md"


def _choices(run: FinishedRun) -> str:
    """Choices made on the validation images, and the comparison with the start."""
    arguments, start = run.arguments, run.start_comparison
    text = ""
    if arguments.load_best_model_at_end and arguments.eval_strategy != "no":
        text += " They also chose the best checkpoint, so the scores are a little optimistic."
    if start is not None:
        text += "\n\nBeside the checkpoint that the training started from, on the same images:\n\n"
        text += "\n".join(f"- {line}" for line in start.lines())
    return text


def _facts(run: FinishedRun) -> dict[str, str]:
    args, origin = run.arguments, run.origin
    length = f"{args.max_steps} steps" if args.max_steps > 0 else f"{args.num_train_epochs:g} epochs"
    batch = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    rate = f"{args.learning_rate:g}"
    if args.backbone_learning_rate is not None:
        rate += f" (backbone {args.backbone_learning_rate:g})"
    precision = "bfloat16" if args.bf16 else "float16" if args.fp16 else "float32"
    processes = "1 process" if args.world_size == 1 else f"{args.world_size} processes"
    names = ", ".join(f"`{Path(name).name}`" for name in args.teachers)
    teachers = {"teachers": f"{names}, with a weight of {args.teacher_share:.0%} in the labels"} if names else {}
    keeps_start = run.start_comparison is not None and run.start_comparison.keeps_start
    weights = {"weights": "those of the start"} if keeps_start else {}
    return {
        "command": origin.command,
        "seed": str(args.seed),
        "start": origin.start,
        "loss": f"`{run.model.config.loss}`",
        **teachers,
        "schedule": f"{args.optim.value}, {rate}, {args.lr_scheduler_type.value}, {length}, batches of {batch}",
        "augmentation": origin.changes,
        **weights,
        "machine": f"{processes} on {args.device.type}, {precision}",
    }


def with_unique_ids(rows: Dataset) -> Dataset:
    """Numbers image ids that occur more than once, as ids of different data sets may be equal."""
    names: dict[str, None] = {}
    for name in rows["image_id"]:
        numbered = (f"{name} ({number})" for number in count(2))
        names[next(candidate for candidate in chain([name], numbered) if candidate not in names)] = None
    return rows.remove_columns("image_id").add_column("image_id", list(names))


def _all_scores(name: str, predicted: MapSource, rows: Dataset) -> dict[str, Results]:
    """Scores the model and the references under all metrics, also those that need other images."""
    has_observers = all(len(set(truth.observers)) > 1 for truth in read_truths(rows))
    sources: dict[str, MapSource | str] = {name: predicted, "centre": "centre"}
    if has_observers:
        sources["inter-observer"] = "inter-observer"
    return {source_name: evaluate(rows, source, PROTOCOL) for source_name, source in sources.items()}


def _sheets(name: str, predicted: MapSource, rows: Dataset, folder: Path, seed: int) -> str:
    """Draws the sheets with maps only, as the photographs may not be free to show."""
    chosen = np.random.default_rng(seed).permutation(len(rows))[:SHEET_CANDIDATES]
    candidates = rows.select(sorted(chosen.tolist()))
    lines = []
    for rule, title in SHEETS.items():
        sheet = choose_images(candidates, {name: predicted}, rule, count=4, seed=seed)
        save_figure(draw_sheet(sheet, photos=False), folder / "images" / f"{rule}.png")
        lines.append(f"{title}: {sheet.rule}; maps only.\n\n![{title}: truth and prediction](images/{rule}.png)")
    return "\n\n".join(lines)
