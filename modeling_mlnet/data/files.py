"""Access to the files of a data set, and checks whether images can be decoded."""

import unicodedata
from collections.abc import Container, Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import IO, TypeAlias, TypedDict

from PIL import Image as PILImage

from ..images_mlnet import read_image

OpenableFile: TypeAlias = Path | IO[bytes]
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


class EncodedImage(TypedDict):
    """An image as `datasets` stores it; with `bytes`, the path is a name only."""

    path: str | None
    bytes: bytes | None


class UnusableError(ValueError):
    """Why an image has to be left out, in one line that names the file.

    Args:
        message: The line.
        outside: How many fixations lay outside the image, if that is why.
    """

    def __init__(self, message: str, outside: int = 0):
        super().__init__(message)
        self.outside = outside


def upright_size(file: OpenableFile) -> tuple[int, int]:
    """Width and height in pixels of an image (path or open file) after its EXIF rotation."""
    with PILImage.open(file) as image:
        return _upright_size(image)


def _upright_size(image: PILImage.Image) -> tuple[int, int]:
    sideways = image.getexif().get(PILImage.ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return (image.height, image.width) if sideways else image.size


def encoded_file(encoded: EncodedImage) -> Path | BytesIO:
    """Path or in-memory file of an image that `datasets` did not decode."""
    return Path(encoded["path"] or "") if encoded["bytes"] is None else BytesIO(encoded["bytes"])


def find_file(folder: Path, name: str) -> Path:
    """Finds a file that a list names, relative to the folder of the list.

    A name that is not there as it is written is looked for with slashes for backslashes, in any Unicode form (a Mac
    decomposes accents) and, if only one file fits, in any case.

    Returns:
        The path, also if there is no such file.
    """
    path = folder / name
    if path.exists():
        return path
    path = folder
    for part in Path(name.replace("\\", "/")).parts:
        exact = path / part
        matches: list[str] = []
        if part != ".." and path.is_dir() and not exact.exists():
            matches = _names_in(path, path.stat().st_mtime_ns).get(_same_name(part), [])
        path = path / matches[0] if len(matches) == 1 else exact
    return path if path.exists() else folder / name


@lru_cache(maxsize=64)
def _names_in(folder: Path, changed: int) -> dict[str, list[str]]:
    """Names in a folder by their normalised form; `changed` is part of the cache key."""
    names: dict[str, list[str]] = {}
    for path in folder.iterdir():
        names.setdefault(_same_name(path.name), []).append(path.name)
    return names


def _same_name(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def check_image(file: OpenableFile, name: object = None) -> tuple[tuple[int, int], bytes | None]:
    """Decodes an image to see whether it is whole.

    Args:
        file: Path or file in memory.
        name: How the message names it; `None` takes the path.

    Returns:
        Width and height in pixels, upright; and a PNG file of it where `read_image` reads what `datasets` would not.

    Raises:
        UnusableError: If it is missing or damaged.
    """
    name = file if name is None else name
    try:
        with PILImage.open(file) as image:
            size = _upright_size(image)
            image.draft("L", (image.width // 8, image.height // 8))  # a JPEG is then checked at an eighth of its size
            image.load()
        return size, None
    except FileNotFoundError:
        raise UnusableError(f"{name}: image is missing") from None
    except Exception as error:  # every decoder raises its own
        try:
            repaired, content = PILImage.fromarray(read_image(file)), BytesIO()
        except ValueError:
            raise UnusableError(f"{name}: image is damaged: {why_undecoded(error)}") from error
        repaired.save(content, "PNG", compress_level=1)
        return repaired.size, content.getvalue()


def why_undecoded(error: Exception) -> str:
    """The reason of a decoder in words; PIL's own names an object in memory where it knows no file."""
    return "it is no image file" if isinstance(error, PILImage.UnidentifiedImageError) else str(error)


def by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """The files directly in a folder by their name without ending, sorted; empty if there is no such folder.

    Hidden files are left out: archives packed on a Mac hold a `._name` beside every file.

    Args:
        suffixes: Endings that count; of two files of one name, the earlier ending's is taken.
    """
    if not folder.is_dir():
        return {}
    paths = [path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith(".")]
    paths.sort(key=lambda path: (path.stem, -suffixes.index(path.suffix.lower())))
    return {path.stem: path for path in paths}


def without_image(files: Mapping[str, Path], images: Container[str]) -> list[str]:
    """One line for every file that belongs to no image of the same name."""
    return [f"{path}: has no image of its name" for stem, path in files.items() if stem not in images]
