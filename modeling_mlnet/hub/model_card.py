"""The model card: front matter the Hub reads, how to use a checkpoint, its data, its scores beside references."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..metrics import LOWER_IS_BETTER, PROTOCOLS

TAGS = ["saliency", "visual-attention", "eye-fixations", "mlnet"]
PIPELINE_TAG = "image-to-image"  # the Hub has no tag of its own for saliency
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

`mlnet predict photo.jpg -o maps --model {name}` writes it as a picture, `mlnet push {name} OWNER/NAME` puts this
folder on the Hub with a card that says how to use it from there,
`mlnet export {name} -o onnx` makes an ONNX model of it.
"""
LIMITS = """\
- It predicts where the average viewer looks in the first seconds of free viewing, not what one person does, and not
  under a task (searching, reading, driving).
- A map is relative to its picture: two pictures' maps cannot be compared by their values.
- The grid has one cell per 8x8 px of the canvas: small, close objects share one peak.
- Pictures unlike those it was trained on are outside of what it has seen, and it does not say so.
- It says nothing about a person in the picture, and must not be used to judge viewers.
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
    """What a card says of one data set that was trained on.

    Args:
        title: What it is called.
        slug: Its short name, for the front matter.
        trained: Pictures trained on; `None` if they were streamed and not counted.
        scored: Pictures kept for the scores.
        observers: How many people looked at a picture, in words.
        licence: Of the annotations and the photographs, in words.
    """

    title: str
    slug: str
    trained: int | None
    scored: int | None
    observers: str = "not stated"
    licence: str = "not stated"

    @classmethod
    def of(cls, spec: str, trained: int | None, scored: int | None) -> "TrainingSet":
        """From `NAME:DIR`, a folder or a Hub id, and what is known of public data sets."""
        from ..data.catalog import CATALOG  # `data` needs an extra, which writing a card for the Hub does not

        name, _, place = spec.rpartition(":")
        known = CATALOG.get(name)
        if known is not None:
            terms = f"annotations {known.licence}, photographs: {known.photos}"
            return cls(known.title, name, trained, scored, known.observers, terms)
        title = Path(place).name if name or Path(spec).is_dir() else spec
        return cls(title, re.sub(r"[^\w.-]+", "-", title).strip("-.").lower() or "data", trained, scored)


def front_matter(
    name: str,
    scores: Mapping[str, Mapping[str, Any]],
    protocol: str,
    slugs: Mapping[str, str],
    license: str = "mit",
    base_model: str | None = None,
) -> ModelCardData:
    """What the Hub reads: tags, data sets, and every score as an entry of the model index.

    Args:
        name: Of the model.
        scores: `{data set: {metric: {"mean", ...}}}`; may be empty.
        protocol: Under which they were taken.
        slugs: Short name of every data set.
        license: As the Hub abbreviates licences.
        base_model: timm's name of the backbone, on the Hub.
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
        for dataset, found in scores.items()
        for metric, score in found.items()
    ]
    metrics = sorted({metric.lower() for found in scores.values() for metric in found})
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
    protocol: str, datasets: Mapping[str, Mapping[str, Any]], sources: Sequence[str], intervals: bool = True
) -> Iterator[str]:
    """A Markdown table of scores; the first of the sources is the model.

    Args:
        protocol: A name of `PROTOCOLS`; metrics that one of the results does not have are left out.
        datasets: `{data set: {source: results of evaluate}}`.
        sources: Those to show, in their order.
        intervals: Whether the 95 % intervals are shown.
    """
    given = [set(results["metrics"]) for found in datasets.values() for results in found.values()]
    names = [name for name in PROTOCOLS[protocol].metrics if all(name in one for one in given)]
    yield f"| data set | pictures | | {' | '.join(names)} |"
    yield "|---|---|---|" + "---|" * len(names)
    for dataset, found in datasets.items():
        for source in sources:
            if source in found:
                cells = [_cell(found[source]["metrics"][name], intervals) for name in names]
                first = f"{dataset} | {found[source]['images']}" if source == sources[0] else " | "
                yield f"| {first} | {source} | {' | '.join(cells)} |"


def _cell(score: Mapping[str, float], interval: bool) -> str:
    return f"{score['mean']:.3f}" + f" ({score['low']:.3f}..{score['high']:.3f})" * interval


def score_section(protocol: str, datasets: Mapping[str, Mapping[str, Any]], source: str) -> str:
    """The table with what has to be known to read it."""
    lower = ", ".join(name for name in PROTOCOLS[protocol].metrics if name in LOWER_IS_BETTER)
    table = "\n".join(score_lines(protocol, datasets, (source, *REFERENCES)))
    return f"""\
Protocol `{protocol}`, with bootstrap 95 % intervals over pictures, every map at its picture's own size. Lower
is better for {lower} only. `centre` looks at no picture: a Gaussian with the mean and spread of the data set's
fixations. `inter-observer` is the human ceiling: every second observer predicts the others, on those others'
fixations alone.

{table}
"""


def training_section(data: Iterable[TrainingSet], facts: Mapping[str, str]) -> str:
    """The table of facts and that of the data sets."""
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items())]
    lines += ["", "| data set | trained on | kept out for the scores | observers | licence |", "|---|---|---|---|---|"]
    lines += [
        f"| {one.title} | {_count(one.trained)} | {_count(one.scored)} | {one.observers} | {one.licence} |"
        for one in data
    ]
    return "\n".join(lines) + "\n"


def _count(number: int | None) -> str:
    return "not counted" if number is None else f"{number:,}"


def compose(data: ModelCardData, title: str, text: str, name: str, sections: Mapping[str, str]) -> str:
    """A whole card.

    Args:
        data: Its front matter.
        title: Heading.
        text: What the model is.
        name: How the checkpoint is called where the card stands: a folder.
        sections: Further ones by their headings; limits and citation follow them.
    """
    parts = [f"---\n{data.to_yaml()}\n---", f"# {title}", text.strip()]
    parts += ["## Use", f"{USE[0]}\n\n{USE_FOLDER.format(name=name).strip()}\n\n{USE[1]}"]
    parts += [f"## {heading}\n\n{section.strip()}" for heading, section in sections.items()]
    parts += [f"## Limits and misuse\n\n{LIMITS.strip()}", f"## Citation\n\n{CITATION.strip()}"]
    return "\n\n".join(parts) + "\n"


def for_hub(text: str, hub_id: str) -> str:
    """A card as it is pushed: how to use the model from the Hub, and what the Hub has to find in the front matter.

    Args:
        text: Any card; what stands in it already stays.
        hub_id: `owner/name`.
    """
    card = ModelCard(text, ignore_metadata_errors=False)
    data: Any = card.data
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
