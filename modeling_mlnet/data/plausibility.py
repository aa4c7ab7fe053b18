"""Checks whether fixations are plausible: in pixels of their images, where people look.

Each check states a share and compares it with a threshold far from what data sets of eye and mouse tracking have.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from transformers.utils import logging

from .files import encoded_file, upright_size
from .maps import read_map
from .schema import Row, undecoded

logger = logging.get_logger(__name__)

SAMPLE = 500  # images, evenly spaced, whose fixations are looked at
DENSITIES = 24  # of them, those whose densities are looked at
FEWEST = 50  # fixations; of fewer nothing is refused
FEWEST_MAPS = 4  # images; with fewer the orientation is not checked

# Within 1.5 px of 0 in x or in y. Of fixations in pixels, at most one in a thousand is.
FRACTIONS_NOTED, FRACTIONS = 0.02, 0.5
NEAR_ZERO = 1.5  # px; trackers of fractions also report gaze somewhat outside 0..1
SMALLEST_SIDE = 32  # px; of smaller images a border of 1.5 px is no small part
# At one exact point; refused only at a corner or the centre, where trackers put lost samples and crosses are shown.
# OSIE, EyeCrowd, SUN500, MIT1003 and SALICON, its raw mouse samples too, have at most 0.02 %.
POINT_NOTED, POINT_REFUSED = 0.01, 0.1
FEWEST_AT_POINT = 5
# On the outermost pixels. The same data sets have at most 0.3 %.
BORDER_NOTED = 0.05
# Outside the images. Eye trackers report a few in a hundred there; where most lie outside, the rest is chance.
OUTSIDE_NOTED, OUTSIDE_REFUSED = 0.1, 0.5
# Of width or height, that 99 % of the fixations stay within. Data sets of photographs reach beyond 0.9.
EXTENT = 0.5
# Of width or height, between the mean of the fixations and the centre of the images. In 1,000 draws of four images of
# OSIE, EyeCrowd, SUN500, MIT1003 and SALICON each, it is at most 0.18 (experiments/plausibility.py).
FROM_CENTRE = 0.2
# NSS by which mirrored fixations fit maps better, and the share of the images in which they do. On 80 images each of
# OSIE, EyeCrowd, SUN500, SALICON and MIT1003, fixations as they are fit mlnet-mini's maps better by at least 0.9, and
# in each of 1,000 draws of four images by at least 0.1 (experiments/plausibility.py).
ORIENTATION_GAIN, ORIENTATION_SHARE = 0.3, 0.75

# Each transform with the fault it corrects, its effect on relative x and y, and on the aspect ratio.
TURNS: dict[str, tuple[str, Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]]] = {
    "mirrored top to bottom": ("y may count from the bottom", lambda x, y, ratio: (x, 1 - y)),
    "mirrored left to right": ("x may count from the right", lambda x, y, ratio: (1 - x, y)),
    "turned by 180 degrees": ("x and y may count from the lower right", lambda x, y, ratio: (1 - x, 1 - y)),
    "with x and y exchanged": ("x and y may be exchanged", lambda x, y, ratio: (y / ratio, x * ratio)),
}


@dataclass(frozen=True)
class ImageFixations:
    """The fixations of one image.

    Args:
        size: Width and height in pixels.
        fixations: `(n, 2)` x and y in pixels, 0-based, those on the image.
        outside: How many more lay outside it.
        density: The density that the data set brings, `(height, width)`.
    """

    size: tuple[int, int]
    fixations: np.ndarray
    outside: int = 0
    density: np.ndarray | None = None


@dataclass(frozen=True)
class Finding:
    """Something implausible.

    Args:
        text: One line with the number and a guess at the reason.
        is_certain: Whether the fixations cannot be right, so that nothing should be scored or trained with them.
    """

    text: str
    is_certain: bool


def sample_indices(count: int, most: int = SAMPLE) -> list[int]:
    """Up to `most` evenly spaced indices of `count` rows."""
    return np.unique(np.linspace(0, max(0, count - 1), min(count, most)).round().astype(int)).tolist()


def find_implausible(images: Sequence[ImageFixations], left_out: int = 0) -> list[Finding]:
    """Looks for faults that people's lists of fixations have: fractions, lost samples, other coordinates.

    Args:
        images: All images of a data set or a sample of them.
        left_out: Fixations outside images that have no other and were left out with them; of a sample, its share.
    """
    total = sum(len(image.fixations) for image in images)
    outside = sum(image.outside for image in images) + left_out
    findings = list(_outside(outside, total + outside))
    images = [image for image in images if len(image.fixations)]
    if total < FEWEST or not images:
        return findings
    points = np.concatenate([image.fixations for image in images]).astype(np.float64)
    counts = [len(image.fixations) for image in images]
    sizes = np.repeat(np.array([image.size for image in images], np.float64), counts, axis=0)
    at_point, one_point = _one_point(points, sizes, np.repeat(np.arange(len(images)), counts))
    rest = _fractions(points[~at_point], sizes[~at_point])
    if any(finding.is_certain for finding in rest):
        return findings + one_point + rest
    extent = list(_extent(points, sizes))
    findings += [*one_point, *rest, *_border(points[~at_point], sizes[~at_point]), *extent]
    findings += [] if extent else _off_centre(images)  # fixations in one corner are off the centre, too
    orientation = Orientation()
    for image in images:
        if image.density is not None:
            orientation.add(image.density, (image.fixations + 0.5) / np.array(image.size))
    return [*findings, *(Finding(text, True) for text in orientation.findings("the densities given"))]


def _share(count: int, total: int) -> str:
    return f"{count / total:.0%} of the fixations ({count:,} of {total:,})"


def _outside(outside: int, total: int) -> Iterator[Finding]:
    if outside > OUTSIDE_NOTED * total:
        yield Finding(
            f"{_share(outside, total)} lie outside their images and are left out; x and y, in this order, must be "
            "pixels of the image file from its upper left corner: these may be pixels of a screen or of a larger copy "
            "of the image, count from its centre, or have x and y exchanged",
            total >= FEWEST and outside > OUTSIDE_REFUSED * total,
        )


def _fractions(points: np.ndarray, sizes: np.ndarray) -> list[Finding]:
    large = sizes.min(axis=1) >= SMALLEST_SIDE
    if np.count_nonzero(large) < FEWEST:
        return []
    near_x, near_y = (np.abs(points[large]) <= NEAR_ZERO).T
    axes = {"x and y": (near_x & near_y, FRACTIONS_NOTED), "x": (near_x, FRACTIONS), "y": (near_y, FRACTIONS)}
    for name, (near, least) in axes.items():
        if near.mean() >= least:
            low, high = np.percentile(points[large][near, 1 if name == "y" else 0], [1, 99])
            text = (
                f"{name} of {_share(int(near.sum()), len(near))} are about {low:.2g} to {high:.2g}: they may be "
                "fractions of width and height; multiply them by the image's size in pixels"
            )
            return [Finding(text, bool(near.mean() >= FRACTIONS))]
    return []


def _one_point(points: np.ndarray, sizes: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, list[Finding]]:
    """Fixations at one exact point, counted from the upper left or lower right corner or from the centre.

    Args:
        images: `(n,)`, the image of each point: what lies within one of several images is no fault.

    Returns:
        Which fixations these are, bool `(n,)`, and the finding; all `False` and none if there are few.
    """
    anchors = {
        "({:g}, {:g})": points,
        "({:g}, {:g}) from the lower right corner": sizes - 1 - points,
        "({:g}, {:g}) from the centre": points - (sizes - 1) / 2,
    }
    at_point, text, is_anchor = np.zeros(len(points), bool), "", False
    for name, positions in anchors.items():
        pairs = positions[:, 0] + 1j * positions[:, 1]  # sorted ten times faster than rows
        values, counts = np.unique(pairs, return_counts=True)
        index = int(counts.argmax())
        at_value = pairs == values[index]
        is_common = len(np.unique(images[at_value])) > 1 or images[-1] == 0
        is_near = bool(abs(values[index]) <= NEAR_ZERO)
        if (counts[index], is_near) > (at_point.sum(), is_anchor) and is_common:
            at_point, text = at_value, name.format(abs(values[index].real), abs(values[index].imag))
            is_anchor = is_near
    count = int(at_point.sum())
    if count < max(FEWEST_AT_POINT, POINT_NOTED * len(points)):
        return np.zeros(len(points), bool), []
    finding = Finding(
        f"{_share(count, len(points))} lie at one exact point, {text}: they may stand for lost samples (blinks) or "
        "for the cross before each image; leave them out",
        is_anchor and count >= POINT_REFUSED * len(points),
    )
    return at_point, [finding]


def _border(points: np.ndarray, sizes: np.ndarray) -> Iterator[Finding]:
    on_border = ((points <= 0) | (points >= sizes - 1)).any(axis=1)
    if len(points) and on_border.mean() > BORDER_NOTED:
        text = f"{_share(int(on_border.sum()), len(points))} lie on the outermost pixels of their images"
        yield Finding(f"{text}: gaze outside may have been moved to the border", False)


def _extent(points: np.ndarray, sizes: np.ndarray) -> Iterator[Finding]:
    width, height = np.percentile((points + 0.5) / sizes, 99, axis=0)
    if min(width, height) < EXTENT:
        yield Finding(
            f"99 % of the fixations lie in the left {width:.0%} and the upper {height:.0%} of their images: they may "
            "be pixels of a smaller copy of the images, or percent",
            False,
        )


def mean_from_centre(images: Sequence[ImageFixations]) -> np.ndarray:
    """Mean position of the fixations, x and y from the centre relative to width and height; each image counts once."""
    return np.mean([((image.fixations + 0.5) / image.size).mean(axis=0) for image in images], axis=0) - 0.5


def _off_centre(images: Sequence[ImageFixations]) -> Iterator[Finding]:
    x, y = mean_from_centre(images)
    if len(images) >= FEWEST_MAPS and max(abs(x), abs(y)) > FROM_CENTRE:
        across, along = "right" if x > 0 else "left", "below" if y > 0 else "above"
        yield Finding(
            f"the fixations lie {abs(x):.0%} of the width {across} and {abs(y):.0%} of the height {along} the centre "
            "of their images in the mean: people look near the centre, so all of them may be shifted",
            False,
        )


class Orientation:
    """Whether fixations fit maps of the same images better when they are mirrored or turned; image by image."""

    def __init__(self) -> None:
        self.scores: list[list[float]] = []

    def add(self, values: np.ndarray, fixations: np.ndarray) -> None:
        """Adds an image.

        Args:
            values: A saliency map or density `(height, width)`; a constant one does not count.
            fixations: `(n, 2)` x and y relative to the image's width and height.
        """
        spread = values.std()
        if len(fixations) and spread > 0:
            standard = (values - values.mean()) / spread
            x, y = np.asarray(fixations, np.float64).T
            turned = [turn(x, y, values.shape[1] / values.shape[0]) for _, turn in TURNS.values()]
            self.scores.append([_mean_at(standard, *point) for point in [(x, y), *turned]])

    def findings(self, what: str) -> list[str]:
        """One line if fixations fit clearly better mirrored or turned, else none; `what` calls the maps."""
        if len(self.scores) < FEWEST_MAPS:
            return []
        table = np.array(self.scores)
        means = table.mean(axis=0)
        best = int(means[1:].argmax()) + 1
        better = np.count_nonzero(table[:, best] > table[:, 0])
        if means[best] - means[0] < ORIENTATION_GAIN or better < ORIENTATION_SHARE * len(table):
            return []
        name, (reason, _) = list(TURNS.items())[best - 1]
        return [
            f"{name}, the fixations fit {what} better (NSS {means[best]:.2f}, as they are {means[0]:.2f}; better in "
            f"{better} of {len(table)} images): {reason}"
        ]


def _mean_at(values: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """Mean of a standardised map at points relative to width and height, those on it; 0, as by chance, if none is."""
    height, width = values.shape
    is_inside = (x >= 0) & (x < 1) & (y >= 0) & (y < 1)
    columns, rows = (x[is_inside] * width).astype(int), (y[is_inside] * height).astype(int)
    return float(values[rows, columns].mean()) if is_inside.any() else 0.0


def images_of(rows: Dataset) -> list[ImageFixations]:
    """The fixations of a sample of a data set's rows, with the densities that it brings for some."""
    encoded = undecoded(rows)
    indices = sample_indices(len(rows))
    with_density = {indices[index] for index in sample_indices(len(indices), DENSITIES)}
    return [_image_of(encoded[index], index in with_density) for index in indices]


def _image_of(row: Row, with_density: bool) -> ImageFixations:
    fixations = np.asarray(row["fixations"], np.float64).reshape(-1, 2)
    density = read_map(encoded_file(row["saliency_map"])) if with_density and row["sigma"] is None else None
    return ImageFixations(upright_size(encoded_file(row["image"])), fixations, row["outside"] or 0, density)


def require_plausible(images: Sequence[ImageFixations], source: str, left_out: int = 0) -> None:
    """Warns of implausible fixations in a data set.

    Args:
        images: As in `find_implausible`.
        source: Names the data set in messages.
        left_out: As in `find_implausible`.

    Raises:
        ValueError: If its fixations cannot be right.
    """
    findings = find_implausible(images, left_out)
    certain = [finding.text for finding in findings if finding.is_certain]
    if certain:
        raise ValueError(f"{source}: these fixations cannot be right: {'; '.join(certain)}")
    for finding in findings:
        logger.warning(f"{source}: {finding.text}")
