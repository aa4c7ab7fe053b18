"""Checkpoints from their names: resolved, downloaded, checked and loaded here and nowhere else.

torch is imported by `load_checkpoint` only, as some commands need just the folder of a checkpoint.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .registry import CONFIG, WEIGHTS, resolve_model

if TYPE_CHECKING:
    from ..image_processing_mlnet import MLNetImageProcessor
    from ..modeling_mlnet import MLNetModel

ARCHITECTURE = ("backbone", "backbone_kwargs", "drop_modules", "feature_levels", "pooling", "recordings")


def checkpoint_folder(name: str) -> Path:
    """The folder of a checkpoint on this machine; it is downloaded if necessary.

    Args:
        name: As in `resolve_model`.

    Raises:
        ValueError: As `resolve_model`, or if the download fails or is not the checkpoint of the registry.
    """
    source = resolve_model(name)
    if Path(source.location).is_dir():
        return Path(source.location)
    from .download import fetch

    return fetch(*source)


def load_checkpoint(name: str, **config: Any) -> "tuple[MLNetModel, MLNetImageProcessor]":
    """Loads a model in float32, and its image processor.

    Args:
        name: As in `resolve_model`.
        config: Fields of `MLNetConfig` that replace those of the checkpoint.

    Raises:
        ValueError: If there is no such checkpoint, or it is not one of ML-Net.
    """
    import torch

    from ..image_processing_mlnet import MLNetImageProcessor
    from ..modeling_mlnet import MLNetModel
    from .download import check_config

    folder = checkpoint_folder(name)
    if not (folder / CONFIG).is_file():
        raise ValueError(f"{name}: no ML-Net checkpoint could be loaded: it has no {CONFIG}")
    check_config(folder / CONFIG, name)
    try:
        model, info = MLNetModel.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, **config)
        image_processor = MLNetImageProcessor.from_pretrained(folder)
    except Exception as error:  # damaged files raise errors of many libraries
        reason = " ".join(str(error).split())
        raise ValueError(f"{name}: no ML-Net checkpoint could be loaded: {reason}") from error
    if info["missing_keys"]:
        raise ValueError(f"{name}: the checkpoint has no tensor {min(info['missing_keys'])!r}")
    return model, image_processor


def read_recordings(folder: Path) -> list[str]:
    """The kinds of recording that a checkpoint knows; none if it cannot be read, which `load_checkpoint` explains."""
    try:
        return list(json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("recordings") or [])
    except (OSError, ValueError, AttributeError):
        return []


def loaded_from(model: "MLNetModel") -> Path | None:
    """The folder of the checkpoint that a model was loaded from; `None` if unknown, or if the model was changed."""
    import torch
    from huggingface_hub import try_to_load_from_cache
    from safetensors import SafetensorError, safe_open

    name, commit = model.name_or_path, getattr(model.config, "_commit_hash", None)
    if not name:
        return None
    weights: Any = Path(name) / WEIGHTS
    if not Path(name).is_dir():
        weights = try_to_load_from_cache(name, WEIGHTS, revision=commit) if commit else None
    try:
        folder = Path(weights).parent
        state = model.state_dict()
        config = type(model.config).from_pretrained(folder)
        with safe_open(weights, "pt") as file:
            is_unchanged = all(getattr(config, key) == getattr(model.config, key) for key in ARCHITECTURE)
            is_unchanged &= set(file.keys()) == set(state) and all(
                torch.equal(file.get_tensor(key).to(value.dtype), value.cpu()) for key, value in state.items()
            )
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError):  # moved, damaged, or of other shapes
        return None
    return folder if is_unchanged else None
