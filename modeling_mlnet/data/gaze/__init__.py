"""Gaze as eye trackers export it, as a folder that `load` reads."""

from .display import Viewing
from .importing import ImportReport, import_gaze
from .placing import Display
from .presets import PRESETS
from .rows import GazeFormat

__all__ = ["PRESETS", "Display", "GazeFormat", "ImportReport", "Viewing", "import_gaze"]
