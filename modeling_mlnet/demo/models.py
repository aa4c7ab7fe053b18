"""The checkpoints that a visitor can choose."""

import threading
from pathlib import Path

from ..hub.checkpoint import checkpoint_folder
from ..hub.registry import ALIASES, is_here, read_manifest
from ..inference.predictor import SaliencyPredictor, read_recordings
from .store import Store


class Models:
    """The checkpoint the page was started with, loaded now, and those of the registry that need no download.

    Args:
        model: As in `SaliencyPredictor`; the default of every request.
        folder: Folder of the server's temporary files.

    Raises:
        ValueError: If `model` cannot be loaded.
    """

    def __init__(self, model: str, folder: Path):
        self.folder = folder
        self.default = Path(model).name if Path(model).is_dir() else model
        called = {name: alias for alias, name in ALIASES.items()}
        here = [called.get(name, name) for name, entry in read_manifest().items() if is_here(entry)]
        self.choices = {self.default: model} | {
            name: name for name in here if ALIASES.get(name, name) != ALIASES.get(model, model)
        }
        self._stores: dict[str, Store] = {}
        self._lock = threading.Lock()
        self.store(self.default)

    def store(self, name: str | None = None) -> Store:
        """The results of a model, loaded when it is asked for first.

        Raises:
            ValueError: If it is none of `choices`.
        """
        name = name or self.default
        if name not in self.choices:
            raise ValueError(f"The model must be one of {', '.join(self.choices)}, got {str(name)[:40]!r}.")
        with self._lock:
            if name not in self._stores:
                self._stores[name] = Store(SaliencyPredictor(self.choices[name]), self.folder)
            return self._stores[name]

    def recordings(self, name: str | None = None) -> list[str]:
        """The kinds of recording that a model knows; none for most."""
        name = name or self.default
        return read_recordings(checkpoint_folder(self.choices[name])) if name in self.choices else []
