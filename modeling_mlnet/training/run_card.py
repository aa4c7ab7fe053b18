"""The model card of a training run: what it was trained on and how, and its scores beside the references."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset

from ..data.schema import FEATURES
from ..evaluation.evaluate import evaluate, predicted_by, read_truths
from ..evaluation.example_sheet import Source, choose_pictures, draw_sheet
from ..hub.model_card import TrainingSet, compose, front_matter, score_section, training_section
from ..inference.predictor import SaliencyPredictor
from ..io.atomic import write_whole
from ..io.figures import save_figure
from ..metrics import Evaluator

if TYPE_CHECKING:
    from .trainer import MLNetTrainer

VALIDATION = "validation"  # what the pictures kept out are called, whichever data sets they come from
LOOKED_AT = 200  # pictures among which the worst are looked for: each costs one more pass through the network
ABSOLUTE = re.compile(r"(^|[:=])/(?:[^/]+/)*([^/]+)/?$")  # a path, or one behind a data set's or an option's name
SHEETS = {"random": "Pictures at random", "worst": "The worst pictures"}
PROTOCOL = Evaluator().protocol.name


@dataclass(frozen=True)
class RunOrigin:
    """What the Trainer itself does not know of a run.

    Args:
        command: That repeats it.
        start: Where its weights come from.
        datasets: What it was trained and scored on.
        changes: What augmentation does, in words.
    """

    command: str = "`MLNetTrainer`, called from Python"
    start: str = "not stated"
    datasets: list[TrainingSet] = field(default_factory=list)
    changes: str = "not stated"


def command_line(recipe: str | Path, overrides: Sequence[str]) -> str:
    """The `mlnet train` command of a run, without a machine's folders and what only matters to the terminal."""
    words = ["mlnet", "train", *(ABSOLUTE.sub(r"\1\2", str(one)) for one in (recipe, *overrides))]
    quiet = ["--disable_tqdm", "true"]
    for index in range(len(words) - 1):
        if words[index : index + 2] == quiet:
            words[index : index + 2] = []
            break
    return f"`{shlex.join(words)}`"


def write_run_card(trainer: "MLNetTrainer", scored: bool = True) -> Path:
    """Writes README.md into the run's folder, with maps-only sheets of pictures at random and of the worst.

    Args:
        trainer: After its training.
        scored: Whether the references are scored and the sheets drawn, which takes a while; needs rows of
            `modeling_mlnet.data` as `eval_dataset`.
    """
    folder = Path(trainer.args.output_dir)
    rows, origin = trainer.eval_dataset, trainer.origin
    results = getattr(trainer.compute_metrics, "results", None)
    own_rows = isinstance(rows, Dataset) and set(FEATURES) <= set(rows.column_names)
    if own_rows:
        rows = with_unique_ids(rows)
    name = trainer.args.hub_model_id or folder.absolute().name
    title = name.rpartition("/")[2]
    sections = {"Training": training_section(origin.datasets, _facts(trainer, origin))}
    scores: dict[str, Any] = {}
    sources = {} if results is None else {title: results}
    if scored and own_rows:
        device = trainer.args.device.type
        predictor = SaliencyPredictor(trainer.model, trainer.processing_class, device=device, dtype="float32")
        predicted = predicted_by(predictor)
        sources = _all_scores(title, predicted, rows)
    if sources:
        scores = {VALIDATION: sources[title]["metrics"]}
        sections["Scores"] = (
            f"On the images kept out of training, from the same data sets: expect less on other kinds of images."
            f"{_choices(trainer)}\n\n{score_section(PROTOCOL, {VALIDATION: sources}, title)}"
        )
    if scored and own_rows:
        sections["Pictures"] = _sheets(title, predicted, rows, folder, trainer.args.seed)
    slugs = {VALIDATION: "+".join(one.slug for one in origin.datasets) or "unknown"}
    data = front_matter(title, scores, PROTOCOL, slugs, license="other")
    data.datasets = [one.slug for one in origin.datasets] or None
    config = trainer.model.config
    text = (
        f"ML-Net (Cornia et al., ICPR 2016, arXiv 1609.01064) on the timm backbone `{config.backbone}`, trained on a "
        f"canvas of {config.image_size[0]}x{config.image_size[1]} px. The licence of the weights follows from the "
        "data sets and the backbone's weights; state it before you publish."
    )
    card = compose(data, title, text, str(folder), sections)
    write_whole(folder / "README.md", lambda file: file.write(card.encode()))
    return folder / "README.md"


def _choices(trainer: "MLNetTrainer") -> str:
    """What the validation images decided, and the comparison with the start."""
    args, start = trainer.args, trainer.start_comparison
    text = ""
    if (args.load_best_model_at_end and args.eval_strategy != "no") or trainer.averaged:
        text += " They also chose the best checkpoint, so the scores are a little optimistic."
    if start is not None:
        text += "\n\nBeside the checkpoint that the training started from, on the same images:\n\n"
        text += "\n".join(f"- {line}" for line in start.lines())
    return text


def _facts(trainer: "MLNetTrainer", origin: RunOrigin) -> dict[str, str]:
    args, config = trainer.args, trainer.model.config
    length = f"{args.max_steps} steps" if args.max_steps > 0 else f"{args.num_train_epochs:g} epochs"
    batch = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    rate = f"{args.learning_rate:g}"
    if args.backbone_learning_rate is not None:
        rate += f" (backbone {args.backbone_learning_rate:g})"
    device = f"{args.world_size} process{'es' * (args.world_size > 1)} on {args.device.type}"
    names = ", ".join(f"`{Path(one).name}`" for one in args.teachers)
    taught = {"teachers": f"{args.teacher_share:.0%} of the labels are of {names}"} if args.teachers else {}
    averaged = {"weights": f"the mean of the last {trainer.averaged} checkpoints"} if trainer.averaged else {}
    return {
        "command": origin.command,
        "seed": str(args.seed),
        "start": origin.start,
        "loss": f"`{config.loss}`",
        **taught,
        "schedule": f"{args.optim.value}, {rate}, {args.lr_scheduler_type.value}, {length}, batches of {batch}",
        "augmentation": origin.changes,
        **averaged,
        "machine": f"{device}, {'bfloat16' if args.bf16 else 'float16' if args.fp16 else 'float32'}",
    }


def with_unique_ids(rows: Dataset) -> Dataset:
    """Two data sets may use the same ids, which one evaluation must tell apart."""
    names: dict[str, None] = {}
    for name in rows["image_id"]:
        numbered = (f"{name} ({number})" for number in count(2))
        names[next(one for one in chain([name], numbered) if one not in names)] = None
    return rows.remove_columns("image_id").add_column("image_id", list(names))


def _all_scores(name: str, predicted: Source, rows: Dataset) -> dict[str, Any]:
    """Of the model, under all metrics (those of the training itself leave out what needs other pictures), and of the
    references.
    """
    has_observers = all(len(set(truth.observers)) > 1 for truth in read_truths(rows))
    sources: dict[str, Any] = {name: predicted, "centre": "centre"}
    if has_observers:
        sources["half-observers"] = "half-observers"
    return {one: evaluate(rows, source, PROTOCOL) for one, source in sources.items()}


def _sheets(name: str, predicted: Source, rows: Dataset, folder: Path, seed: int) -> str:
    """Draws the sheets, maps only: whether photographs may be shown is not known."""
    chosen = np.random.default_rng(seed).permutation(len(rows))[:LOOKED_AT]
    looked_at = rows.select(sorted(chosen.tolist()))
    lines = []
    for rule, title in SHEETS.items():
        sheet = choose_pictures(looked_at, {name: predicted}, rule, count=4, seed=seed)
        save_figure(draw_sheet(sheet, photos=False), folder / "images" / f"{rule}.png")
        lines.append(f"{title}: {sheet.rule}; maps only.\n\n![{title}: truth and prediction](images/{rule}.png)")
    return "\n\n".join(lines)
