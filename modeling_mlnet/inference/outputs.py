"""Saliency maps as files: written whole or not at all, each with what it was made from."""

import errno
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..hub.registry import sha256 as file_sha256
from ..io.atomic import write_whole
from ..io.ordered import in_order
from ..io.overlay import overlay, to_bytes
from .density import to_density, to_log_density
from .inputs import Job, Source
from .predictor import Prediction

ARRAYS: dict[str, Callable[[Any], np.ndarray]] = {
    "npy": np.asarray,
    "density": to_density,
    "logdensity": to_log_density,
}
OVERLAYS = ("overlay", "jpg")
QUALITY = 90  # of a JPEG
WRITERS = 2  # threads that write results beside the network
RECORD = "mlnet"  # key of what a result was made from, in PNG text and behind the values of an npy file
LONGEST_RECORD = 4096  # bytes
ENDS = {".png": b"IEND\xaeB`\x82", ".jpg": b"\xff\xd9"}  # of whole files
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # what keeps every further result from being written, too


class Predictor(Protocol):
    """What predicts: a `SaliencyPredictor`, or one that calls it, as `analysis.TiledPredictor` does."""

    batch_size: int

    def settings(self, apply_prior: bool = True, recording: str | None = None) -> dict[str, Any]:
        """As `SaliencyPredictor.settings`."""

    def stream(
        self,
        images: Iterable[Any],
        keep_images: bool = False,
        allow_urls: bool = False,
        apply_prior: bool = True,
        recording: str | None = None,
    ) -> Iterator[Prediction]:
        """As `SaliencyPredictor.stream`."""


@dataclass
class Report:
    """What became of the images.

    Args:
        written: Predicted and written, and of these
        redone: those whose results were there, but of another image, model or setting, or damaged.
        skipped: Left out, as their results are there already.
        failed: Neither.
    """

    written: int = 0
    redone: int = 0
    skipped: int = 0
    failed: int = 0


def encode_map(saliency_map: np.ndarray) -> Image.Image:
    """A map `(height, width)` in 0..1 as an 8-bit grey image."""
    return Image.fromarray(to_bytes(saliency_map))


def write_result(
    path: Path,
    prediction: Prediction,
    name: str,
    record: Mapping[str, Any],
    look: Mapping[str, Any] | None = None,
) -> None:
    """Writes a result whole or not at all.

    Args:
        name: `map`, `overlay`, `jpg`, `npy`, `density` or `logdensity`.
        record: What it was made from, for `read_record`; values of JSON.
        look: `style` and `colorbar` of overlays.
    """
    saliency_map, image = prediction.saliency_map, prediction.image
    assert saliency_map is not None
    text, content = json.dumps(dict(record)), io.BytesIO()
    if name in ARRAYS:
        np.save(content, ARRAYS[name](saliency_map))
        content.write(f"\n{RECORD}{text}".encode())  # behind the values, where readers of npy do not look
    elif name == "map":
        _save_png(encode_map(saliency_map), content, text)
    else:
        assert image is not None
        shown = overlay(image, saliency_map, **(look or {}))
        if name == "jpg":
            shown.save(content, "JPEG", quality=QUALITY, comment=text.encode())
        else:
            _save_png(shown, content, text)
    write_whole(path, lambda file: file.write(content.getbuffer()))


def _save_png(picture: Image.Image, content: io.BytesIO, record: str) -> None:
    info = PngInfo()
    info.add_text(RECORD, record)
    picture.save(content, "PNG", compress_level=1, pnginfo=info)


def read_record(path: Path) -> dict[str, Any] | None:
    """What a result was made from; `None` if it is not there, not whole, or not written by `write_result`."""
    try:
        with open(path, "rb") as file:
            file.seek(max(-LONGEST_RECORD, -path.stat().st_size), io.SEEK_END)
            end = file.read()
            if path.suffix == ".npy":
                return json.loads(end.rpartition(f"\n{RECORD}".encode())[2])
            with Image.open(file, formats=["PNG", "JPEG"]) as image:
                text = image.info["comment" if path.suffix == ".jpg" else RECORD]
                return json.loads(text) if end.endswith(ENDS[path.suffix]) else None
    except Exception:  # every decoder raises its own
        return None


def _fingerprint(source: Source) -> str | None:
    """SHA-256 of an image file's content; `None` of an address or a pipe, which may give another one next time."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    return file_sha256(source) if isinstance(source, Path) and source.is_file() else None


def _fits(results: Iterable[Path], source: Source, settings: Mapping[str, Any]) -> bool:
    """Whether all results are there and were made from this image under these settings."""
    records = [read_record(path) or {} for path in results]
    contents = {record.pop("image", None) for record in records}
    if any(record != settings for record in records) or len(contents) > 1 or None in contents:
        return False  # without reading the image
    with suppress(OSError):
        return contents == {_fingerprint(source)}
    return False


def predict_files(
    predictor: Predictor,
    jobs: Iterable[Job],
    output_dir: Path,
    formats: Iterable[str] = ("map",),
    options: Mapping[str, Any] | None = None,
    resume: bool = False,
    on_done: Callable[[str | None], None] = lambda error: None,
    look: Mapping[str, Any] | None = None,
) -> Report:
    """Predicts images and writes the results; an image that fails stops nothing.

    Args:
        formats: Of `map` (8-bit grey PNG), `overlay` (PNG), `jpg` (the overlay as JPEG), `npy` (float32
            `(height, width)` in 0..1), `density` (float64, sums to 1) and `logdensity` (its natural logarithm).
        options: `apply_prior` and `recording` of a call of the predictor.
        resume: Whether images are left out whose results were all made from the same content, with the same
            checkpoint, options, kind of device and precision.
        on_done: Called after every image with its error, `None` if there was none.
        look: `style` and `colorbar` of overlays.

    Raises:
        OSError: If there is no room for further results.
    """
    report, todo, formats, jobs = Report(), [], tuple(formats), list(jobs)
    options = dict(options or {})
    shows_images = not set(OVERLAYS).isdisjoint(formats)
    settings = {**predictor.settings(**options), **(look or {} if shows_images else {})}
    sources = {job.source.resolve() for job in jobs if isinstance(job.source, Path)}
    for job in jobs:
        outputs = job.outputs(output_dir, formats)
        clash = next((path for path in outputs.values() if path.resolve() in sources), None)
        if clash is not None:
            report.failed += 1
            on_done(f"{job.name}: its result {clash} would overwrite an input; choose another output folder")
        elif resume and _fits(outputs.values(), job.source, settings):
            report.skipped += 1
            on_done(None)
        else:
            report.redone += resume and any(path.exists() for path in outputs.values())
            todo.append((job, outputs))

    def write(item: tuple[tuple[Job, dict[str, Path]], Prediction]) -> str | None:
        (job, outputs), prediction = item
        if prediction.error is not None:
            return prediction.error
        try:
            record = {"image": _fingerprint(job.source), **settings}
            for name, path in outputs.items():
                write_result(path, prediction, name, record, look)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise
            return f"{job.name}: its result cannot be written: {error}"
        return None

    predictions = predictor.stream((job.source for job, _ in todo), shows_images, allow_urls=True, **options)
    with ThreadPoolExecutor(WRITERS) as writers:  # PNG takes as long as a small network does
        for error in in_order(writers, write, zip(todo, predictions, strict=True), predictor.batch_size):
            report.failed += error is not None
            report.written += error is None
            on_done(error)
    return report
