"""Looking at the files of a data set: which are there, and whether an image can be decoded."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image as PILImage

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


class UnusableError(ValueError):
    """Why an image has to be left out, in one line that names the file."""


def upright_size(file: Any) -> tuple[int, int]:
    """Width and height in pixels of an image (path or open file) as it is shown, its EXIF rotation applied."""
    with PILImage.open(file) as image:
        return _upright_size(image)


def _upright_size(image: PILImage.Image) -> tuple[int, int]:
    sideways = image.getexif().get(PILImage.ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return (image.height, image.width) if sideways else image.size


def encoded_file(encoded: dict[str, Any]) -> Any:
    """What opens an image that `datasets` did not decode: its path, or a file of its bytes."""
    return encoded["path"] if encoded["bytes"] is None else BytesIO(encoded["bytes"])


def check_image(file: Any, kind: str, name: object = None) -> tuple[int, int]:
    """Decodes an image to see whether it is whole.

    Args:
        file: Path or open file.
        kind: What it is called in the message.
        name: How the message names it; `None` takes the path.

    Returns:
        Width and height in pixels, upright.

    Raises:
        UnusableError: If it is missing or damaged.
    """
    name = file if name is None else name
    try:
        with PILImage.open(file) as image:
            size = _upright_size(image)
            image.draft("L", (image.width // 8, image.height // 8))  # a JPEG is then checked at an eighth of its size
            image.load()
        return size
    except FileNotFoundError:
        raise UnusableError(f"{name}: {kind} is missing") from None
    except Exception as error:  # every decoder raises its own
        raise UnusableError(f"{name}: {kind} is damaged: {error}") from error


def by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """The files directly in a folder by their name without ending, sorted; empty if there is no such folder.

    Hidden files are left out: archives packed on a Mac hold a `._name` beside every file.

    Args:
        suffixes: Endings that count; of two files of one name, the earlier ending's is taken.
    """
    if not folder.is_dir():
        return {}
    found = [path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith(".")]
    found.sort(key=lambda path: (path.stem, -suffixes.index(path.suffix.lower())))
    return {path.stem: path for path in found}


def without_image(files: Mapping[str, Path], images: Mapping[str, Path]) -> list[str]:
    """One line for every file that belongs to no image of the same name."""
    return [f"{path}: has no image of its name" for stem, path in files.items() if stem not in images]
