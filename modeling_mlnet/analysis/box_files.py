"""Reading boxes from files: CSV, labelme, COCO and YOLO."""

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

from ..io.json_types import JsonObject
from .boxes import UNITS, Box, check_boxes, find_units, to_pixels

COLUMNS = ("name", "x", "y", "width", "height")
SUFFIXES = (".csv", ".json", ".txt")
CLASSES = ("classes.txt", "obj.names")  # beside YOLO files: a class name a line


@dataclass(frozen=True)
class LabelledBox:
    """A box as a file states it.

    Args:
        box: In `units`.
        units: `"pixels"`, `"fractions"`, or `"auto"` where the file does not say.
        images: Names of the images it belongs to, any of which will do; none: it belongs to every image.
        image_size: Width and height in pixels of the image it was drawn on, if the file states them.
    """

    box: Box
    units: str = "auto"
    images: tuple[str, ...] = ()
    image_size: tuple[int, int] | None = None

    def belongs_to(self, image: Path) -> bool:
        """Whether an image's path ends with one of `images`."""
        parts = image.parts
        names = [PurePosixPath(name.replace("\\", "/")).parts for name in self.images]
        return not names or any(parts[-len(name) :] == name for name in names if name)


@dataclass
class BoxFile:
    """Content of a box file.

    Args:
        path: Path of the file.
        boxes: In the file's order.
        problems: One line for every entry that is no box.
    """

    path: Path
    boxes: list[LabelledBox] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def for_image(self, image: Path, image_size: tuple[int, int], units: str = "auto") -> tuple[list[Box], list[str]]:
        """The boxes of an image in pixels, and one line for every box that cannot be measured.

        Args:
            image: Its path, to which the names in the file are compared.
            image_size: Its width and height in pixels, upright.
            units: As in `to_pixels`, for boxes whose units the file does not state.
        """
        labelled = [box for box in self.boxes if box.belongs_to(image)]
        problems = []
        for size in dict.fromkeys(box.image_size for box in labelled):
            if size is not None and size != image_size:
                width, height = image_size
                problems.append(f"its boxes are for {size[0]} x {size[1]} px, the image has {width} x {height} px")
                labelled = [box for box in labelled if box.image_size != size]
        unstated = [box.box for box in labelled if box.units == "auto"]
        try:
            units = find_units(unstated) if units == "auto" else units
            pixels: list[Box] = []
            for box in labelled:
                pixels += to_pixels([box.box], image_size, units if box.units == "auto" else box.units)
        except ValueError as error:
            return [], [f"{self.path}: {image.name}: {error}"]
        boxes, unusable = check_boxes(pixels, image_size)
        return boxes, [f"{self.path}: {image.name}: {problem}" for problem in [*problems, *unusable]]


def read_boxes(path: str | PathLike) -> BoxFile:
    """Reads a box file.

    | file | boxes |
    |---|---|
    | CSV | columns `name,x,y,width,height`; `image` names the line's image, `units` is pixels or fractions |
    | labelme JSON | shapes of type `rectangle` |
    | COCO JSON | `bbox` of every annotation |
    | YOLO text | lines `class centre_x centre_y width height` in fractions; `classes.txt` beside it has the names |

    In labelme, COCO and YOLO files labels are classes: where a label is used several times in an image, its boxes are
    numbered in the file's order, `person 1`, `person 2`.

    Raises:
        ValueError: If the file cannot be read or is none of these; it names the file.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{path}: boxes are read from CSV, labelme or COCO JSON, or YOLO text ({', '.join(SUFFIXES)})"
        )
    text, file = _read_text(path), BoxFile(path)
    if path.suffix.lower() == ".csv":
        _read_csv(text, file)
    elif path.suffix.lower() == ".txt":
        _read_yolo(text, file)
        _number_labels(file)
    else:
        try:
            document = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{path}: is not JSON: {error}") from None
        if isinstance(document, dict) and isinstance(document.get("shapes"), list):
            _read_labelme(document, file)
        elif isinstance(document, dict) and isinstance(document.get("annotations"), list):
            _read_coco(document, file)
        else:
            raise ValueError(f"{path}: is neither labelme (`shapes`) nor COCO (`images`, `annotations`)")
        _number_labels(file)
    if not file.boxes and not file.problems:
        raise ValueError(f"{path}: has no boxes")
    return file


def find_box_file(folder: Path, image: Path) -> Path:
    """The box file of an image in a folder: the file with the image's stem.

    Raises:
        ValueError: If the folder has no such file, or several.
    """
    files = [folder / f"{image.stem}{suffix}" for suffix in SUFFIXES if (folder / f"{image.stem}{suffix}").is_file()]
    if len(files) != 1:
        names = ", ".join(f"{image.stem}{suffix}" for suffix in SUFFIXES)
        raise ValueError(f"{folder}: has {'several of' if files else 'none of'} {names}")
    return files[0]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ValueError(f"{path}: cannot be read: {reason}") from None


def _read_csv(text: str, file: BoxFile) -> None:
    first_line = text.partition("\n")[0]
    delimiter = max(",;\t", key=first_line.count)
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or []]
    if not set(COLUMNS) <= set(reader.fieldnames):
        expected = f"a first line {','.join(COLUMNS)} (image and units may be added)"
        raise ValueError(f"{file.path}: expected {expected}, got {first_line.strip()[:80]!r}")
    for row in reader:
        try:
            box = Box((row["name"] or "").strip(), *(float(row[column]) for column in COLUMNS[1:]))
            units = (row.get("units") or "auto").strip().lower()
            if units not in UNITS:
                raise ValueError
        except (TypeError, ValueError):
            text = delimiter.join(str(value) for value in row.values() if isinstance(value, str))[:80]
            file.problems.append(f"{file.path}: line {reader.line_num}: expected {','.join(COLUMNS)}, got {text!r}")
            continue
        image = (row.get("image") or "").strip()
        file.boxes.append(LabelledBox(box, units, (image,) if image else ()))


def _read_labelme(document: JsonObject, file: BoxFile) -> None:
    size = _stated_size(document.get("imageWidth"), document.get("imageHeight"))
    stated = PurePosixPath(str(document.get("imagePath") or "").replace("\\", "/"))
    images: tuple[str, ...] = (stated.name,) if stated.name else ()
    if stated.suffix:
        images = (stated.name, f"{file.path.stem}{stated.suffix}")  # a renamed pair still belongs together
    for number, shape in enumerate(document["shapes"], 1):
        label = str(shape.get("label") or "") if isinstance(shape, dict) else ""
        kind = shape.get("shape_type") if isinstance(shape, dict) else type(shape).__name__
        try:
            if kind != "rectangle":
                raise ValueError(f"is a {kind}; only a rectangle is a box")
            (left, top), (right, bottom) = ((float(x), float(y)) for x, y in shape["points"])
        except (KeyError, TypeError, ValueError) as error:
            reason = str(error) if kind != "rectangle" else "needs two points"
            file.problems.append(f"{file.path}: shape {number} {label!r} {reason}")
            continue
        x, y = min(left, right), min(top, bottom)
        box = Box(label, x, y, abs(right - left), abs(bottom - top))
        file.boxes.append(LabelledBox(box, "pixels", images, size))


def _read_coco(document: JsonObject, file: BoxFile) -> None:
    try:
        images = {image["id"]: image for image in document.get("images", [])}
        categories = {category["id"]: str(category["name"]) for category in document.get("categories", [])}
    except (KeyError, TypeError):
        raise ValueError(f"{file.path}: an image or a category has no id or name") from None
    for number, annotation in enumerate(document["annotations"], 1):
        try:
            image = images[annotation["image_id"]]
            name = str(image["file_name"])
            label = categories.get(annotation.get("category_id"), str(annotation.get("category_id", "")))
        except (KeyError, TypeError, AttributeError):
            file.problems.append(f"{file.path}: annotation {number} does not name an image of the file")
            continue
        bbox = annotation.get("bbox") or []
        try:
            x, y, width, height = (float(value) for value in bbox)
        except (TypeError, ValueError):
            reason = "is a mask without a bbox" if annotation.get("segmentation") else f"has the bbox {bbox}"
            file.problems.append(f"{file.path}: annotation {number} {reason}; expected x, y, width, height")
            continue
        size = _stated_size(image.get("width"), image.get("height"))
        file.boxes.append(LabelledBox(Box(label, x, y, width, height), "pixels", (name,), size))


def _read_yolo(text: str, file: BoxFile) -> None:
    candidates = [folder / name for folder in (file.path.parent, file.path.parent.parent) for name in CLASSES]
    classes = next((path for path in candidates if path.is_file()), None)
    names = [] if classes is None else _read_text(classes).split("\n")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            label, *numbers = line.split()
            x, y, width, height = (float(value) for value in numbers[:4])
            if len(numbers) > 5 or any(value > 1 for value in (x, y, width, height)):  # a sixth one is a confidence
                raise ValueError
        except ValueError:
            file.problems.append(
                f"{file.path}: line {number}: expected class, centre x, centre y, width and height in fractions, "
                f"got {line.strip()[:80]!r}"
            )
            continue
        if label.isdecimal() and int(label) < len(names) and names[int(label)].strip():
            label = names[int(label)].strip()
        file.boxes.append(LabelledBox(Box(label, x - width / 2, y - height / 2, width, height), "fractions"))


def _stated_size(width: Any, height: Any) -> tuple[int, int] | None:
    return (int(width), int(height)) if isinstance(width, int) and isinstance(height, int) else None


def _number_labels(file: BoxFile) -> None:
    """Numbers the boxes of an image that share a label."""
    count = Counter((box.images, box.box.name) for box in file.boxes)
    used: Counter[tuple[tuple[str, ...], str]] = Counter()
    for index, box in enumerate(file.boxes):
        key = (box.images, box.box.name)
        if count[key] > 1:
            used[key] += 1
            file.boxes[index] = replace(box, box=replace(box.box, name=f"{box.box.name} {used[key]}"))
