"""The JSON and CSV of regions, comparisons and crops. The same input gives the same bytes."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ..io.json_types import JsonObject
from ..metrics.evaluator import package_version
from .comparison import Comparison
from .crops import Crop
from .regions import Region
from .spots import Focus

SCHEMA_VERSION = "1.0"
DECIMALS = 6  # of every number; more would differ between processors


@dataclass(frozen=True)
class Model:
    """The model that predicted the maps.

    Args:
        name: As it is known by name, or of its folder.
        sha256: SHA-256 of its `model.safetensors`.
        apply_prior: Whether with the learned prior.
        tiles: As in `predict_tiled`.
    """

    name: str
    sha256: str
    apply_prior: bool = True
    tiles: str = "auto"

    @classmethod
    def describe(cls, model: str, apply_prior: bool = True, tiles: str = "auto") -> "Model":
        """Describes a checkpoint given by name, folder or Hub id.

        Raises:
            ValueError: If there is no such checkpoint.
        """
        from ..hub.checkpoint import checkpoint_folder
        from ..hub.registry import WEIGHTS, sha256

        folder = checkpoint_folder(model)
        return cls(folder.name if Path(model).is_dir() else model, sha256(folder / WEIGHTS), apply_prior, tiles)


def printable(name: str) -> str:
    """The name of a file as text that can be written: bytes that are no UTF-8 become `\\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class ImageFile:
    """An image file.

    Args:
        file: Its name, without folders.
        width: In pixels, upright.
        height: In pixels, upright.
        sha256: SHA-256 of the file.
    """

    file: str
    width: int
    height: int
    sha256: str

    @classmethod
    def describe(cls, name: str, content: bytes, image_size: tuple[int, int]) -> "ImageFile":
        """Describes an image in memory.

        Args:
            name: Name of the file.
            content: Content of the file.
            image_size: Width and height in pixels, upright.
        """
        return cls(printable(name), *image_size, hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class Answer:
    """Measurements of one image.

    Args:
        image: The file.
        focus: Focus of its map.
        regions: Measurements of its boxes.
        first_screen: For an image taller than two screens, the part visible before scrolling, predicted separately.
        problems: One line for every box that could not be measured.
    """

    image: ImageFile
    focus: Focus
    regions: Sequence[Region] = ()
    first_screen: "Answer | None" = None
    problems: Sequence[str] = ()


def json_schema() -> JsonObject:
    """The JSON Schema (2020-12) of all documents, version `SCHEMA_VERSION`."""
    schema = resources.files(__package__).joinpath("schemas", "analysis.schema.json")
    return json.loads(schema.read_text(encoding="utf-8"))


def prediction_document(image: ImageFile, focus: Focus, saliency_map: str, model: Model) -> JsonObject:
    """The document of a prediction.

    Args:
        image: The file.
        focus: Focus of its map.
        saliency_map: An 8-bit grey PNG of the image's size, in base64.
        model: The model that predicted it.
    """
    return {
        **_head("prediction", model),
        "image": asdict(image),
        "focus": asdict(focus),
        "saliency_map": saliency_map,
    }


def regions_document(answer: Answer, model: Model) -> JsonObject:
    """The document of `mlnet regions` for one image."""
    return {**_head("regions", model), **_answer(answer)}


def comparison_document(first: Answer, second: Answer, comparison: Comparison, model: Model) -> JsonObject:
    """The document of `mlnet compare`."""
    return {
        **_head("comparison", model),
        "first": _answer(first),
        "second": _answer(second),
        "same_place": comparison.same_place,
        "warnings": comparison.warnings,
        "comparison": [asdict(region) for region in comparison.regions],
    }


def crops_document(image: ImageFile, crops: Iterable[Crop], model: Model) -> JsonObject:
    """The document of `mlnet crop` for one image."""
    return {**_head("crops", model), "image": asdict(image), "crops": [asdict(crop) for crop in crops]}


def to_json(document: Mapping[str, object]) -> str:
    """A document as text, numbers rounded to six decimals."""
    return json.dumps(rounded(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows with the same keys as CSV with a header; a missing value is empty.

    Text that a spreadsheet would take for a formula is quoted with an apostrophe.
    """
    file = io.StringIO()
    if rows:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return file.getvalue()


def region_rows(answer: Answer) -> list[JsonObject]:
    """The lines of an image in `regions.csv`."""
    return [{"image": answer.image.file, **asdict(region)} for region in answer.regions]


def _head(kind: str, model: Model) -> JsonObject:
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "package_version": package_version(),
        "model": asdict(model),
    }


def _answer(answer: Answer) -> JsonObject:
    values = asdict(answer)
    if answer.first_screen is not None:
        for key in ("first_screen", "problems"):
            del values["first_screen"][key]
    return values


def rounded(value: Any) -> Any:
    """Values of JSON with every number rounded to `DECIMALS`."""
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, (list, tuple)) else value


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t")):
        return f"'{value}"
    return "" if value is None else rounded(value)
