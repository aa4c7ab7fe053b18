"""The JSON and CSV of regions, comparisons and crops. The same input gives the same bytes."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

from ..metrics.evaluator import package_version
from .comparison import Comparison
from .crops import Crop
from .regions import Region
from .spots import Focus

SCHEMA_VERSION = "1.0"
SCHEMA = "analysis.schema.json"
DECIMALS = 6  # of every number; more would differ between processors


@dataclass(frozen=True)
class Model:
    """What predicted the maps.

    Args:
        name: As it is known by name, or of its folder.
        sha256: Of its `model.safetensors`.
        apply_prior: Whether with the learned prior.
        tiles: As in `predict_tiled`.
    """

    name: str
    sha256: str
    apply_prior: bool = True
    tiles: str = "auto"


@dataclass(frozen=True)
class ImageFile:
    """An image file.

    Args:
        file: Its name, without folders.
        width: In pixels, upright.
        height: In pixels, upright.
        sha256: Of the file.
    """

    file: str
    width: int
    height: int
    sha256: str

    @classmethod
    def describe(cls, name: str, content: bytes, image_size: tuple[int, int]) -> "ImageFile":
        """Of an image in memory.

        Args:
            name: Of the file.
            content: Of the file.
            image_size: Width and height in pixels, upright.
        """
        return cls(name, *image_size, hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class Answer:
    """What is known of one image.

    Args:
        image: The file.
        focus: Of its map.
        regions: Of its boxes.
        first_screen: Of an image taller than two screens: what is seen before scrolling, predicted by itself.
        problems: One line for every box that could not be measured.
    """

    image: ImageFile
    focus: Focus
    regions: Sequence[Region] = ()
    first_screen: "Answer | None" = None
    problems: Sequence[str] = ()


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of all documents, version `SCHEMA_VERSION`."""
    text = resources.files(__package__).joinpath("schemas", SCHEMA).read_text(encoding="utf-8")
    return json.loads(text)


def regions_document(answer: Answer, model: Model) -> dict[str, Any]:
    """The document of `mlnet regions` for one image."""
    return {**_head("regions", model), **_answer(answer)}


def comparison_document(first: Answer, second: Answer, comparison: Comparison, model: Model) -> dict[str, Any]:
    """The document of `mlnet compare`."""
    return {
        **_head("comparison", model),
        "first": _answer(first),
        "second": _answer(second),
        "same_place": comparison.same_place,
        "warnings": comparison.warnings,
        "comparison": [asdict(region) for region in comparison.regions],
    }


def crops_document(image: ImageFile, crops: Iterable[Crop], model: Model) -> dict[str, Any]:
    """The document of `mlnet crop` for one image."""
    return {**_head("crops", model), "image": asdict(image), "crops": [asdict(crop) for crop in crops]}


def to_json(document: Mapping[str, Any]) -> str:
    """A document as text, numbers rounded to six decimals."""
    return json.dumps(_rounded(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as CSV with a header; a missing value is empty.

    Text that a spreadsheet would take for a formula is quoted with an apostrophe.
    """
    file = io.StringIO()
    if rows:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return file.getvalue()


def region_rows(answer: Answer) -> list[dict[str, Any]]:
    """The lines of an image in `regions.csv`."""
    return [{"image": answer.image.file, **asdict(region)} for region in answer.regions]


def _head(kind: str, model: Model) -> dict[str, Any]:
    details = {"package_version": package_version(), "model": asdict(model)}
    return {"schema_version": SCHEMA_VERSION, "kind": kind, **details}


def _answer(answer: Answer) -> dict[str, Any]:
    values = asdict(answer)
    screen = answer.first_screen
    values["first_screen"] = None if screen is None else _answer(screen)
    if screen is not None:
        for key in ("first_screen", "problems"):
            del values["first_screen"][key]
    return values


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, (list, tuple)) else value


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in tuple("=+-@\t"):
        return f"'{value}"
    return "" if value is None else _rounded(value)
