"""The checkpoints that a visitor can choose."""

import threading
from pathlib import Path

import numpy as np

from ..hub.checkpoint import checkpoint_folder
from ..hub.registry import ALIASES, is_here, read_manifest
from ..inference.predictor import SaliencyPredictor, read_recordings


class Models:
    """The checkpoint the page was started with, loaded now, and those of the registry that need no download.

    Args:
        model: As in `SaliencyPredictor`; the default of every request.

    Raises:
        ValueError: If `model` cannot be loaded.
    """

    def __init__(self, model: str):
        self.default = Path(model).name if Path(model).is_dir() else model
        called = {name: alias for alias, name in ALIASES.items()}
        here = [called.get(name, name) for name, entry in read_manifest().items() if is_here(entry)]
        others = {name: name for name in here if ALIASES.get(name, name) != ALIASES.get(model, model)}
        self.choices = {self.default: model, **others}
        self._predictors: dict[str, SaliencyPredictor] = {}
        self._lock = threading.Lock()
        self.predictor(self.default)

    def predictor(self, name: str) -> SaliencyPredictor:
        """The predictor of a model, loaded and run once when it is asked for first.

        Raises:
            ValueError: If it is none of `choices`.
        """
        if name not in self.choices:
            raise ValueError(f"The model must be one of {', '.join(self.choices)}, got {str(name)[:40]!r}.")
        with self._lock:
            if name not in self._predictors:
                predictor = SaliencyPredictor(self.choices[name])
                predictor(np.zeros((240, 320, 3), dtype=np.uint8))  # loads the network, which no visitor waits for
                self._predictors[name] = predictor
            return self._predictors[name]

    def recordings(self, name: str) -> list[str]:
        """The kinds of recording that a model knows; none for most."""
        return read_recordings(checkpoint_folder(self.choices[name])) if name in self.choices else []
