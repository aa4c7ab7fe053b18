"""The ONNX model in ONNX Runtime against PyTorch."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from modeling_mlnet.onnx_prediction import OnnxPredictor
from typer.testing import CliRunner

from modeling_mlnet import MINI, MLNetConfig, MLNetImageProcessor, MLNetModel, onnx_export
from modeling_mlnet.cli import app
from modeling_mlnet.hub.checkpoint import load_checkpoint

PICTURES = sorted((Path(__file__).parent / "fixtures" / "images").glob("*.jpg"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx") / "mini"
    result = CliRunner().invoke(app, ["export", "mini", "-o", str(folder)])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{folder / 'model.onnx'}: at most ") and result.stdout.count("\n") == 1
    return folder


def test_real_pictures_get_the_same_maps_in_any_batch_and_size(exported):
    model, _ = load_checkpoint("mini")
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    for size in ((240, 320), (96, 136)):
        processor = MLNetImageProcessor.from_pretrained(exported, size={"height": size[0], "width": size[1]})
        for count in (1, len(PICTURES)):
            pixel_values = processor(PICTURES[:count], return_tensors="pt")["pixel_values"]
            with torch.no_grad():
                expected = model.eval()(pixel_values).saliency_map.numpy()
            [found] = session.run(["saliency_map"], {"pixel_values": pixel_values.numpy()})
            assert found.shape == (count, size[0] // 8, size[1] // 8)
            np.testing.assert_allclose(found, expected, atol=1e-4 * expected.max())


def test_the_folder_alone_predicts(exported, tmp_path):
    words = ["predict", str(PICTURES[0]), "-o", str(tmp_path / "maps"), "--model", str(exported)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0 and result.stderr.startswith("network: ONNX Runtime, float32\n")
    [found] = OnnxPredictor(exported).stream(PICTURES[:1])
    [expected] = OnnxPredictor(MINI).stream(PICTURES[:1])
    np.testing.assert_allclose(found.saliency_map, expected.saliency_map, atol=1e-4)


def test_a_folder_that_is_there_is_left_alone(exported):
    before = sorted(path.name for path in exported.iterdir())
    result = CliRunner().invoke(app, ["export", "mini", "-o", str(exported)])
    assert isinstance(result.exception, ValueError) and "is there already" in str(result.exception)
    assert sorted(path.name for path in exported.iterdir()) == before


@pytest.fixture
def vgg(tmp_path):
    torch.manual_seed(0)
    MLNetModel(MLNetConfig(backbone="vgg11", encoder_channels=4)).save_pretrained(tmp_path / "vgg")
    MLNetImageProcessor().save_pretrained(tmp_path / "vgg")
    return str(tmp_path / "vgg")


def test_maps_that_differ_leave_nothing(vgg, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "largest_difference", lambda model, path, shapes: 0.01)
    with pytest.raises(ValueError, match=r"1\.0e-02 of their maximum off"):
        onnx_export.export_onnx(vgg, tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["vgg"]


def test_a_vgg_is_exported_too(vgg, tmp_path):
    assert onnx_export.export_onnx(vgg, tmp_path / "out")[1] <= onnx_export.TOLERANCE
