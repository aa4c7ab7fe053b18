"""Ground truth of the images of a data set, read without decoding them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from datasets import Dataset

from ..data.files import EncodedImage, encoded_file, upright_size
from ..data.schema import SIGMA_FRACTION, Row, undecoded
from ..metrics import FixationPool


@dataclass(frozen=True)
class Truth:
    """Ground truth of one image.

    Args:
        image_id: Its name in the data set.
        size: Height and width in pixels.
        fixations: `(n, 2)` x and y in pixels.
        observers: `(n,)`, empty where unknown.
        sigma: Standard deviation in pixels of the data set's Gaussian; `None` if it brought its own density.
        density: Its stored density, encoded.
    """

    image_id: str
    size: tuple[int, int]
    fixations: np.ndarray
    observers: np.ndarray
    sigma: float | None
    density: EncodedImage

    def of_observers(self, remainder: int) -> "Truth":
        """The fixations of every second observer only, without the data set's density, which shows all of them.

        Raises:
            ValueError: If fewer than two observers are known.
        """
        rank = np.unique(self.observers, return_inverse=True)[1]
        if len(np.unique(self.observers)) < 2:
            raise ValueError(f"image {self.image_id}: inter-observer needs fixations of two known observers or more")
        sigma = self.sigma or SIGMA_FRACTION * max(self.size)
        return replace(
            self, fixations=self.fixations[rank % 2 == remainder], observers=self.observers[:0], sigma=sigma
        )

    def relative_fixations(self) -> np.ndarray:
        """`(n, 2)` relative to width and height; the first pixel spans -0.5 to 0.5."""
        return (self.fixations + 0.5) / np.array(self.size[::-1])


def truth_of(row: Row) -> Truth:
    """The truth of a row of `undecoded`."""
    width, height = upright_size(encoded_file(row["image"]))
    fixations = np.asarray(row["fixations"], dtype=np.float64).reshape(-1, 2)
    observers = np.asarray(row["observers"], dtype=np.int64)
    return Truth(row["image_id"], (height, width), fixations, observers, row["sigma"], row["saliency_map"])


def read_truths(dataset: Dataset) -> Iterator[Truth]:
    """The truth of every row, without decoding an image."""
    return (truth_of(row) for row in undecoded(dataset))


def dataset_fingerprint(dataset: Dataset) -> str:
    """SHA-256 over ids, images, fixations, observers, sigmas and densities of all rows, in their order.

    Images and densities count as they are stored, so that a set written anew by another program differs.
    """
    whole = sha256()
    for row in undecoded(dataset):
        digest = sha256(repr([row[key] for key in ("image_id", "fixations", "observers", "sigma")]).encode())
        for key in ("image", "saliency_map"):
            stored = row[key]
            if stored is not None:
                content = stored["bytes"] if stored["bytes"] is not None else Path(stored["path"]).read_bytes()
                digest.update(sha256(content).digest())
        whole.update(digest.digest())
    return whole.hexdigest()


def fixation_pool(truths: Iterable[Truth]) -> FixationPool:
    """The pool that `Evaluator` takes.

    Raises:
        ValueError: If two images have the same image_id, naming it: they could not be told apart.
    """
    fixations: dict[str, np.ndarray] = {}
    for truth in truths:
        if truth.image_id in fixations:
            raise ValueError(f"image_id {truth.image_id!r} occurs twice in the data set: give every row its own")
        fixations[truth.image_id] = truth.relative_fixations()
    return FixationPool(fixations)
