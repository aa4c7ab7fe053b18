"""From what a tracker reports to pixels of the image: units, and where on the screen the image was shown."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .presets import Origin, Units

Size = tuple[float, float]  # width and height
Rect = tuple[float, float, float, float]  # left, top, width and height, in pixels of the screen


@dataclass(frozen=True)
class Viewing:
    """How large the screen is for the eye, which degrees need.

    Args:
        screen_mm: Width and height of the screen in millimetres.
        distance_mm: Distance of the eye from its centre.
    """

    screen_mm: Size
    distance_mm: float


def screen_pixels(
    points: np.ndarray, units: Units, origin: Origin, size: Size, viewing: Viewing | None = None
) -> np.ndarray:
    """Positions as pixels of a screen or image, 0-based, the centre of the first pixel being 0.

    Args:
        points: `(n, 2)` x and y as reported; NaN stays.
        units: Pixels with the centre of the first one at 0 (with a `centre` origin, that of the screen); fractions
            of width and height, the first pixel's edge being 0; or degrees of visual angle from the centre.
        origin: From where they count; y counts upwards from `lower-left` and `centre-up`.
        size: Size of the screen or image, in pixels.
        viewing: Needed for degrees: x px = tan(x deg) * distance / screen width in mm * screen width in px.

    Returns:
        Float64 `(n, 2)`.
    """
    whole = np.asarray(size, np.float64)
    points = np.asarray(points, np.float64).reshape(-1, 2)
    is_up = origin in ("lower-left", "centre-up")
    if units == "deg":
        assert viewing is not None
        points = np.tan(np.deg2rad(points)) * viewing.distance_mm * whole / np.asarray(viewing.screen_mm)
    elif units == "fraction":
        points = points * whole
    if is_up:
        points = points * [1, -1]
    if origin in ("centre", "centre-up"):
        return points + (whole - 1) / 2
    if units == "fraction":
        points = points - 0.5
    return points + ([0, whole[1] - (units == "px")] if is_up else 0)


def to_image(points: np.ndarray, rect: Rect | np.ndarray, size: Size) -> np.ndarray:
    """Pixels of the screen as pixels of an image that was shown in a rectangle of it, scaled to fill that.

    Args:
        points: `(n, 2)`, 0-based, the centre of the first pixel being 0.
        rect: Where the image was shown, one for all or `(n, 4)`.
        size: Width and height of the image.
    """
    place = np.asarray(rect, np.float64).reshape(-1, 4)
    return (points + 0.5 - place[:, :2]) * np.asarray(size, np.float64) / place[:, 2:] - 0.5


def fit_rect(image: Sequence[float], screen: Size) -> Rect:
    """Rectangle of an image scaled to fit the screen, centred, with its aspect ratio kept."""
    scale = min(screen[0] / image[0], screen[1] / image[1])
    return centred((image[0] * scale, image[1] * scale), screen)


def centred(image: Sequence[float], screen: Size) -> Rect:
    """Rectangle of an image centred on the screen at its own size."""
    return (screen[0] - image[0]) / 2, (screen[1] - image[1]) / 2, image[0], image[1]
