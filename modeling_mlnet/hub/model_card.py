"""Model cards: front matter, usage, training data, scores beside references, limits."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..metrics import LOWER_IS_BETTER, PROTOCOLS
from ..metrics.evaluator import Interval, Results

TAGS = ["saliency", "visual-attention", "eye-fixations", "mlnet"]
PIPELINE_TAG = "image-to-image"  # the Hub has no tag for saliency prediction
REFERENCES = ("centre", "uniform", "inter-observer")
USE = ("<!-- use -->", "<!-- end of use -->")

USE_FROM_HUB = """With the package mlnet-saliency:

```python
from modeling_mlnet import SaliencyPredictor

saliency_map = SaliencyPredictor("{name}")("photo.jpg")  # float32 (height, width), 0..1, its maximum being 1
```

Without it, by the code in this repository (it needs transformers, torch, torchvision and timm):

```python
from transformers import pipeline

saliency = pipeline("saliency-prediction", model="{name}", trust_remote_code=True)
result = saliency("photo.jpg")  # {{"saliency_map": tensor (height, width), "heatmap": PIL image}}
```

As transformers classes:

```python
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel

model = AutoModel.from_pretrained("{name}", trust_remote_code=True).eval()
image_processor = AutoImageProcessor.from_pretrained("{name}", trust_remote_code=True)

image = Image.open("photo.jpg")
with torch.no_grad():
    outputs = model(**image_processor(image, return_tensors="pt"))
[saliency_map] = image_processor.post_process_saliency(outputs, target_sizes=[(image.height, image.width)])
```

In ONNX Runtime: `mlnet export {name} -o onnx` with the package writes `onnx/model.onnx`, for any batch and size,
and says how far its maps are from PyTorch's.
"""
USE_FOLDER = """```python
from modeling_mlnet import SaliencyPredictor  # the package mlnet-saliency

saliency_map = SaliencyPredictor("{name}")("photo.jpg")  # float32 (height, width), 0..1, its maximum being 1
```

`mlnet predict photo.jpg -o maps --model {name}` writes it as an image, `mlnet push {name} OWNER/NAME` puts this
folder on the Hub with a card that says how to use it from there,
`mlnet export {name} -o onnx` makes an ONNX model of it.
"""
LIMITS = """\
- It predicts where the average viewer looks in the first seconds of free viewing, not what one person does, and not
  under a task (searching, reading, driving).
- A map is relative to its image: the values of maps of two images cannot be compared.
- The grid has one cell per 8x8 px of the canvas: small, close objects share one peak.
- For images unlike those it was trained on, its maps may be wrong; nothing in the output says so.
- It says nothing about a person in the image, and must not be used to judge viewers.
"""
CITATION = """```bibtex
@inproceedings{cornia2016deep,
  title = {A Deep Multi-Level Network for Saliency Prediction},
  author = {Cornia, Marcella and Baraldi, Lorenzo and Serra, Giuseppe and Cucchiara, Rita},
  booktitle = {International Conference on Pattern Recognition (ICPR)},
  year = {2016}
}
```
"""


@dataclass(frozen=True)
class TrainingSet:
    """A data set in the card of a model that was trained on it.

    Args:
        title: Its name.
        slug: Its short name, for the front matter.
        trained: Number of images of the training; `None` if they were streamed and not counted.
        scored: Number of images that were kept for the scores.
        observers: How many people looked at an image, in words.
        licence: Licence of the annotations and the photographs, in words.
    """

    title: str
    slug: str
    trained: int | None
    scored: int | None
    observers: str = "not stated"
    licence: str = "not stated"

    @classmethod
    def of(cls, spec: str, trained: int | None, scored: int | None) -> "TrainingSet":
        """From `NAME:DIR`, a folder or a Hub id; observers and licence of public data sets are in the catalogue."""
        from ..data.catalog import CATALOG  # needs an extra that `mlnet push` does not

        name, _, folder = spec.rpartition(":")
        if (entry := CATALOG.get(name)) is not None:
            terms = f"annotations {entry.licence}, photographs: {entry.photos}"
            return cls(entry.title, name, trained, scored, entry.observers, terms)
        title = Path(folder).name if name or Path(spec).is_dir() else spec
        return cls(title, re.sub(r"[^\w.-]+", "-", title).strip("-.").lower() or "data", trained, scored)


def front_matter(
    name: str,
    scores: Mapping[str, Mapping[str, Interval]],
    protocol: str,
    slugs: Mapping[str, str],
    license: str = "mit",
    base_model: str | None = None,
) -> ModelCardData:
    """The front matter: tags, data sets, and every score as an entry of the model index.

    Args:
        name: The name of the model.
        scores: `{data set: {metric: {"mean", ...}}}`; may be empty.
        protocol: The protocol of the scores.
        slugs: The short name of every data set.
        license: The Hub's abbreviation of the licence.
        base_model: Hub id of the backbone.
    """
    results = [
        EvalResult(
            task_type=PIPELINE_TAG,
            task_name="Saliency prediction",
            dataset_type=slugs[dataset],
            dataset_name=dataset,
            dataset_split="held out",
            metric_type=metric.lower(),
            metric_name=f"{metric} ({protocol})",
            metric_value=round(score["mean"], 4),
        )
        for dataset, scores_of_metrics in scores.items()
        for metric, score in scores_of_metrics.items()
    ]
    metrics = sorted({metric.lower() for scores_of_metrics in scores.values() for metric in scores_of_metrics})
    return ModelCardData(
        model_name=name,
        library_name="transformers",
        pipeline_tag=PIPELINE_TAG,
        license=license,
        tags=list(TAGS),
        base_model=base_model,
        datasets=list(slugs.values()) or None,
        metrics=metrics or None,
        eval_results=results or None,
    )


def score_lines(
    protocol: str, datasets: Mapping[str, Mapping[str, Results]], sources: Sequence[str], intervals: bool = True
) -> Iterator[str]:
    """A Markdown table of scores; the first of the sources is the model.

    Args:
        protocol: A name of `PROTOCOLS`; metrics that are not in all results are left out.
        datasets: `{data set: {source: results of evaluate}}`.
        sources: The rows of every data set, in this order.
        intervals: Whether the 95 % intervals are shown.
    """
    metrics_of_results = [set(results["metrics"]) for by_source in datasets.values() for results in by_source.values()]
    names = [name for name in PROTOCOLS[protocol].metrics if all(name in metrics for metrics in metrics_of_results)]
    yield f"| data set | images | | {' | '.join(names)} |"
    yield "|---|---|---|" + "---|" * len(names)
    for dataset, by_source in datasets.items():
        for source in sources:
            if source in by_source:
                cells = [_cell(by_source[source]["metrics"][name], intervals) for name in names]
                first = f"{dataset} | {by_source[source]['images']}" if source == sources[0] else " | "
                yield f"| {first} | {source} | {' | '.join(cells)} |"


def _cell(score: Interval, interval: bool) -> str:
    mean = f"{score['mean']:.3f}"
    return f"{mean} ({score['low']:.3f}..{score['high']:.3f})" if interval else mean


def score_section(protocol: str, datasets: Mapping[str, Mapping[str, Results]], source: str) -> str:
    """The table of scores with an explanation."""
    lower = ", ".join(name for name in PROTOCOLS[protocol].metrics if name in LOWER_IS_BETTER)
    table = "\n".join(score_lines(protocol, datasets, (source, *REFERENCES)))
    return f"""\
Protocol `{protocol}`, with bootstrap 95 % intervals over images, every map at the size of its image. Lower
is better for {lower} only. `centre` is the same map for all images: a Gaussian with the mean and spread of the data
set's fixations. `inter-observer` is the human ceiling: every second observer predicts the others, on those others'
fixations alone.

{table}
"""


def training_section(data: Iterable[TrainingSet], facts: Mapping[str, str]) -> str:
    """The tables of facts and of data sets."""
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items())]
    lines += ["", "| data set | trained on | kept out for the scores | observers | licence |", "|---|---|---|---|---|"]
    lines += [
        f"| {dataset.title} | {_count(dataset.trained)} | {_count(dataset.scored)} | {dataset.observers} | "
        f"{dataset.licence} |"
        for dataset in data
    ]
    return "\n".join(lines) + "\n"


def _count(number: int | None) -> str:
    return "not counted" if number is None else f"{number:,}"


def compose(data: ModelCardData, title: str, text: str, name: str, sections: Mapping[str, str]) -> str:
    """Composes a card.

    Args:
        data: The front matter.
        title: The heading.
        text: Description of the model.
        name: The `--model` argument that the usage shows.
        sections: Further sections by their headings; limits and citation follow them.
    """
    parts = [f"---\n{data.to_yaml()}\n---", f"# {title}", text.strip()]
    parts += ["## Use", f"{USE[0]}\n\n{USE_FOLDER.format(name=name).strip()}\n\n{USE[1]}"]
    parts += [f"## {heading}\n\n{section.strip()}" for heading, section in sections.items()]
    parts += [f"## Limits and misuse\n\n{LIMITS.strip()}", f"## Citation\n\n{CITATION.strip()}"]
    return "\n\n".join(parts) + "\n"


def for_hub(text: str, hub_id: str) -> str:
    """Adds to a card how to use the model from the Hub, and the front matter that the Hub needs.

    Args:
        text: Any card; its front matter takes precedence.
        hub_id: `owner/name`.
    """
    card = ModelCard(text, ignore_metadata_errors=False)
    data = card.data
    assert isinstance(data, ModelCardData)
    data.library_name = data.library_name or "transformers"
    data.pipeline_tag = data.pipeline_tag or PIPELINE_TAG
    data.tags = list(dict.fromkeys([*(data.tags or []), *TAGS]))
    if data.eval_results and not data.model_name:
        data.model_name = hub_id.partition("/")[2]
    body = card.text
    use = f"{USE[0]}\n\n{USE_FROM_HUB.format(name=hub_id).strip()}\n\n{USE[1]}"
    if USE[0] in body and USE[1] in body:
        body = body.split(USE[0])[0] + use + body.split(USE[1], 1)[1]
    else:
        body = f"{body.rstrip()}\n\n## Use\n\n{use}\n"
    return f"---\n{data.to_yaml()}\n---\n{body}"
