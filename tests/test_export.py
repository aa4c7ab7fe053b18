"""`mlnet export`: graphs against PyTorch, for ONNX Runtime and beside a checkpoint."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from modeling_mlnet import MLNetConfig, MLNetImageProcessor, MLNetModel, SaliencyPredictor
from modeling_mlnet.cli import app
from modeling_mlnet.hub.checkpoint import load_checkpoint
from modeling_mlnet.inference import export
from modeling_mlnet.inference.graph import find_graph

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
    session = export._onnx_runtime(exported / "model.onnx")
    for size in ((240, 320), (96, 136)):
        processor = MLNetImageProcessor.from_pretrained(exported, size={"height": size[0], "width": size[1]})
        for count in (1, len(PICTURES)):
            pixel_values = processor(PICTURES[:count], return_tensors="pt")["pixel_values"]
            with torch.no_grad():
                kinds = [model.eval()(pixel_values, recording=kind).saliency_map for kind in model.config.recordings]
            expected = torch.stack(kinds, dim=1).numpy()
            actual = session(pixel_values.numpy())
            assert actual.shape == expected.shape == (count, len(kinds), size[0] // 8, size[1] // 8)
            np.testing.assert_allclose(actual, expected, atol=1e-4 * expected.max())


def test_the_graph_names_no_path_of_this_machine(exported):
    content = (exported / "model.onnx").read_bytes()
    assert b".py" not in content and str(Path(torch.__file__).parent).encode() not in content


def test_the_folder_alone_predicts(exported, tmp_path):
    words = ["predict", str(PICTURES[0]), "-o", str(tmp_path / "maps"), "--model", str(exported)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0 and "network: OpenVINO, " in result.stderr
    outcome, expected = (
        SaliencyPredictor(name, device="cpu", dtype="float32")(PICTURES[0]) for name in (exported, "mini")
    )
    np.testing.assert_allclose(outcome, expected, atol=1e-4)


def test_a_folder_that_is_there_is_left_alone(exported):
    before = sorted(path.name for path in exported.iterdir())
    result = CliRunner().invoke(app, ["export", "mini", "-o", str(exported)])
    assert isinstance(result.exception, ValueError) and "already exists" in str(result.exception)
    assert sorted(path.name for path in exported.iterdir()) == before


@pytest.fixture
def vgg(tmp_path):
    torch.manual_seed(0)
    MLNetModel(MLNetConfig(backbone="vgg11", encoder_channels=4)).save_pretrained(tmp_path / "vgg")
    MLNetImageProcessor().save_pretrained(tmp_path / "vgg")
    return str(tmp_path / "vgg")


def test_maps_that_differ_leave_nothing(vgg, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", 0.0)
    with pytest.raises(ValueError, match=r"of their maximum off"):
        export.export_onnx(vgg, tmp_path / "out")
    assert [item.name for item in tmp_path.iterdir()] == ["vgg"]


def test_a_vgg_is_exported_too(vgg, tmp_path):
    assert export.export_onnx(vgg, tmp_path / "out")[1] <= export.TOLERANCE


# --- beside a checkpoint


@pytest.fixture(scope="module")
def in_place(small_checkpoint, tmp_path_factory):
    """The small checkpoint with a graph."""
    folder = tmp_path_factory.mktemp("exported") / "small"
    shutil.copytree(small_checkpoint, folder)
    result = CliRunner().invoke(app, ["export", str(folder), "--in-place"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{folder / 'model.onnx'}: at most ")
    return folder


def test_a_graph_beside_a_checkpoint_reads_its_weights(in_place, small_checkpoint, pictures):
    assert (in_place / "model.onnx").stat().st_size < (in_place / "model.safetensors").stat().st_size / 4
    names = {"config.json", "model.onnx", "model.safetensors", "preprocessor_config.json"}
    assert {path.name for path in in_place.iterdir()} == names
    assert find_graph(in_place, (64, 96)) == in_place / "model.onnx"
    first, second = (SaliencyPredictor(item, device="cpu", dtype="float32") for item in (in_place, small_checkpoint))
    for picture in pictures:
        assert np.array_equal(first(picture), second(picture))  # the graph of the cache brings its own weights


def test_weights_behind_a_link_and_images_of_their_own_size_are_refused(in_place, tmp_path):
    folder = tmp_path / "linked"
    shutil.copytree(in_place, folder)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(in_place / "model.safetensors")
    with pytest.raises(ValueError, match="is a link, and a graph reads only its own folder"):
        export.export_in_place(str(folder))
    with pytest.raises(ValueError, match="owner/name: is no checkpoint folder on this machine"):
        export.export_in_place("owner/name")
    with pytest.raises(ValueError, match=r"mini: is inside the package, which is left as it is; .* by -o DIR"):
        export.export_in_place("mini")
    shutil.rmtree(folder)
    shutil.copytree(in_place, folder)
    MLNetImageProcessor.from_pretrained(folder, do_resize=False).save_pretrained(folder)
    with pytest.raises(ValueError, match="images keep their size"):
        export.export_in_place(str(folder))


def test_maps_that_differ_leave_the_old_graph(in_place, tmp_path, monkeypatch):
    folder = tmp_path / "small"
    shutil.copytree(in_place, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(export, "TOLERANCE", 0.0)
    with pytest.raises(ValueError, match="of their maximum off"):
        export.export_in_place(str(folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_export_wants_one_place():
    for words in ([], ["--in-place", "-o", "somewhere"]):
        result = CliRunner().invoke(app, ["export", "mini", *words])
        assert result.exit_code == 2 and "give one of --output, --in-place" in result.stderr.replace("\n", " ")
