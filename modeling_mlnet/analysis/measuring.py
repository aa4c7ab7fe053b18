"""All that is known of one image, from its map and boxes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from .boxes import Box
from .documents import Answer, ImageFile
from .regions import measure_regions
from .spots import focus
from .tiles import SCREEN, first_screen


def measure_image(
    predict: Callable[[np.ndarray], np.ndarray],
    file: ImageFile,
    image: np.ndarray,
    saliency_map: np.ndarray,
    boxes: Sequence[Box],
    problems: Iterable[str] = (),
    screen: tuple[int, int] = SCREEN,
) -> Answer:
    """Measures regions, focus and spots of an image, and of the first screenful of a long page, predicted separately.

    Args:
        predict: From an image to its map; called for the first screenful only.
        file: The image's file.
        image: uint8 `(height, width, 3)`.
        saliency_map: `(height, width)`, at least 0.
        boxes: Boxes in pixels of the image, from `check_boxes`; those that lie completely in the first screenful are
            measured there, too.
        problems: One line for every box that could not be measured.
        screen: As in `first_screen`.
    """
    first = None
    window = first_screen((file.width, file.height), screen)
    if window is not None:
        part = predict(np.ascontiguousarray(window.cut(image)))
        inside = [box for box in boxes if box.y + box.height <= window.height]
        size = replace(file, width=window.width, height=window.height)
        first = Answer(size, focus(part), measure_regions(part, inside))
    return Answer(file, focus(saliency_map), measure_regions(saliency_map, boxes), first, list(problems))
