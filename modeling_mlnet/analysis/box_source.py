"""The boxes of any image, from texts and files together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .box_files import BoxFile, find_box_file, read_boxes
from .boxes import UNITS, Box, check_boxes, find_units, parse_box, to_pixels


@dataclass
class BoxSource:
    """Boxes from texts and files, for any image.

    Args:
        texts: Boxes as text, see `parse_box`.
        paths: Box files, or folders with one for every image.
        units: As in `to_pixels`.

    Raises:
        ValueError: If a text is no box, a file cannot be read, or the units are unknown or cannot be told apart.
    """

    texts: Sequence[str]
    paths: Sequence[str]
    units: str = "auto"
    boxes: list[Box] = field(init=False)
    files: dict[str, BoxFile] = field(init=False)  # of the paths that are no folders

    def __post_init__(self) -> None:
        if self.units not in UNITS:
            raise ValueError(f"units must be one of {', '.join(UNITS)}, got {self.units!r}")
        self.boxes = [parse_box(text) for text in self.texts]
        if self.units == "auto":
            find_units(self.boxes)
        self.files = {path: read_boxes(path) for path in self.paths if not Path(path).is_dir()}

    def __bool__(self) -> bool:
        return bool(self.texts or self.paths)

    def problems(self) -> list[str]:
        """One line for every entry of the files that is no box."""
        return [line for file in self.files.values() for line in file.problems]

    def for_image(self, image: Path, image_size: tuple[int, int]) -> tuple[list[Box], list[str]]:
        """The boxes of an image in pixels, and one line for every one that cannot be measured."""
        boxes: list[Box] = []
        problems: list[str] = []
        try:
            boxes += to_pixels(self.boxes, image_size, self.units)
        except ValueError as error:
            problems.append(f"{image.name}: {error}")
        for path in self.paths:
            is_folder = path not in self.files
            try:
                file = read_boxes(find_box_file(Path(path), image)) if is_folder else self.files[path]
            except ValueError as error:
                problems.append(str(error))
                continue
            measurable, unusable = file.for_image(image, image_size, self.units)
            if is_folder:
                unusable = [*file.problems, *unusable]
            elif not measurable and not unusable:
                unusable = [f"{path}: has no boxes for {image.name}"]
            boxes, problems = [*boxes, *measurable], [*problems, *unusable]
        checked, unusable = check_boxes(boxes, image_size)
        return checked, [*problems, *(f"{image.name}: {line}" for line in unusable)]

    def names_image(self, image: Path) -> bool:
        """Whether a file has boxes that are said to be this image's own."""
        for path in self.paths:
            is_folder = path not in self.files
            if is_folder or any(box.images and box.belongs_to(image) for box in self.files[path].boxes):
                return True
        return False
