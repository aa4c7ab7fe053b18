"""ML-Net saliency prediction: models, image processor, pipeline, metrics and data for transformers."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .auto_registration import register, register_on_import

# Imported on first use: torch alone takes seconds, which `mlnet --help` should not.
_EXPORTS = {
    "BatchPredictor": "scale.batch",
    "MLNetConfig": "configuration_mlnet",
    "MLNetImageProcessor": "image_processing_mlnet",
    "MLNetModel": "modeling_mlnet",
    "MLNetOutput": "modeling_mlnet",
    "SaliencyPredictionPipeline": "pipeline_mlnet",
    "SaliencyPredictor": "inference.predictor",
    "MLNetTrainer": "training.trainer",
    "MLNetTrainingArguments": "training.arguments",
}

MINI = Path(__file__).parent / "checkpoints" / "mlnet-mini"
VGG16 = MINI.parent / "mlnet-vgg16"

if TYPE_CHECKING:
    from .configuration_mlnet import MLNetConfig
    from .image_processing_mlnet import MLNetImageProcessor
    from .inference.predictor import SaliencyPredictor
    from .modeling_mlnet import MLNetModel, MLNetOutput
    from .pipeline_mlnet import SaliencyPredictionPipeline
    from .scale.batch import BatchPredictor
    from .training.arguments import MLNetTrainingArguments
    from .training.trainer import MLNetTrainer


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_EXPORTS])


register_on_import()

__all__ = [
    "MINI",
    "VGG16",
    "BatchPredictor",
    "MLNetConfig",
    "MLNetImageProcessor",
    "MLNetModel",
    "MLNetOutput",
    "MLNetTrainer",
    "MLNetTrainingArguments",
    "SaliencyPredictionPipeline",
    "SaliencyPredictor",
    "register",
]
