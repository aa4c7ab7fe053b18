"""The fixations of a whole data set, for shuffled AUC and for the centre bias."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike


def centre_map(
    height: int, width: int, mean: Iterable[float] = (0.5, 0.5), std: Iterable[float] = (0.25, 0.25)
) -> np.ndarray:
    """A centre bias: one Gaussian, whatever the image shows.

    Args:
        height: Pixels.
        width: Pixels.
        mean: x and y of its centre, relative to width and height.
        std: Standard deviation in x and y, relative to width and height.

    Returns:
        Float64 `(height, width)`, above 0, at most 1.
    """
    (x, y), (std_x, std_y) = mean, std
    columns = ((np.arange(width) + 0.5) / width - x) / std_x
    rows = ((np.arange(height) + 0.5) / height - y) / std_y
    return np.exp(-(rows[:, None] ** 2 + columns**2) / 2)


def flat_indices(relative: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Flat index of the pixel of each fixation, `(n,)`, in an image or grid of any `shape`.

    Args:
        relative: `(n, 2)` x and y relative to width and height, 0..1.
        shape: Rows and columns.
    """
    size = np.array(shape[::-1])
    columns, rows = np.clip(np.floor(relative * size), 0, size - 1).astype(np.int64).T
    return rows * shape[1] + columns


class FixationPool:
    """The fixations of all images of a data set: negatives of shuffled AUC, and the centre bias.

    Args:
        fixations: `{image_id: (n, 2)}`, x and y relative to the image's width and height (0..1, a pixel's centre
            being half a pixel in).
    """

    def __init__(self, fixations: Mapping[str, ArrayLike]):
        self.fixations = {
            name: np.asarray(points, dtype=np.float64).reshape(-1, 2) for name, points in fixations.items()
        }
        points = np.concatenate([np.zeros((0, 2)), *self.fixations.values()])
        self.mean, self.std = (0.5, 0.5), (0.25, 0.25)
        if len(points):
            self.mean = tuple(points.mean(axis=0).tolist())
            self.std = tuple(np.clip(points.std(axis=0), 0.01, None).tolist())

    def pixels(self, image_id: str | None, shape: tuple[int, int]) -> np.ndarray:
        """Flat pixel indices of one image's fixations, on an image of any size.

        Raises:
            ValueError: If the pool does not know the image; `None`, an image that is none of the pool's, has none.
        """
        if image_id is None:
            return np.zeros(0, np.int64)
        if image_id not in self.fixations:
            raise ValueError("the pool has no such image_id, so its own fixations cannot be left out")
        return flat_indices(self.fixations[image_id], shape)

    def centre_map(self, height: int, width: int) -> np.ndarray:
        """The data set's centre bias: `centre_map` with the mean and the spread of all its fixations."""
        return centre_map(height, width, self.mean, self.std)
