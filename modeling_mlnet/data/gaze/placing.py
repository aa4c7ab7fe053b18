"""Where on the screen each image was shown."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .display import Rect, Viewing, centred, fit_rect, to_image
from .presets import RECT, Position
from .stimuli import Place, Stimuli

RECT_HINT = (
    "X,Y,WIDTH,HEIGHT in pixels of the screen, a table with stimulus,left,top,width,height, fit (scaled to the "
    "screen), centre (in its own size) or image (positions count on the image)"
)


@dataclass(frozen=True)
class Display:
    """Position of images on the screen, and the viewing geometry.

    Args:
        screen: Width and height of the screen in pixels.
        rect: Where every image was shown: left, top, width and height in pixels of the screen; a table of that; `fit`,
            in the middle, scaled to the screen; `centre`, in its own size; `image`, positions count on the image;
            or `None`, which takes what the gaze tables say.
        viewing: For degrees and for detectors of fixations.
    """

    screen: tuple[int, int] | None = None
    rect: Rect | Path | Place | None = None
    viewing: Viewing | None = None


class Placing:
    """Converts screen pixels to image pixels, with one note on the assumed position of the images."""

    def __init__(self, stimuli: Stimuli, display: Display):
        self.stimuli, self.display = stimuli, display
        self.rects = stimuli.read_rects(display.rect) if isinstance(display.rect, Path) else {}
        self.notes: list[str] = []
        if display.rect in ("fit", "centre") and display.screen is None:
            raise ValueError(f"{display.rect} needs the size of the screen: --screen WIDTHxHEIGHT")

    def on_image(self, image: Path, position: Position, points: np.ndarray, rects: np.ndarray) -> np.ndarray:
        """Positions in pixels of the image."""
        rect = self.display.rect
        size = self.stimuli.size(image)
        if position.on_image:
            if rect not in (None, "image"):
                self._note("positions count on the images already: what --stimulus-rect says is not used")
            return points
        if rect is None and len(rects) and np.isfinite(rects).all():
            if not (rects[:, 2:] > 0).all():
                raise ValueError(
                    f"its width and height in the tables must be above 0; give --stimulus-rect {RECT_HINT}"
                )
            self._note("where images were shown is taken from the tables")
            return to_image(points, rects, size)
        if rect is None:
            is_known = np.isfinite(rects).all(axis=0)
            missing = [side for side, known in zip(RECT, is_known, strict=True) if not known]
            if 0 < len(missing) < 4:
                raise ValueError(
                    f"the tables lack its {' and '.join(missing)} on the screen; name the columns with --columns "
                    f"{'=NAME,'.join(missing)}=NAME, or give --stimulus-rect {RECT_HINT}"
                )
            if size != self.display.screen:
                raise ValueError(f"where on the screen was it shown? Give --stimulus-rect {RECT_HINT}")
            self._note("images as large as the screen are taken to have filled it")
            return points
        if isinstance(rect, Path):
            if image not in self.rects:
                raise ValueError(f"{rect}: does not say where {image.name} was shown")
            return to_image(points, self.rects[image], size)
        if isinstance(rect, str):
            assert self.display.screen is not None
            rect = fit_rect(size, self.display.screen) if rect == "fit" else centred(size, self.display.screen)
        elif not math.isclose(rect[2] / rect[3], size[0] / size[1], rel_tol=0.02):
            self._note(
                f"{image.name} ({size[0]}x{size[1]} px) was shown in {rect[2]:g}x{rect[3]:g} px, stretched: if it was "
                "not, give --stimulus-rect fit or a table"
            )
        return to_image(points, rect, size)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
