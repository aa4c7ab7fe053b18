"""The weights of the golden run and its two weight files, written as the original release writes them."""

from pathlib import Path

import h5py
import numpy as np
import torch

FIXTURES = Path(__file__).parent / "fixtures"
IMAGE_NAMES = ("astronaut.jpg", "chelsea.jpg", "coffee.jpg", "rocket.jpg")
IMAGES = [FIXTURES / "images" / name for name in IMAGE_NAMES]
VGG = [(64, 3), (64, 64), (128, 64), (128, 128), (256, 128), (256, 256), (256, 256), (512, 256)] + [(512, 512)] * 5
IMAGENET_LAYERS = (1, 3, 6, 8, 11, 13, 15, 18, 20, 22, 25, 27, 29)


def golden() -> dict[str, np.ndarray]:
    with np.load(FIXTURES / "release_240x320.npz") as arrays:
        return dict(arrays)


def theano_arrays() -> tuple[list[np.ndarray], np.ndarray]:
    """The 31 weight arrays of the golden run in Theano's layout, and its `y_true`."""
    random = np.random.RandomState(2016)
    arrays = []
    for out, inputs in VGG:
        arrays.append(random.standard_normal((out, inputs, 3, 3)) * np.sqrt(2 / (9 * inputs)))
        arrays.append(random.standard_normal((out,)) * 0.05)
    arrays.append(random.standard_normal((64, 1280, 3, 3)) * np.sqrt(2 / (9 * 1280)))
    arrays.append(random.standard_normal((64,)) * 0.05)
    arrays.append(random.standard_normal((1, 64, 1, 1)) * 0.25)
    arrays.append(np.array([0.5]))
    arrays.append(random.standard_normal((3, 4)) * 0.3)
    labels = random.uniform(size=(4, 1, 30, 40)) ** 3
    return [array.astype(np.float32) for array in arrays], labels.astype(np.float32)[:, 0]


def keras_layers(arrays: list[np.ndarray], offset: int = 0) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Layer names and weights as Keras 1.1 saves them; `offset` as after models built earlier in the process."""
    convolutions = [
        (
            f"convolution2d_{number + offset}",
            {
                f"convolution2d_{number + offset}_W": arrays[2 * number - 2],
                f"convolution2d_{number + offset}_b": arrays[2 * number - 1],
            },
        )
        for number in range(1, 16)
    ]
    pools = [(f"maxpooling2d_{number + offset}", {}) for number in range(1, 5)]
    layers = [(f"input_{1 + offset}", {})]
    for block, pool in zip((slice(0, 2), slice(2, 4), slice(4, 7), slice(7, 10)), pools, strict=True):
        layers += [*convolutions[block], pool]
    layers += [*convolutions[10:13], (f"merge_{1 + offset}", {}), (f"dropout_{1 + offset}", {}), *convolutions[13:]]
    product = f"eltwiseproduct_{1 + offset}"
    return [*layers, (product, {f"{product}_W": arrays[30]}), (f"activation_{1 + offset}", {})]


def write_keras_file(path: Path, layers: list[tuple[str, dict[str, np.ndarray]]]) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name, _ in layers]
        for name, weights in layers:
            group = file.create_group(name)
            group.attrs["weight_names"] = np.array([item.encode() for item in weights], dtype="S40")
            for item, array in weights.items():
                group[item] = array
    return path


def write_imagenet_file(path: Path, arrays: list[np.ndarray]) -> Path:
    with h5py.File(path, "w") as file:
        for number in range(37):
            group = file.create_group(f"layer_{number}")
            group.attrs["nb_params"] = 2 if number in IMAGENET_LAYERS else 0
        for index, number in enumerate(IMAGENET_LAYERS):
            file[f"layer_{number}/param_0"], file[f"layer_{number}/param_1"] = arrays[2 * index : 2 * index + 2]
    return path


def network_input(arrays: dict[str, np.ndarray]) -> torch.Tensor:
    """The golden pictures as RGB minus the means, `(4, 3, 240, 320)`."""
    rgb = torch.from_numpy(arrays["input_bgr_uint8"][..., ::-1].copy()).permute(0, 3, 1, 2).float()
    return rgb - torch.tensor([123.68, 116.779, 103.939])[:, None, None]
