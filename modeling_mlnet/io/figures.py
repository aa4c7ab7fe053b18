"""Helpers for figures of matplotlib: images and maps on axes, text, and files."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .atomic import write_whole

FORMATS = ("png", "pdf")


def check_format(path: Path) -> None:
    """Raises a ValueError unless the suffix is one that `save_figure` writes; call it before a long computation."""
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        raise ValueError(f"{path}: a figure's name must end in .png or .pdf")


def save_figure(figure: Figure, path: Path, dpi: int = 120) -> None:
    """Writes a figure atomically, as PNG of `dpi` or PDF by its suffix; the same figure gives the same bytes."""
    check_format(path)
    suffix = path.suffix.lower().removeprefix(".")
    options: dict[str, Any] = {"metadata": {"CreationDate": None}} if suffix == "pdf" else {"dpi": dpi}
    write_whole(path, partial(figure.savefig, format=suffix, **options))


def literal(text: str) -> str:
    """Escapes text for matplotlib, where a dollar sign would start a formula."""
    return text.replace("$", r"\$")


def show(axes: Axes, values: np.ndarray) -> None:
    """Shows an image `(height, width, 3)`, or a map `(height, width)` with colours from 0 to its maximum."""
    options: dict[str, Any] = {} if values.ndim == 3 else {"cmap": "inferno", "vmin": 0}
    axes.imshow(values, **options)
    axes.set(xticks=[], yticks=[])
