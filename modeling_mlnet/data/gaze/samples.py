"""Fixations found in samples of gaze, by pymovements (the extra `gaze`)."""

import math
import warnings
from typing import Literal, get_args

import numpy as np

from .display import Size, Viewing

Detector = Literal["idt", "ivt"]
DETECTORS: tuple[Detector, ...] = get_args(Detector)
SHORTEST = 100  # ms, of a fixation; pymovements' default, as its thresholds are: 1 degree (I-DT), 20 degrees/s (I-VT)
GAP = 1.5  # steps between samples, above which some are missing
RATES = (10, 5000)  # Hz


def find_fixations(
    points: np.ndarray, times: np.ndarray, screen: Size, viewing: Viewing, detector: Detector
) -> tuple[np.ndarray, np.ndarray]:
    """Fixations by dispersion (I-DT) or velocity (I-VT), Salvucci and Goldberg (ETRA 2000).

    Args:
        points: `(n, 2)` pixels of the screen; NaN where a sample was lost.
        times: `(n,)` in milliseconds.
        screen: Width and height in pixels.
        viewing: Makes degrees of pixels.

    Returns:
        `(m, 2)` the median position of each fixation's samples, and `(m,)` durations in milliseconds.

    Raises:
        ValueError: If the times cannot be milliseconds of an eye tracker.
    """
    steps = np.diff(times)
    if not len(steps):
        return np.zeros((0, 2)), np.zeros(0)
    step = float(np.median(steps))
    if not (np.isfinite(times).all() and (steps >= 0).all() and RATES[0] <= 1e3 / max(step, 1e-9) <= RATES[1]):
        raise ValueError(
            f"times must increase at {RATES[0]} to {RATES[1]} Hz, got steps of {step:g} ms "
            f"({steps.min():g} to {steps.max():g}); see --time-unit, and the columns of trial and recording"
        )
    ends = [*(np.flatnonzero(steps > GAP * step) + 1).tolist(), len(times)]
    positions, durations, start = [np.zeros((0, 2))], [], 0
    for end in ends:
        for first, last in _events(points[start:end], 1e3 / step, screen, viewing, detector):
            # The median: the last sample that I-DT counts may be the first of the saccade.
            positions.append(np.nanmedian(points[start + first : start + last + 1], axis=0, keepdims=True))
            durations.append(times[start + last] - times[start + first] + step)
        start = end
    return np.concatenate(positions), np.array(durations, np.float64)


def _events(
    points: np.ndarray, rate: float, screen: Size, viewing: Viewing, detector: Detector
) -> list[tuple[int, int]]:
    """First and last sample of every fixation; durations are counted in samples, as clocks are not even."""
    import pymovements

    shortest = max(2, math.ceil(SHORTEST * rate / 1e3))
    if len(points) < max(shortest, 7):  # pymovements' velocities need some samples
        return []
    width_cm, height_cm = (side / 10 for side in viewing.screen_mm)
    experiment = pymovements.Experiment(
        int(screen[0]), int(screen[1]), width_cm, height_cm, viewing.distance_mm / 10, "upper left", rate
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # windows of lost samples only
        gaze = pymovements.gaze.from_numpy(pixel=points.T, experiment=experiment)
        gaze.pix2deg()
        if detector == "ivt":
            gaze.pos2vel("fivepoint")
        column = "position" if detector == "idt" else "velocity"
        detect = pymovements.events.idt if detector == "idt" else pymovements.events.ivt
        events = detect(gaze.samples[column], minimum_duration=shortest).frame
    return list(zip(events["onset"].to_list(), events["offset"].to_list(), strict=True))
