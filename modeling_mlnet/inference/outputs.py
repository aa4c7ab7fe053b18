"""Saliency maps as files, written atomically, each with a record of its inputs."""

import errno
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..io.atomic import reason_of
from ..io.json_types import JsonObject
from ..io.locations import RemoteFile, fetched, write_file
from ..io.ordered import in_order
from ..io.overlay import grey_image, overlay
from .density import Calibration
from .inputs import SUFFIXES, Job, Source
from .predictor import Prediction, SaliencyPredictor

if TYPE_CHECKING:
    from upath import UPath

    from ..analysis.tiles import TiledPredictor

DENSITIES = ("density", "logdensity")
OVERLAYS = ("overlay", "jpg")
QUALITY = 90  # of a JPEG
FETCHERS = 16  # threads that fetch images from elsewhere, which is waiting
WRITERS = 2  # threads that write results beside the network: PNG takes as long as a small network does
RECORD = b"\nmlnet"  # separates a result from its record
LONGEST_RECORD = 4096  # bytes
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # errors that every further result would meet, too


@dataclass
class Report:
    """Numbers of images: written, of these over results that did not fit, skipped as already done, and failed."""

    written: int = 0
    redone: int = 0
    skipped: int = 0
    failed: int = 0


def write_result(
    path: "Path | UPath",
    prediction: Prediction,
    name: str,
    record: Mapping[str, Any],
    look: Mapping[str, Any] | None = None,
    calibration: Calibration | None = None,
) -> None:
    """Writes a result atomically, with its record after the content, where readers of images and arrays ignore it.

    Args:
        name: The format; it and `look` are as in `predict_files`.
        record: The inputs of the result, as JSON values; see `read_record`.
        calibration: Turns maps into densities.
    """
    saliency_map, image = prediction.saliency_map, prediction.image
    assert saliency_map is not None
    content = io.BytesIO()
    if name == "npy":
        np.save(content, saliency_map)
    elif name in DENSITIES:
        assert calibration is not None
        log_density = calibration.log_density(saliency_map)
        np.save(content, (log_density if name == "logdensity" else np.exp(log_density)).astype(np.float32))
    elif name == "map":
        grey_image(saliency_map).save(content, "PNG", compress_level=1)
    else:
        assert image is not None
        shown = overlay(image, saliency_map, **(look or {}))
        shown.save(content, "JPEG" if name == "jpg" else "PNG", quality=QUALITY, compress_level=1)
    content.write(RECORD + json.dumps(dict(record)).encode())
    write_file(path, content.getvalue())


def read_record(path: "Path | UPath") -> JsonObject | None:
    """The record of a result; `None` if the file is missing, damaged or not from `write_result`."""
    try:
        with path.open("rb") as file:
            file.seek(max(-LONGEST_RECORD, -path.stat().st_size), io.SEEK_END)
            return json.loads(file.read().rpartition(RECORD)[2])
    except (OSError, ValueError):
        return None


def _fingerprint(source: Source) -> str | None:
    """SHA-256 of an image's content; `None` of an address, a pipe or a lost file, which may change."""
    with suppress(OSError, ValueError):
        if isinstance(source, RemoteFile):
            source = source.read()
        elif isinstance(source, Path) and source.is_file():
            source = source.read_bytes()
    return hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else None


def _fits(results: "Iterable[Path | UPath]", source: Source, settings: Mapping[str, Any]) -> bool:
    """Whether all results exist and have records of this image and these settings."""
    records = [read_record(path) for path in results]
    image = None if None in records else _fingerprint(source)
    return image is not None and all(record == {"image": image, **settings} for record in records)


def predict_files(
    predictor: "SaliencyPredictor | TiledPredictor",
    jobs: Iterable[Job],
    output_dir: "Path | UPath",
    formats: Iterable[str] = ("map",),
    options: Mapping[str, Any] | None = None,
    resume: bool = False,
    on_done: Callable[[str | None], None] = lambda error: None,
    look: Mapping[str, Any] | None = None,
    calibration: Calibration | None = None,
) -> Report:
    """Predicts images and writes the results; an image that fails stops nothing.

    Args:
        output_dir: A folder, or one elsewhere, by its URI.
        formats: Any of `map` (8-bit grey PNG), `overlay` (PNG), `jpg` (the overlay as JPEG), `npy` (float32
            `(height, width)` in 0..1), `density` (float32, calibrated, sums to 1) and `logdensity` (its natural
            logarithm).
        options: `apply_prior` and `recording` of a call of the predictor.
        resume: Whether to skip images whose results have the same content, checkpoint, options, device type and
            precision in their records.
        on_done: Called after every image with its error, `None` if there was none.
        look: `style` and `colorbar` of overlays.
        calibration: Turns maps into densities.

    Raises:
        OSError: If the disk is full or read-only.
    """
    report, todo = Report(), []
    formats, jobs, options = tuple(formats), list(jobs), options or {}
    shows_images = not set(OVERLAYS).isdisjoint(formats)
    settings = {**predictor.settings(**options), **(look or {} if shows_images else {})}
    if not set(DENSITIES).isdisjoint(formats):
        settings["calibration"] = hashlib.sha256(repr(calibration).encode()).hexdigest()
    inputs = {job.source.resolve() if isinstance(job.source, Path) else job.name for job in jobs}
    for job in jobs:
        outputs = {name: output_dir / f"{job.stem}{SUFFIXES[name]}" for name in formats}
        clash = next((path for path in outputs.values() if not inputs.isdisjoint((path.resolve(), str(path)))), None)
        if clash is not None:
            report.failed += 1
            on_done(f"{job.name}: its result {clash} would overwrite an input; choose another output folder")
        elif resume and _fits(outputs.values(), job.source, settings):
            report.skipped += 1
            on_done(None)
        else:
            report.redone += resume and any(path.exists() for path in outputs.values())
            todo.append((job, outputs))

    def write(item: tuple[tuple[Job, dict[str, Any]], Prediction]) -> str | None:
        (job, outputs), prediction = item
        if prediction.error is not None:
            return prediction.error
        try:
            source = prediction.source if isinstance(prediction.source, RemoteFile) else job.source  # fetched already
            record = {"image": _fingerprint(source), **settings}
            for name, path in outputs.items():
                write_result(path, prediction, name, record, look, calibration)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise
            return f"{job.name}: its result cannot be written: {reason_of(error)}"
        return None

    sources = in_order(fetched, (job.source for job, _ in todo), FETCHERS, ahead=predictor.batch_size)
    predictions = predictor.stream(sources, keep_images=shows_images, allow_urls=True, **options)
    for error in in_order(write, zip(todo, predictions, strict=True), WRITERS, ahead=predictor.batch_size):
        report.failed += error is not None
        report.written += error is None
        on_done(error)
    return report
