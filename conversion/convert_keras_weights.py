"""Converts the weight files of the original release into a checkpoint for MLNetModel.

    python conversion/convert_keras_weights.py mlnet_salicon_weights.pkl OUT_DIR
    python conversion/convert_keras_weights.py vgg16_weights.h5 OUT_DIR --imagenet

Both files are HDF5, the first one in spite of its name; nothing is ever unpickled. Kernels are Theano's, true
convolutions over BGR: they are rotated by 180 degrees, and the first one's input channels are reversed for RGB.
Exit status 2 and one line on stderr if anything is wrong; OUT_DIR is then left as it was.
"""

import argparse
import itertools
import sys
from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.torch import load_file

from modeling_mlnet import MLNetConfig, MLNetImageProcessor, MLNetModel
from modeling_mlnet.hub.model_card import compose, front_matter
from modeling_mlnet.hub.registry import sha256
from modeling_mlnet.io.atomic import whole_folder

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
VGG_CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
VGG_SHAPES: list[tuple[int, ...]] = [
    shape for inputs, outputs in itertools.pairwise(VGG_CHANNELS) for shape in ((outputs, inputs, 3, 3), (outputs,))
]
HEAD_SHAPES: list[tuple[int, ...]] = [(64, 1280, 3, 3), (64,), (1, 64, 1, 1), (1,)]
IMAGENET_LAYERS = (1, 3, 6, 8, 11, 13, 15, 18, 20, 22, 25, 27, 29)
PIXELS_PER_PRIOR_CELL = 80  # 10 map cells of 8 pixels, fixed in the release
WHAT_IT_CAN_BE = {
    b"\x80": "a Python pickle, which is never opened; the authors' file is HDF5 in spite of its name",
    b"<": "a web page; the download link answered with HTML instead of the file",
}
TRAINING = """\
Converted from `{name}` (sha256 `{digest}`) of the original release by Cornia, Baraldi, Serra and
Cucchiara (MIT licence). {text}

The scores in the paper are its authors'; this conversion was not scored again; `mlnet evaluate --model FOLDER` does
that."""


class ConversionError(ValueError):
    """What is wrong with a weight file, in one line."""


def check_signature(path: Path) -> None:
    """Looks at the first bytes only.

    Raises:
        ConversionError: If the file is missing or is not HDF5, saying what it is instead.
    """
    if not path.is_file():
        raise ConversionError(f"{path}: no such file")
    with open(path, "rb") as file:
        start = file.read(len(HDF5_SIGNATURE))
    if start == HDF5_SIGNATURE:
        return
    if not start:
        raise ConversionError(f"{path}: the file is empty")
    kind = next((text for sign, text in WHAT_IT_CAN_BE.items() if start.lstrip().startswith(sign)), "not an HDF5 file")
    raise ConversionError(f"{path}: this is {kind}")


def _names(values: np.ndarray) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def read_release(file: h5py.File) -> list[tuple[str, np.ndarray]]:
    """All weights of a Keras 1.1 `save_weights` file in order, with their layers' names."""
    if "layer_names" not in file.attrs:
        hint = "; with --imagenet it is read as vgg16_weights.h5" if "layer_1" in file else ""
        raise ConversionError(f"it has no attribute layer_names, so it is not an ML-Net weight file{hint}")
    weights = []
    for layer in _names(file.attrs["layer_names"]):
        group = file.get(layer)
        if group is None:
            raise ConversionError(f"it names layer {layer}, but has no group for it")
        for name in _names(group.attrs.get("weight_names", ())):
            if name not in group:
                raise ConversionError(f"layer {layer} names {name}, but has no such array")
            weights.append((layer, np.asarray(group[name])))
    return weights


def read_imagenet(file: h5py.File) -> list[tuple[str, np.ndarray]]:
    """The 13 convolutions of `vgg16_weights.h5` in order, with their layers' names."""
    weights = []
    for layer in (f"layer_{number}" for number in IMAGENET_LAYERS):
        for name in ("param_0", "param_1"):
            if layer not in file or name not in file[layer]:
                raise ConversionError(f"it has no {layer}/{name}, so it is not the release's vgg16_weights.h5")
            weights.append((layer, np.asarray(file[layer][name])))
    return weights


def check_shapes(weights: list[tuple[str, np.ndarray]], expected: list[tuple[int, ...]]) -> None:
    """Compares arrays with the network's, in order: layer numbers differ when several models were built at once.

    Raises:
        ConversionError: Naming the first array that is missing, superfluous or of another shape.
    """
    for index, shape in enumerate(expected):
        if index >= len(weights):
            raise ConversionError(f"it ends after {len(weights)} arrays; array {index + 1} must have shape {shape}")
        layer, array = weights[index]
        if array.shape != shape:
            raise ConversionError(f"array {index + 1}, of layer {layer}, has shape {array.shape}, expected {shape}")
    if len(weights) > len(expected):
        raise ConversionError(f"it has {len(weights)} arrays, expected {len(expected)}; {weights[-1][0]} is too much")


def to_torch(array: np.ndarray, reverse_inputs: bool = False) -> torch.Tensor:
    """A Theano array as PyTorch's: kernels rotated by 180 degrees, BGR inputs reversed to RGB."""
    if array.ndim == 4:
        array = array[:, :, ::-1, ::-1]
    if reverse_inputs:
        array = array[:, ::-1]
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))


def build_model(weights: list[tuple[str, np.ndarray]], imagenet: bool) -> MLNetModel:
    """The model that holds the weights.

    Raises:
        ConversionError: If the weights are not those of the network.
    """
    arrays = [array for _, array in weights]
    prior_shape: tuple[int, ...] = (6, 8)
    expected = list(VGG_SHAPES)
    if not imagenet:
        place = len(VGG_SHAPES) + len(HEAD_SHAPES)
        if len(arrays) > place and arrays[place].ndim == 2:
            prior_shape = arrays[place].shape
        expected += [*HEAD_SHAPES, prior_shape]
    check_shapes(weights, expected)
    if any(not np.isfinite(array).all() for array in arrays):
        raise ConversionError("it holds values that are not finite")
    rows, columns = (int(cells) for cells in prior_shape)
    image_size = (rows * PIXELS_PER_PRIOR_CELL, columns * PIXELS_PER_PRIOR_CELL)
    torch.manual_seed(0)  # for the encoder of an ImageNet start
    model = MLNetModel(MLNetConfig(prior_shape=(rows, columns), image_size=image_size))
    names = [name for name in model.state_dict() if name.startswith("backbone.")]
    names += ["encoder.conv.weight", "encoder.conv.bias", "encoder.out.weight", "encoder.out.bias", "prior.weight"]
    state_dict = {name: to_torch(array) for name, array in zip(names, arrays, strict=False)}
    state_dict[names[0]] = to_torch(arrays[0], reverse_inputs=True)
    model.load_state_dict(model.state_dict() | state_dict)
    return model.eval()


def check_reloaded(model: MLNetModel, directory: Path) -> None:
    """Loads what was written and compares every tensor and one forward pass.

    Raises:
        ConversionError: If anything differs.
    """
    reloaded = MLNetModel.from_pretrained(directory).eval()
    written = load_file(directory / "model.safetensors")
    for name, tensor in model.state_dict().items():
        if not torch.equal(tensor, written[name]) or not torch.equal(tensor, reloaded.state_dict()[name]):
            raise ConversionError(f"{name} came back changed from {directory}")
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 255 - 128
    with torch.no_grad():
        if not torch.equal(model(image).saliency_map, reloaded(image).saliency_map):
            raise ConversionError(f"the model reloaded from {directory} predicts otherwise")


def convert(path: Path, out_dir: Path, imagenet: bool = False) -> str:
    """Converts a weight file into a checkpoint folder and checks it.

    Args:
        path: `mlnet_salicon_weights.pkl`, or `vgg16_weights.h5` with `imagenet`.
        out_dir: New or empty; gets config.json, model.safetensors, preprocessor_config.json and README.md.

    Returns:
        The sha256 of model.safetensors.

    Raises:
        ConversionError: If the file is not what it should be or `out_dir` is not empty; `out_dir` is left as it was.
    """
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise ConversionError(f"{out_dir}: must be a new or empty folder")
    check_signature(path)
    try:
        with h5py.File(path, "r") as file:
            weights = (read_imagenet if imagenet else read_release)(file)
        model = build_model(weights, imagenet)
    except ConversionError as error:
        raise ConversionError(f"{path}: {error}") from None
    except Exception as error:  # h5py and numpy have many types for a damaged file
        raise ConversionError(f"{path}: damaged or truncated: {error}") from error
    title = "ML-Net backbone of the original release (ImageNet)" if imagenet else "ML-Net of the original release"
    text = (
        "The ImageNet start of the original training: only the VGG-16 backbone is trained, the rest is at its start."
        if imagenet
        else "The original network, trained by its authors on the 2015 release of SALICON."
    )
    with whole_folder(out_dir) as temporary:
        model.save_pretrained(temporary)
        height, width = model.config.image_size
        MLNetImageProcessor(size={"height": height, "width": width}).save_pretrained(temporary)
        card = compose(
            front_matter(out_dir.name, {}, "salicon2015", {} if imagenet else {"SALICON": "salicon"}),
            title,
            "ML-Net (Cornia et al., ICPR 2016, arXiv 1609.01064) as its authors released it, on VGG-16.",
            str(out_dir),
            {"Training": TRAINING.format(name=path.name, digest=sha256(path), text=text)},
        )
        (temporary / "README.md").write_text(card, encoding="utf-8")
        check_reloaded(model, temporary)
    return sha256(out_dir / "model.safetensors")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Convert the original release's weights into an MLNetModel checkpoint.",
        epilog="Example: python conversion/convert_keras_weights.py mlnet_salicon_weights.pkl vgg16-salicon",
    )
    parser.add_argument("weights", type=Path, metavar="WEIGHTS")
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR")
    parser.add_argument("--imagenet", action="store_true", help="WEIGHTS is vgg16_weights.h5")
    arguments = parser.parse_args()
    try:
        digest = convert(arguments.weights, arguments.out_dir, arguments.imagenet)
    except (ConversionError, OSError) as error:
        print(f"convert_keras_weights: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(f"{arguments.out_dir}: converted, reloaded and compared; sha256 of model.safetensors {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
