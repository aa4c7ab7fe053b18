"""Entry points for torch.hub: `torch.hub.load("<owner>/<repo>", "saliency", trust_repo=True)("photo.jpg")`."""

import sys
from pathlib import Path
from typing import Any

dependencies = ["torch", "timm", "transformers", "huggingface_hub", "safetensors", "openvino", "PIL", "numpy"]

# torch.hub takes the folder off the path again when it has loaded. Processes that are started by spawn get the path of
# this one, and could not import the package of an object that is sent to them.
_FOLDER = str(Path(__file__).absolute().parent)
if sys.path.count(_FOLDER) < 2:  # torch.hub's own entry, and the one that stays
    sys.path.append(_FOLDER)


def mlnet(checkpoint: str = "mini", pretrained: bool = True, **config: Any) -> Any:
    """ML-Net ready for inference (`MLNetModel` in eval mode).

    Args:
        checkpoint: A name in hubconfig.json, a checkpoint's folder or a Hub id.
        pretrained: `False` builds an untrained network, from the keys of `MLNetConfig` in `config`; no download.
    """
    from modeling_mlnet import MLNetConfig, MLNetModel
    from modeling_mlnet.hub.checkpoint import load_checkpoint

    if not pretrained:
        return MLNetModel(MLNetConfig(**config)).eval()
    if config:
        raise ValueError(f"{next(iter(config))!r} needs pretrained=False: a checkpoint brings its own configuration")
    return load_checkpoint(checkpoint)[0].eval()


def mlnet_mini() -> Any:
    """The embedded checkpoint mlnet-mini, ready for inference."""
    return mlnet("mini")


def mlnet_vgg16() -> Any:
    """The embedded checkpoint mlnet-vgg16, the paper's network, ready for inference."""
    return mlnet("vgg16")


def mlnet_image_processor(checkpoint: str = "mini") -> Any:
    """The image processor (`MLNetImageProcessor`) of a checkpoint."""
    from modeling_mlnet.hub.checkpoint import load_checkpoint

    return load_checkpoint(checkpoint)[1]


def saliency(checkpoint: str = "mini", **arguments: Any) -> Any:
    """A callable: picture in, float32 saliency map `(height, width)` in 0..1 out.

    Args:
        checkpoint: A name in hubconfig.json, a checkpoint's folder or a Hub id.
        arguments: Of `SaliencyPredictor`: device, dtype, batch_size, compile.
    """
    from modeling_mlnet import SaliencyPredictor

    return SaliencyPredictor(checkpoint, **arguments)
