"""Checkpoints from their names: resolved, downloaded, checked and loaded here and nowhere else.

torch is imported by `load_checkpoint` only, as some commands need just the folder of a checkpoint.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .download import check_config, fetch
from .registry import CONFIG, resolve_model

if TYPE_CHECKING:
    from ..image_processing_mlnet import MLNetImageProcessor
    from ..modeling_mlnet import MLNetModel


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
