"""The learned prior: its centre of mass and its spread."""

from dataclasses import dataclass

import numpy as np
import torch

from ..architecture_mlnet import STRIDE, recording_index
from ..io.json_types import JsonObject
from ..modeling_mlnet import MLNetModel

FLAT_SPREAD = 12**-0.5  # standard deviation of a prior that is 1 everywhere, relative to the side
NOTABLE = 0.01  # as a fraction of the side; smaller shifts are not mentioned


@dataclass(frozen=True)
class PriorMap:
    """The learned prior on the grid of the map.

    Args:
        factor: `(height, width)`, multiplied with the map.
        centre: x and y of its centre of mass, relative to width and height (0..1 from the left and from the top).
        spread: Standard deviation in x and in y, relative to width and height; a flat prior's is 0.289.
    """

    factor: np.ndarray
    centre: tuple[float, float]
    spread: tuple[float, float]

    def words(self) -> str:
        """Describes range, centre and spread in three sentences."""
        low, high = float(self.factor.min()), float(self.factor.max())
        if high - low < 1e-6:
            return f"The prior is flat: it multiplies the map by {low:.2f} everywhere."
        (x, y), (spread_x, spread_y) = self.centre, self.spread
        sides = [
            f"{100 * abs(shift):.0f} % {after if shift > 0 else before}"
            for shift, before, after in ((x - 0.5, "left of", "right of"), (y - 0.5, "above", "below"))
            if abs(shift) >= NOTABLE
        ]
        rows, columns = self.factor.shape
        row, column = divmod(int(self.factor.argmax()), columns)
        top, left = 100 * (row + 0.5) / rows, 100 * (column + 0.5) / columns
        position = f"{' and '.join(sides)} the middle" if sides else "in the middle"
        mean_spread = (spread_x + spread_y) / 2
        pull = "draws the map together" if mean_spread < FLAT_SPREAD - NOTABLE else "hardly draws the map together"
        if mean_spread > FLAT_SPREAD + NOTABLE:
            pull = "pushes the map apart"
        return (
            f"The prior multiplies the map by {low:.2f} to {high:.2f}, the most {left:.0f} % from the left and "
            f"{top:.0f} % from the top. Its centre of mass lies {position}. "
            f"It spreads over {100 * spread_x:.0f} % of the width and {100 * spread_y:.0f} % of the height "
            f"(a flat one: {100 * FLAT_SPREAD:.0f} %), which {pull}."
        )

    def describe(self) -> JsonObject:
        """Everything for JSON."""
        return {
            "factor": {"low": float(self.factor.min()), "high": float(self.factor.max())},
            "centre": list(self.centre),
            "spread": list(self.spread),
            "words": self.words(),
        }


def prior_map(
    model: MLNetModel, height: int | None = None, width: int | None = None, recording: str | None = None
) -> PriorMap:
    """The learned prior as the network enlarges it (paper, Eq. 1), with its centre of mass and its spread.

    Where the factor is 0 or less, the map is 0 and there is no mass.

    Args:
        model: Any `MLNetModel`.
        height: In cells; `None` is that of the training canvas.
        width: As `height`.
        recording: The kind of recording whose prior it is, as in `SaliencyPredictor`.

    Raises:
        ValueError: If the prior erases every map, or the model does not know the kind.
    """
    index = recording_index(model.config.recordings, recording)
    rows, columns = (side // STRIDE for side in model.config.image_size)
    with torch.no_grad():
        factor = model.prior(height or rows, width or columns, index).double().cpu().numpy()
    mass = np.clip(factor, 0, None)
    if not mass.sum() > 0:
        raise ValueError("the prior is 0 or less everywhere: every map is empty")
    mass = mass / mass.sum()
    centre, spread = [], []
    for axis in (0, 1):  # the profile along x is the sum over rows
        profile = mass.sum(axis=axis)
        position = (np.arange(len(profile)) + 0.5) / len(profile)
        middle = float(profile @ position)
        centre.append(middle)
        spread.append(float(np.sqrt(profile @ (position - middle) ** 2)))
    return PriorMap(factor.astype(np.float32), (centre[0], centre[1]), (spread[0], spread[1]))
