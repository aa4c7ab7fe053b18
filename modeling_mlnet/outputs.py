"""Files of a prediction: which pictures to read, what to call the results, and how to write them whole."""

import glob
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .grey_png import write_grey
from .io.atomic import write_whole
from .io.overlay import overlay, to_bytes
from .threads import in_order, start_workers

SUFFIXES = {"map": ".map.png", "overlay": ".overlay.png", "npy": ".npy"}
WRITERS = 2  # threads that write results beside the network
# Of overlays: runs of equal bytes only, which smooth maps are made of; a third of the usual time, hardly larger files
COMPRESSION: dict[str, Any] = {"format": "PNG", "compress_level": 1, "compress_type": zlib.Z_RLE}
EXPLANATION = ".explain.png"  # of `mlnet explain`
PICTURES = frozenset([".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".png", ".ppm", ".tif", ".tiff", ".webp"])


@dataclass
class Prediction:
    """One picture's result.

    Args:
        source: What was given.
        saliency_map: Float32 `(height, width)` in 0..1 at the picture's own size; `None` if it could not be read.
        image: The upright picture, uint8 `(height, width, 3)`; `None` unless asked for.
        error: Why there is no map, in one line.
    """

    source: Any
    saliency_map: np.ndarray | None = None
    image: np.ndarray | None = None
    error: str | None = None


class Predictor(Protocol):
    """What predicts: `SaliencyPredictor` or `OnnxPredictor`."""

    batch_size: int
    choice: str

    def stream(self, images: Iterable[Any], keep_images: bool = False) -> Iterator[Prediction]:
        """One `Prediction` per picture, in order."""


@dataclass(frozen=True)
class Job:
    """One picture and the stem, with its folders, of its results' names."""

    picture: Path
    stem: Path

    def outputs(self, output_dir: Path, formats: Iterable[str]) -> dict[str, Path]:
        """Path of every result by format."""
        return {name: output_dir / f"{self.stem}{SUFFIXES[name]}" for name in formats}

    def is_done(self, output_dir: Path, formats: Iterable[str]) -> bool:
        """Whether all results are there already."""
        return all(path.exists() for path in self.outputs(output_dir, formats).values())


@dataclass
class Report:
    """What became of the pictures."""

    written: int = 0
    skipped: int = 0
    failed: int = 0


def find_pictures(paths: Iterable[str], output_dir: Path) -> tuple[list[Job], list[str]]:
    """Pictures named by files, folders (searched with their subfolders) and glob patterns.

    Results of earlier runs are not taken for pictures: names that end like results and the folder `output_dir`.

    Returns:
        The jobs in order, each picture once, and one line for every path that leads nowhere.
    """
    found: dict[Path, Path] = {}  # picture -> its place below the path that was given
    seen: set[Path] = set()
    problems = []

    def add(picture: Path, place: Path) -> None:
        if picture.resolve() not in seen:
            seen.add(picture.resolve())
            found[picture] = place

    for pattern in paths:
        path = Path(pattern).expanduser()
        try:
            named = path.exists()
            matches = [path] if named else [Path(one) for one in sorted(glob.glob(str(path), recursive=True))]
        except OSError as error:
            problems.append(f"{pattern}: {error.strerror}")
            continue
        if not matches:
            problems.append(f"{pattern}: no such file, folder or pattern")
        for match in matches:
            if not match.is_dir():
                if named or _is_picture(match, None):
                    add(match, Path(match.name))
                continue
            # Results of an earlier run below the folder are no pictures, but a folder may also be its own output.
            results = output_dir.resolve() if match.resolve() in output_dir.resolve().parents else None
            pictures = [one for one in sorted(match.rglob("*")) if _is_picture(one, results)]
            if not pictures:
                problems.append(f"{match}: no pictures in this folder")
            for one in pictures:
                add(one, one.relative_to(match))
    return _name(found), problems


def _is_picture(path: Path, results: Path | None) -> bool:
    return (
        path.suffix.lower() in PICTURES
        and not path.name.startswith(".")
        and not path.name.endswith((SUFFIXES["map"], SUFFIXES["overlay"], EXPLANATION))
        and (results is None or results not in path.resolve().parents)
        and path.is_file()
    )


def _name(found: dict[Path, Path]) -> list[Job]:
    """Stems without extension; where two would collide with it, and then with the folders they came from."""
    root = Path(os.path.commonpath([one.absolute().parent for one in found])) if found else Path()
    jobs = {picture: place.with_suffix("") for picture, place in found.items()}
    for longer in (lambda picture: found[picture], lambda picture: picture.absolute().relative_to(root)):
        count = Counter(str(stem).casefold() for stem in jobs.values())
        jobs = {
            picture: stem if count[str(stem).casefold()] == 1 else longer(picture) for picture, stem in jobs.items()
        }
    return [Job(picture, stem) for picture, stem in jobs.items()]


def _write(prediction: Prediction, outputs: dict[str, Path]) -> None:
    saliency_map, image = prediction.saliency_map, prediction.image
    assert saliency_map is not None
    for name, path in outputs.items():
        if name == "npy":
            write_whole(path, partial(np.save, arr=saliency_map))
        elif name == "map":
            write_whole(path, partial(write_grey, picture=to_bytes(saliency_map)))
        else:
            assert image is not None
            write_whole(path, partial(overlay(image, saliency_map).save, **COMPRESSION))


def _write_or_tell(picture: Path, prediction: Prediction, outputs: dict[str, Path]) -> str | None:
    """Writes what was predicted; the error, if there was one."""
    if prediction.error is not None:
        return prediction.error
    try:
        _write(prediction, outputs)
    except OSError as failure:
        return f"{picture}: its result cannot be written: {failure}"
    return None


def predict_files(
    predictor: Predictor,
    jobs: Iterable[Job],
    output_dir: Path,
    formats: Iterable[str] = ("map",),
    resume: bool = False,
    on_done: Callable[[str | None], None] = lambda error: None,
) -> Report:
    """Predicts pictures and writes the results; a picture that fails stops nothing.

    Args:
        formats: Of `map` (8-bit grey PNG), `overlay` (PNG) and `npy` (float32 `(height, width)` in 0..1).
        resume: Whether pictures whose results are all there already are left out.
        on_done: Called after every picture with its error, `None` if there was none.
    """
    report, todo, formats = Report(), [], tuple(formats)
    jobs = list(jobs)
    pictures = {job.picture.resolve() for job in jobs}
    for job in jobs:
        outputs = job.outputs(output_dir, formats)
        clash = next((path for path in outputs.values() if path.resolve() in pictures), None)
        if clash is not None:
            report.failed += 1
            on_done(f"{job.picture}: its result {clash} would overwrite an input; choose another output folder")
        elif resume and job.is_done(output_dir, formats):
            report.skipped += 1
            on_done(None)
        else:
            todo.append((job.picture, outputs))
    predictions = predictor.stream((picture for picture, _ in todo), keep_images="overlay" in formats)

    def write(result: tuple[tuple[Path, dict[str, Path]], Prediction]) -> str | None:
        (picture, outputs), prediction = result
        return _write_or_tell(picture, prediction, outputs)

    with start_workers(WRITERS) as writers:  # PNG takes as long as a small network does
        for error in in_order(writers, write, zip(todo, predictions, strict=True), predictor.batch_size):
            report.failed += error is not None
            report.written += error is None
            on_done(error)
    return report
