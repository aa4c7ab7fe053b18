"""The answers: what the commands `predict`, `regions`, `compare` and `crop` give, for files that were sent."""

import base64
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from ..analysis import (
    Answer,
    Box,
    BoxSource,
    ImageFile,
    Model,
    best_crop,
    compare_regions,
    comparison_document,
    crops_document,
    draw_answer,
    focus,
    measure_image,
    ninths,
    predict_tiled,
    prediction_document,
    regions_document,
    side_by_side,
    to_json,
    to_one_scale,
)
from ..images_mlnet import name_of, read_image
from ..inference.predictor import SaliencyPredictor
from ..inference.uploads import MAX_SHOWN, check_upload
from ..io.overlay import grey_image, overlay, to_png
from .requests import AnyRequest, CompareRequest, CropRequest, PredictRequest, RegionsRequest, Upload
from .work_queue import Deadline

PNG, NPY = "image/png", "application/x-npy"
LARGE = 16_000_000  # pixels: larger images are worked on one at a time, so that several do not fill the memory


@dataclass(frozen=True)
class Design:
    """An image that was sent, with its map.

    Args:
        file: Its name, size and SHA-256.
        image: uint8 `(height, width, 3)`, upright.
        saliency_map: Float32 `(height, width)` in 0..1.
        predict: From a part of the image to its map.
    """

    file: ImageFile
    image: np.ndarray
    saliency_map: np.ndarray
    predict: Callable[[np.ndarray], np.ndarray]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.file.width, self.file.height

    def show(self, style: str = "heat", saliency_map: np.ndarray | None = None) -> Image.Image:
        """The image under its map, or another one of its size, at most `MAX_SHOWN` px long."""
        values = self.saliency_map if saliency_map is None else saliency_map
        return overlay(np.asarray(_shrink(self.image)), np.asarray(_shrink(values)), style=style)


class Answers:
    """All answers of the service; may be used from several threads.

    The network is loaded at once, not by the first who asks. It runs in float32, as in the commands that measure, so
    that the same image gives the same numbers everywhere.

    Args:
        model: As in `SaliencyPredictor`.

    Raises:
        ValueError: If the model cannot be loaded.
    """

    def __init__(self, model: str):
        self.model = Model.describe(model)
        self.predictor = SaliencyPredictor(model, dtype="float32")
        self.predictor(np.zeros((240, 320, 3), dtype=np.uint8))
        self._one_large = threading.Lock()

    def predict(self, request: PredictRequest, kind: str, deadline: Deadline) -> bytes:
        """The map of an image: with its focus and spots, as PNG, or its values."""
        design = self._open(request.image, request, deadline, request.recording)
        if kind == NPY:
            file = BytesIO()
            np.save(file, design.saliency_map)
            return file.getvalue()
        if kind == PNG and request.style != "map":
            return to_png(design.show(request.style))
        png = to_png(grey_image(design.saliency_map))
        if kind == PNG:
            return png
        text = base64.b64encode(png).decode("ascii")
        return _to_json(prediction_document(design.file, focus(design.saliency_map), text, self._described(request)))

    def regions(self, request: RegionsRequest, kind: str, deadline: Deadline) -> bytes:
        """Attention in boxes, as `mlnet regions` writes it."""
        source = BoxSource(request.boxes, (), request.units)
        design = self._open(request.image, request, deadline)
        boxes = _boxes(source, design)
        answer = measure_image(design.predict, design.file, design.image, design.saliency_map, boxes)
        if kind == PNG:
            return to_png(draw_answer(design.show(), answer))
        return _to_json(regions_document(answer, self._described(request)))

    def compare(self, request: CompareRequest, kind: str, deadline: Deadline) -> bytes:
        """Two designs box by box, as `mlnet compare` writes it."""
        sources = [BoxSource(texts, (), request.units) for texts in (request.boxes, request.second_boxes)]
        if sources[1] and not sources[0]:
            raise ValueError("second_boxes: give boxes of the first design, too; they are matched by name")
        designs = [self._open(upload, request, deadline) for upload in (request.first, request.second)]
        first, second = designs
        boxes = _boxes(sources[0], first) if sources[0] else ninths(first.size)
        second_boxes = _boxes(sources[1], second) if sources[1] else None
        comparison = compare_regions(first.saliency_map, second.saliency_map, boxes, second_boxes)
        answers = [
            Answer(design.file, focus(design.saliency_map), regions)
            for design, regions in zip(designs, (comparison.first, comparison.second), strict=True)
        ]
        if kind == PNG:
            scaled = to_one_scale(first.saliency_map, second.saliency_map)
            shown = [
                draw_answer(design.show(saliency_map=values), answer)
                for design, values, answer in zip(designs, scaled, answers, strict=True)
            ]
            return to_png(side_by_side(*shown))
        return _to_json(comparison_document(answers[0], answers[1], comparison, self._described(request)))

    def crop(self, request: CropRequest, kind: str, deadline: Deadline) -> bytes:
        """The windows that keep most attention, as `mlnet crop` writes them; as PNG, the one of one shape."""
        aspects = [text for text in request.aspect.split(",") if text]
        if not aspects or (kind == PNG and len(aspects) > 1):
            raise ValueError(f"aspect: expected {'one shape' if aspects else 'shapes'} such as 16:9, got {aspects}")
        design = self._open(request.image, request, deadline)
        crops = [best_crop(design.saliency_map, aspect) for aspect in aspects]
        if kind == PNG:
            [crop] = crops
            rows, columns = slice(crop.y, crop.y + crop.height), slice(crop.x, crop.x + crop.width)
            return to_png(Image.fromarray(design.image[rows, columns]))
        return _to_json(crops_document(design.file, crops, self._described(request)))

    def _described(self, request: AnyRequest) -> Model:
        return replace(self.model, apply_prior=request.prior, tiles=request.tiles)

    def _open(self, upload: Upload, request: AnyRequest, deadline: Deadline, recording: str | None = None) -> Design:
        """Reads and predicts an image.

        Raises:
            ValueError: If it cannot be read, is too large, or the recording is unknown.
            TimeoutError: If the deadline passes.
        """

        def predict(image: np.ndarray) -> np.ndarray:
            deadline.check()
            [saliency_map] = self.predictor.maps([image], request.prior, recording)
            return saliency_map

        width, height = check_upload(upload.content, upload.name)
        with self._one_large if width * height > LARGE else nullcontext():
            deadline.check()
            image = _read(upload)
            saliency_map = predict_tiled(predict, image, request.tiles)
        described = ImageFile.describe(upload.name, upload.content, (image.shape[1], image.shape[0]))
        return Design(described, image, saliency_map, predict)


def _read(upload: Upload) -> np.ndarray:
    """The image, uint8 `(height, width, 3)`; its name is in errors, which its sender reads, not in logged warnings."""
    try:
        return read_image(upload.content)
    except ValueError as error:
        raise ValueError(str(error).replace(name_of(upload.content), upload.name, 1)) from None


def _boxes(source: BoxSource, design: Design) -> list[Box]:
    """The boxes of a design in pixels; one that cannot be measured is an error."""
    boxes, problems = source.for_image(Path(design.file.file), design.size)
    if problems:
        raise ValueError("; ".join(problems))
    return boxes


def _shrink(values: np.ndarray) -> Image.Image:
    image = Image.fromarray(values)
    image.thumbnail((MAX_SHOWN, MAX_SHOWN), Image.Resampling.BOX)
    return image


def _to_json(document: dict) -> bytes:
    return to_json(document).encode()
