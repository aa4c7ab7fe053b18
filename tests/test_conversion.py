import pickle
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import release
import torch
from convert_keras_weights import ConversionError, convert, main, sha256

from modeling_mlnet import MLNetModel


@pytest.fixture
def arrays(release_arrays):
    return release_arrays[0]


def refused(path: Path, tmp_path: Path, message: str, **arguments) -> None:
    """The conversion fails with `message` and leaves nothing behind."""
    out_dir = tmp_path / "out" / "checkpoint"
    with pytest.raises(ConversionError, match=message) as caught:
        convert(path, out_dir, **arguments)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not out_dir.exists()
    assert not out_dir.parent.exists() or not any(out_dir.parent.iterdir())


def test_written_folder_is_a_whole_checkpoint(release_checkpoint):
    names = {path.name for path in release_checkpoint.iterdir()}
    assert names == {"config.json", "model.safetensors", "preprocessor_config.json", "README.md"}
    assert "library_name: transformers" in (release_checkpoint / "README.md").read_text()
    model = MLNetModel.from_pretrained(release_checkpoint)
    assert tuple(model.config.prior_shape) == (3, 4) and tuple(model.config.image_size) == (240, 320)


def test_kernels_are_rotated_and_bgr_is_folded_into_the_first(release_checkpoint, arrays):
    model = MLNetModel.from_pretrained(release_checkpoint)
    first = next(model.backbone.stages[0].children()).weight.detach().numpy()
    np.testing.assert_array_equal(first, arrays[0][:, ::-1, ::-1, ::-1])
    np.testing.assert_array_equal(model.encoder.conv.weight.detach().numpy(), arrays[26][:, :, ::-1, ::-1])
    np.testing.assert_array_equal(model.prior.weight.detach().numpy(), arrays[30])


def test_layer_numbers_may_be_offset(arrays, release_checkpoint, tmp_path):
    path = release.write_keras_file(tmp_path / "weights.pkl", release.keras_layers(arrays, offset=15))
    digest = convert(path, tmp_path / "out")
    assert digest == sha256(release_checkpoint / "model.safetensors") == sha256(tmp_path / "out" / "model.safetensors")


def test_imagenet_file_becomes_a_start_for_training(arrays, release_checkpoint, tmp_path):
    path = release.write_imagenet_file(tmp_path / "vgg16_weights.h5", arrays)
    convert(path, tmp_path / "out", imagenet=True)
    start, full = MLNetModel.from_pretrained(tmp_path / "out"), MLNetModel.from_pretrained(release_checkpoint)
    for name, tensor in start.backbone.state_dict().items():
        assert torch.equal(tensor, full.backbone.state_dict()[name])
    assert tuple(start.config.prior_shape) == (6, 8) and start.prior.weight.abs().max() == 0


def test_script_prints_one_line_with_the_sum_and_fails_with_status_2(arrays, tmp_path, monkeypatch, capsys):
    path = release.write_imagenet_file(tmp_path / "vgg16_weights.h5", arrays)
    words = ["convert_keras_weights.py", str(path), str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", words)
    assert main() == 2
    printed, failed = capsys.readouterr()
    assert printed == "" and failed.count("\n") == 1 and "--imagenet" in failed
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(sys, "argv", [*words, "--imagenet"])
    assert main() == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1 and sha256(tmp_path / "out" / "model.safetensors") in printed


def without(layers, name):
    return [layer for layer in layers if layer[0] != name]


def changed(layers, name, shape):
    return [
        (layer, {key: np.zeros(shape, np.float32) if key == name else array for key, array in weights.items()})
        for layer, weights in layers
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers: without(layers, "convolution2d_5"), r"array 9, of layer convolution2d_6, has shape"),
        (lambda layers: without(layers, "eltwiseproduct_1"), r"ends after 30 arrays"),
        (
            lambda layers: [*layers, ("dense_1", {"dense_1_W": np.zeros((2, 2), np.float32)})],
            r"32 arrays, expected 31; dense_1 is too much",
        ),
        (lambda layers: changed(layers, "convolution2d_14_W", (32, 1280, 3, 3)), r"array 27.*\(32, 1280, 3, 3\)"),
        (lambda layers: changed(layers, "convolution2d_1_W", (64, 3, 3, 4)), r"array 1, of layer convolution2d_1"),
        (lambda layers: changed(layers, "eltwiseproduct_1_W", (6,)), r"array 31"),
    ],
)
def test_layers_that_do_not_fit_are_named(arrays, tmp_path, change, message):
    path = release.write_keras_file(tmp_path / "weights.pkl", change(release.keras_layers(arrays)))
    refused(path, tmp_path, message)


def test_values_that_are_not_finite_are_refused(arrays, tmp_path):
    broken = [*arrays[:3], np.full_like(arrays[3], np.nan), *arrays[4:]]
    refused(release.write_keras_file(tmp_path / "weights.pkl", release.keras_layers(broken)), tmp_path, "not finite")


class Bomb:
    """Unpickling it would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_real_pickle_is_refused_unopened(tmp_path):
    path, trace = tmp_path / "weights.pkl", tmp_path / "was-opened"
    path.write_bytes(pickle.dumps(Bomb(trace)))
    refused(path, tmp_path, "a Python pickle, which is never opened")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>Google Drive - Virus scan warning</html>", "a web page"),
        (b"\n  <html>", "a web page"),
        (b"", "empty"),
        (b"PK\x03\x04 something else", "not an HDF5 file"),
        (b"\x89HDF\r\n\x1a\n", "damaged or truncated"),
    ],
)
def test_other_files_under_the_name_are_recognised(tmp_path, content, message):
    path = tmp_path / "mlnet_salicon_weights.pkl"
    path.write_bytes(content)
    refused(path, tmp_path, message)


def test_a_truncated_file_is_refused(arrays, tmp_path):
    path = release.write_keras_file(tmp_path / "weights.pkl", release.keras_layers(arrays))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, tmp_path, "damaged or truncated")


def test_a_missing_file_is_refused(tmp_path):
    refused(tmp_path / "weights.pkl", tmp_path, "no such file")


def test_an_hdf5_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "weights.pkl"
    with h5py.File(path, "w") as file:
        file["data"] = [1, 2, 3]
    refused(path, tmp_path, "no attribute layer_names")
    refused(path, tmp_path, "no layer_1/param_0", imagenet=True)


def test_a_folder_that_is_not_empty_is_left_alone(arrays, tmp_path):
    path = release.write_keras_file(tmp_path / "weights.pkl", release.keras_layers(arrays))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(ConversionError, match="new or empty"):
        convert(path, tmp_path / "out")
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["mine.txt"]
