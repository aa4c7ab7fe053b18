"""Images far from 4:3, predicted in overlapping windows."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from ..images_mlnet import ImageSource, is_single, name_of, read_image
from ..io.json_types import JsonObject
from ..io.locations import RemoteFile

if TYPE_CHECKING:
    from ..inference.predictor import Prediction, SaliencyPredictor

LONG = 2.0  # ratio of the sides beyond which "auto" cuts an image; see docs/analysis.md
SHAPE = 4 / 3  # of a window that "auto" cuts, the shape of the canvas
SMALLEST = (640, 480)  # px, width and height: a smaller window would be enlarged, and its content with it
OVERLAP = 0.5  # of a window, with the next one
SCREEN = (1280, 800)  # the shape of the first screenful of a page
LEAST_WEIGHT = 1e-3  # of a window at its edge, where it may be the only one


class Window(NamedTuple):
    """A part of an image, in pixels."""

    x: int
    y: int
    width: int
    height: int

    def cut(self, values: np.ndarray) -> np.ndarray:
        """This part of an image or a map."""
        return values[self.y : self.y + self.height, self.x : self.x + self.width]


def parse_size(text: str) -> tuple[int, int]:
    """Width and height from `640x480`.

    Raises:
        ValueError: If the text is not of this form.
    """
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text.strip())
    if match is None:
        raise ValueError(f"expected WIDTHxHEIGHT in pixels such as 640x480, got {text!r}")
    return int(match[1]), int(match[2])


def find_windows(image_size: tuple[int, int], tiles: str = "auto") -> list[Window]:
    """The windows in which an image is predicted; none if it is predicted whole.

    Args:
        image_size: Width and height in pixels.
        tiles: `"auto"`: for an image whose longer side is more than twice the shorter one, windows of 4:3 over the
            whole shorter side. `"off"`: none. `"640x480"`: windows of this width and height, for an image that is
            larger. Each overlaps the next by at least a half.

    Raises:
        ValueError: If `tiles` is none of these.
    """
    width, height = image_size
    if tiles == "off":
        return []
    if tiles == "auto":
        if max(width, height) <= LONG * min(width, height):
            return []
        if height > width:
            size = (width, max(SMALLEST[1], round(width / SHAPE)))
        else:
            size = (max(SMALLEST[0], round(height * SHAPE)), height)
    else:
        try:
            size = parse_size(tiles)
        except ValueError:
            raise ValueError(f"tiles must be auto, off or WIDTHxHEIGHT in pixels, got {tiles!r}") from None
    across, down = min(size[0], width), min(size[1], height)
    windows = [Window(x, y, across, down) for y in _starts(height, down) for x in _starts(width, across)]
    return windows if len(windows) > 1 else []


def predict_tiled(predict: Callable[[np.ndarray], np.ndarray], image: np.ndarray, tiles: str = "auto") -> np.ndarray:
    """The saliency map of an image of any shape, predicted in overlapping windows where that helps.

    Args:
        predict: From an image to its map, float32 `(height, width)` in 0..1, as `SaliencyPredictor` does.
        image: uint8 `(height, width, 3)`.
        tiles: As in `find_windows`.

    Returns:
        Float32 `(height, width)` in 0..1.

    Raises:
        ValueError: If `tiles` is not of its form; and what `predict` raises.
    """
    windows = find_windows((image.shape[1], image.shape[0]), tiles)
    whole = predict(image)
    if not windows:
        return whole
    return join_windows(whole, [predict(np.ascontiguousarray(window.cut(image))) for window in windows], windows)


def join_windows(whole: np.ndarray, maps: Sequence[np.ndarray], windows: Sequence[Window]) -> np.ndarray:
    """One map from those of overlapping windows.

    The map of a window is relative to its own highest point. Each is brought to one scale by the map of the whole
    image, which knows how attention divides between distant parts: a window gets the share that the whole map has
    there. Where windows overlap they are blended, each weighted from 1 in its middle to 0 at its edges.

    Args:
        whole: `(height, width)`, the map of the image predicted at once.
        maps: `(height, width)` of each window.
        windows: Windows that cover the image.

    Returns:
        Float32 `(height, width)` in 0..1.
    """
    joined, weights = np.zeros(whole.shape, np.float32), np.zeros(whole.shape, np.float32)
    for window, saliency_map in zip(windows, maps, strict=True):
        total = float(saliency_map.sum(dtype=np.float64))
        scale = float(window.cut(whole).sum(dtype=np.float64)) / total if total > 0 else 0.0
        weight = _ramp(window.height)[:, None] * _ramp(window.width)
        window.cut(joined)[...] += scale * weight * saliency_map
        window.cut(weights)[...] += weight
    joined /= weights
    highest = float(joined.max())
    return joined / highest if highest > 0 else joined


class TiledPredictor:
    """A predictor that predicts image files far from 4:3 in overlapping windows, and all else as before.

    Args:
        predictor: A `SaliencyPredictor`.
        tiles: As in `find_windows`.

    Raises:
        ValueError: If `tiles` is not of its form.
    """

    def __init__(self, predictor: "SaliencyPredictor", tiles: str = "auto"):
        find_windows((1, 1), tiles)
        self.predictor, self.tiles = predictor, tiles
        self.batch_size: int = predictor.batch_size

    def settings(self, **options: Any) -> JsonObject:
        """As `SaliencyPredictor.settings`, with the tiles."""
        return {**self.predictor.settings(**options), "tiles": self.tiles}

    def stream(self, images: Any, **options: Any) -> "Iterator[Prediction]":
        """As `SaliencyPredictor.stream`.

        Args:
            images: One image or any iterable of them; only files are cut into windows.
            options: As in `SaliencyPredictor.stream`.

        Yields:
            One `Prediction` per image, in order; one that cannot be read has its `error` set and stops nothing.
        """
        sources = [images] if is_single(images) else images
        return self.stream_cut(((source, *_read_and_cut(source, self.tiles)) for source in sources), **options)

    def stream_cut(
        self, items: "Iterable[tuple[ImageSource, np.ndarray | None, list[Window]]]", **options: Any
    ) -> "Iterator[Prediction]":
        """As `stream`, of images that are cut already.

        Args:
            items: Each a source, its image, uint8 `(height, width, 3)`, or `None` where the predictor shall read the
                source itself, and the windows of `find_windows`.
            options: As in `SaliencyPredictor.stream`.
        """
        cut: deque[tuple[ImageSource, list[Window]]] = deque()

        def inputs() -> Iterator[ImageSource]:
            for source, image, windows in items:
                cut.append((source, windows))
                if image is None:
                    yield source
                    continue
                yield image
                for window in windows:
                    yield np.ascontiguousarray(window.cut(image))

        predictions = self.predictor.stream(inputs(), **options)
        for prediction in predictions:
            source, windows = cut.popleft()
            parts, prediction.source = [next(predictions) for _ in windows], source
            if windows:
                error = next((part.error for part in (prediction, *parts) if part.error is not None), None)
                maps = [part.saliency_map for part in parts if part.saliency_map is not None]
                if error is not None:
                    prediction.error, prediction.saliency_map = f"{name_of(source)}: {error}", None
                elif prediction.saliency_map is not None:
                    prediction.saliency_map = join_windows(prediction.saliency_map, maps, windows)
            yield prediction


def first_screen(image_size: tuple[int, int], screen: tuple[int, int] = SCREEN) -> Window | None:
    """The part of a page that is seen before scrolling; `None` for an image that is not twice as tall.

    Args:
        image_size: Width and height of the image in pixels.
        screen: Width and height of the screen; only their ratio matters, as a page fills the screen's width.
    """
    width, height = image_size
    visible = max(1, round(width * screen[1] / screen[0]))
    return Window(0, 0, width, visible) if height >= 2 * visible and height > LONG * width else None


def _read_and_cut(source: ImageSource, tiles: str) -> tuple[np.ndarray | None, list[Window]]:
    """The image and its windows; `None` for an image without windows, which the predictor reads."""
    if tiles == "off" or not isinstance(source, (str, PathLike, RemoteFile)):
        return None, []
    try:
        with Image.open(BytesIO(source.read()) if isinstance(source, RemoteFile) else source) as header:
            size = header.size  # before EXIF's rotation
        if not find_windows(size, tiles) and not find_windows(size[::-1], tiles):
            return None, []
        image = read_image(source)
    except Exception:  # the predictor says why it cannot be read
        return None, []
    return image, find_windows((image.shape[1], image.shape[0]), tiles)


def _starts(side: int, window: int) -> list[int]:
    """Evenly spaced starts of windows along a side."""
    step = max(1.0, window * (1 - OVERLAP))
    count = 1 + int(np.ceil((side - window) / step))
    return [int(start) for start in np.rint(np.linspace(0, side - window, count))]


def _ramp(side: int) -> np.ndarray:
    """Weights of a window along one side: 1 in its middle, almost 0 at its ends, float32 `(side,)`."""
    middle = (side - 1) / 2
    distance = np.abs(np.arange(side) - middle) / (side / 2)
    return np.maximum(1 - distance, LEAST_WEIGHT).astype(np.float32)
