"""Whether a participant's fixations lie beside everybody else's, as after a calibration that has drifted."""

from collections.abc import Mapping, Sequence

import numpy as np

from .display import Size

# Of the participants of OSIE, SUN500 and MIT1003 none reaches this on all images; of EyeCrowd's one does, by 100 px.
FEWEST_IMAGES, FEWEST_PARTICIPANTS = 10, 3
OFFSET = 0.08  # of the image's longer side
ERRORS = 5.0  # standard errors over images


def participant_offsets(images: Sequence[tuple[Size, Mapping[str, np.ndarray]]]) -> list[str]:
    """One line for every participant whose fixations lie at a constant offset from those of the others.

    On every image, the mean of a participant's fixations is compared with the mean of the others' means.

    Args:
        images: Size and fixations by participant, `(n, 2)` pixels.
    """
    offsets: dict[str, list[np.ndarray]] = {}
    sides: dict[str, list[float]] = {}
    for size, fixations in images:
        means = {name: points.mean(axis=0) for name, points in fixations.items() if len(points)}
        if len(means) < FEWEST_PARTICIPANTS:
            continue
        total = np.sum(list(means.values()), axis=0)
        for name, mean in means.items():
            offsets.setdefault(name, []).append(mean - (total - mean) / (len(means) - 1))
            sides.setdefault(name, []).append(max(size))
    lines = []
    for name, pairs in offsets.items():
        if len(pairs) < FEWEST_IMAGES:
            continue
        table = np.array(pairs)
        offset = table.mean(axis=0)
        error = table.std(axis=0, ddof=1) / np.sqrt(len(table))
        is_clear = (np.abs(offset) > ERRORS * error) & (np.abs(offset) > OFFSET * np.mean(sides[name]))
        if is_clear.any():
            x, y = offset
            across, along = "right" if x > 0 else "left", "below" if y > 0 else "above"
            lines.append(
                f"the fixations of {name} lie {abs(x):.0f} px to the {across} and {abs(y):.0f} px {along} those of "
                f"the others, on average over {len(table)} images: the calibration may have drifted"
            )
    return lines
