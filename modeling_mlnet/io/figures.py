"""Figures of matplotlib: how an image or a map is shown, and a file written whole."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .atomic import write_whole

FORMATS = ("png", "pdf")


def check_format(path: Path) -> None:
    """Raises a ValueError unless `save_figure` can write the file, so that nobody learns it after the work."""
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        raise ValueError(f"{path}: a figure's name must end in .png or .pdf")


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure, whole or not at all, as PNG or PDF by its suffix; the same figure gives the same bytes."""
    check_format(path)
    suffix = path.suffix.lower().removeprefix(".")
    options: dict[str, Any] = {"metadata": {"CreationDate": None}} if suffix == "pdf" else {"dpi": 120}
    write_whole(path, partial(figure.savefig, format=suffix, **options))


def literal(text: str) -> str:
    """Text that matplotlib shows as it is: names may hold dollar signs, which would start a formula."""
    return text.replace("$", r"\$")


def show(axes: Axes, values: np.ndarray) -> None:
    """A picture as it is, a map from its 0 to its maximum in the colours of all figures."""
    options: dict[str, Any] = {} if values.ndim == 3 else {"cmap": "inferno", "vmin": 0}
    axes.imshow(values, **options)
    axes.set(xticks=[], yticks=[])
