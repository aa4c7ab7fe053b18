"""Prediction from a checkpoint's ONNX graph, without PyTorch, against prediction with it."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from modeling_mlnet.onnx_prediction import Letterbox, OnnxPredictor
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from modeling_mlnet import MINI, MLNetImageProcessor, SaliencyPredictor, devices, onnx_export, onnx_prediction
from modeling_mlnet.cli import app
from modeling_mlnet.cli.predict import choose_predictor

PICTURES = sorted((Path(__file__).parent / "fixtures" / "images").glob("*.jpg"))
SIZES = st.tuples(st.integers(1, 900), st.integers(1, 900))


def maps(predictor, pictures) -> list[np.ndarray]:
    predictions = list(predictor.stream(pictures))
    assert [one.error for one in predictions] == [None] * len(pictures)
    return [one.saliency_map for one in predictions]


@pytest.fixture(scope="module")
def exported(small_checkpoint, tmp_path_factory):
    """The small checkpoint with a graph."""
    folder = tmp_path_factory.mktemp("exported") / "small"
    shutil.copytree(small_checkpoint, folder)
    result = CliRunner().invoke(app, ["export", str(folder), "--in-place"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{folder / 'model.onnx'}: at most ")
    return folder


@pytest.fixture(scope="module")
def processor_file(tmp_path_factory):
    """The embedded image processor on 240x320, averaging or not, and what is read of its file without PyTorch."""

    @cache
    def make(antialias: bool) -> tuple[MLNetImageProcessor, Letterbox]:
        size = {"height": 240, "width": 320}
        image_processor = MLNetImageProcessor.from_pretrained(MINI, antialias=antialias, size=size)
        folder = tmp_path_factory.mktemp("processor")
        image_processor.save_pretrained(folder)
        return image_processor, Letterbox.read(folder / "preprocessor_config.json")

    return make


def with_pytorch(model) -> SaliencyPredictor:
    return SaliencyPredictor(model, dtype="float32", device="cpu", engine="fused")


def test_the_embedded_graph_is_the_embedded_network():
    model = with_pytorch(MINI).model
    assert onnx_export.largest_difference(model, MINI / "model.onnx", [(1, *model.config.image_size)]) < 2e-5


def test_real_pictures_get_the_same_maps_without_pytorch():
    expected = maps(with_pytorch(MINI), PICTURES)
    for found, wanted in zip(maps(OnnxPredictor("mini"), PICTURES), expected, strict=True):
        assert found.dtype == np.float32 and found.shape == wanted.shape and found.max() == 1
        assert np.abs(found - wanted).max() < 0.005  # shrinking rounds otherwise in a thousandth of the pixels
        assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.99999


def test_a_graph_beside_a_checkpoint_reads_its_weights(exported, pictures):
    assert (exported / "model.onnx").stat().st_size < (exported / "model.safetensors").stat().st_size / 4
    assert sorted(path.name for path in exported.iterdir()) == [
        "config.json",
        "model.onnx",
        "model.safetensors",
        "preprocessor_config.json",
    ]
    expected = maps(with_pytorch(exported), pictures)
    for found, wanted in zip(maps(OnnxPredictor(exported), pictures), expected, strict=True):
        assert np.abs(found - wanted).max() < 0.02 and found.shape == wanted.shape  # untrained, and nearly flat


@pytest.mark.parametrize("antialias", [True, False])
@settings(max_examples=40, deadline=None)
@given(size=SIZES)
def test_canvas_and_inverse_are_the_image_processor_s(size, antialias, processor_file):
    random = np.random.default_rng(size)
    coarse = Image.fromarray(random.integers(0, 256, size=(7, 9, 3), dtype=np.uint8))
    image = np.asarray(coarse.resize(size[::-1], Image.Resampling.BICUBIC))
    image_processor, letterbox = processor_file(antialias)
    wanted = image_processor(image, return_tensors="np", input_data_format="channels_last")["pixel_values"]
    found = letterbox(image)
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    difference = np.abs(found - wanted) * 127.5  # of 255
    # Averaging has two passes, which round to whole bytes; a value near a half may fall to either side in both.
    assert difference.max() < (2.01 if antialias else 1e-4) and difference.mean() < 0.02, size
    assert (difference > 1.01).mean() < 1e-3, size
    cells = random.random((1, 30, 40), dtype=np.float32)
    [expected] = image_processor.post_process_saliency(torch.from_numpy(cells), [size])
    np.testing.assert_allclose(letterbox.invert(cells[0], size), expected.numpy(), atol=2e-6)


def test_what_a_file_leaves_out_is_the_image_processor_s_default():
    for key, value in onnx_prediction.RELEASE.items():
        default = getattr(MLNetImageProcessor, key)
        assert (tuple(default) if isinstance(value, tuple) else default) == value, key


def test_a_dead_map_stays_zero(processor_file):
    _, letterbox = processor_file(True)
    assert letterbox.tone_curve is not None
    assert not letterbox.invert(np.zeros((30, 40), dtype=np.float32), (50, 70)).any()


def test_pictures_of_every_mode(exported, pictures, tmp_path):
    picture = Image.open(pictures[0])
    alpha = Image.linear_gradient("L").resize(picture.size)
    files = {mode: picture.convert(mode) for mode in ("1", "L", "P", "CMYK")}
    files |= {"RGBA": Image.merge("RGBA", [*picture.split(), alpha]), "LA": Image.merge("LA", [alpha, alpha])}
    deep = np.asarray(picture.convert("L")).astype(np.uint16) * 257
    files["I;16"] = Image.fromarray(deep)
    places = []
    for mode, one in files.items():
        places.append(tmp_path / f"{mode[0]}{len(places)}{'.tif' if mode == 'CMYK' else '.png'}")
        one.save(places[-1])
    rotated = tmp_path / "rotated.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(rotated, exif=exif)
    places.append(rotated)
    expected = list(with_pytorch(exported).stream(places, keep_images=True))
    for found, wanted in zip(OnnxPredictor(exported).stream(places, keep_images=True), expected, strict=True):
        assert found.source == wanted.source and found.error is None
        np.testing.assert_array_equal(found.image, wanted.image, err_msg=str(found.source))
        assert np.abs(found.saliency_map - wanted.saliency_map).max() < 0.02, found.source


def test_pictures_that_cannot_be_read_stop_nothing(exported, pictures, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(pictures[0].read_bytes()[:300])
    found = list(OnnxPredictor(exported).stream([broken, pictures[0], tmp_path / "none.jpg"]))
    assert [one.error is None for one in found] == [False, True, False]
    assert str(broken) in found[0].error and found[2].error == f"{tmp_path / 'none.jpg'}: no such file"


@pytest.fixture
def predict(pictures, tmp_path):
    def run(*words: str) -> str:
        output = tmp_path / "maps"
        shutil.rmtree(output, ignore_errors=True)
        result = CliRunner().invoke(app, ["predict", *map(str, pictures), "-o", str(output), *words])
        if isinstance(result.exception, ValueError):
            return str(result.exception)
        assert result.exit_code == 0, result.output
        assert len(list(output.iterdir())) == len(pictures)
        *warning, network, _ = result.stderr.splitlines()
        return "; ".join([*warning, network])

    return run


def test_predict_takes_the_graph_for_few_pictures(exported, predict, monkeypatch):
    words = ["--model", str(exported)]
    assert predict(*words) == "network: ONNX Runtime, float32"
    assert predict(*words, "--dtype", "float32", "--device", "cpu") == "network: ONNX Runtime, float32"
    assert predict(*words, "--no-prior").startswith("network: fused, ")
    assert predict(*words, "--engine", "eager").startswith("network: eager, ")
    for other in (["--no-prior"], ["--dtype", "bfloat16"], ["--device", "cuda"]):
        message = predict(*words, "--engine", "onnx", *other)
        assert message == "engine 'onnx' predicts in float32, on the CPU and with the prior"
    monkeypatch.setattr(
        sys.modules["modeling_mlnet.cli.predict"], "LITTLE_WORK", 3.5 * OnnxPredictor(exported).graph.gflop
    )
    monkeypatch.setattr(devices, "default_device", lambda: "cpu")
    for is_fast, expected in ((True, "network: fused, "), (False, "network: ONNX Runtime, ")):
        monkeypatch.setattr(devices, "has_fast_bfloat16", lambda device, is_fast=is_fast: is_fast)
        assert predict(*words).startswith(expected)
        assert predict(*words, "--dtype", "float32").startswith("network: ONNX Runtime, ")
    monkeypatch.setattr(devices, "default_device", lambda: "cuda")
    for pictures, device, expected in (
        (4, "auto", SaliencyPredictor),
        (3, "auto", OnnxPredictor),
        (4, "cpu", OnnxPredictor),
    ):
        assert type(choose_predictor(pictures, str(exported), "auto", "float32", device, True, 8)) is expected


def test_in_python_the_graph_takes_what_it_can_and_pytorch_the_rest(exported, pictures):
    predictor, other = SaliencyPredictor(exported, dtype="float32", device="cpu", batch_size=2), with_pytorch(exported)
    small = MLNetImageProcessor.from_pretrained(exported, size={"height": 64, "width": 64})
    for image_processor in (predictor.image_processor, small):  # a canvas that the graph was not made for
        for apply_prior in (True, False):
            for one in (predictor, other):
                one.image_processor, one.apply_prior = image_processor, apply_prior
            for found, wanted in zip(predictor(pictures * 3), other(pictures * 3), strict=True):
                np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert predictor.choice == "ONNX Runtime, float32"


def test_in_python_a_graph_that_does_not_fit_is_not_used(exported, small_checkpoint, pictures, tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(exported, folder)
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    choices = {}
    for name, words in {
        "none": {"model": small_checkpoint},
        "of other weights": {"model": folder},
        "no prior": {"model": exported, "apply_prior": False},
        "fused": {"model": exported, "engine": "fused"},
        "bfloat16": {"model": exported, "dtype": "bfloat16"},
    }.items():
        predictor = SaliencyPredictor(**{"dtype": "float32", "device": "cpu", **words})
        predictor(pictures[0])
        choices[name] = predictor.choice
    assert choices.pop("bfloat16") == "fused, bfloat16"
    assert set(choices.values()) == {"fused, float32"}


def test_predicting_imports_nothing_heavy(tmp_path):
    code = (
        "import sys; from modeling_mlnet.cli import app\n"
        f"app(['predict', {str(PICTURES[0])!r}, '-o', {str(tmp_path / 'maps')!r}], standalone_mode=False)\n"
        "print({'torch', 'transformers', 'timm', 'torchvision', 'matplotlib', 'scipy'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_a_graph_of_other_weights_is_not_used(exported, predict, tmp_path):
    folder = tmp_path / "trained"
    shutil.copytree(exported, folder)
    tensors = load_file(folder / "model.safetensors")
    save_file({name: one * 2 for name, one in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    reason = f"{folder / 'model.onnx'}: was made for other weights; `mlnet export --in-place` makes it anew"
    assert predict("--model", str(folder), "--engine", "onnx") == reason
    assert predict("--model", str(folder)).startswith(f"mlnet: {reason}; predicting with PyTorch; network: fused, ")


def test_a_graph_that_is_not_there_or_damaged_is_not_used(exported, small_checkpoint, predict, tmp_path):
    assert predict("--model", str(small_checkpoint)).startswith("network: fused, ")
    assert "has no model.onnx" in predict("--model", str(small_checkpoint), "--engine", "onnx")
    folder = tmp_path / "damaged"
    shutil.copytree(exported, folder)
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:5000])
    assert "; predicting with PyTorch; network: fused, " in predict("--model", str(folder))
    assert "model.onnx: cannot be loaded: " in predict("--model", str(folder), "--engine", "onnx")
    (folder / "model.safetensors").unlink()
    assert "model.onnx: cannot be loaded: " in predict("--model", str(folder))
    assert "engine must be one of ['auto', 'fused', 'eager', 'compiled', 'onnx']" in predict("--engine", "onx")


def test_a_graph_of_another_canvas_is_not_used(exported, predict, tmp_path):
    folder = tmp_path / "canvas"
    shutil.copytree(exported, folder)
    MLNetImageProcessor.from_pretrained(folder, size={"height": 64, "width": 64}).save_pretrained(folder)
    assert "was made for another canvas" in predict("--model", str(folder), "--engine", "onnx")


def test_several_passes_at_once_keep_to_the_threads_they_may_use(exported, pictures, monkeypatch):
    alone = [maps(OnnxPredictor(exported), [one])[0] for one in pictures]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert OnnxPredictor(exported).threads == 1
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(onnx_prediction, "usable_cores", lambda: 20)
    predictor, used = OnnxPredictor(exported), []
    graph = predictor.graph
    predictor.graph = lambda pixel_values, threads: used.append(threads) or graph(pixel_values, 1)
    for found, wanted in zip(maps(predictor, pictures * 5), alone * 5, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert used[0] == 20 and set(used[1:]) == {2}  # eight passes


def test_a_graph_that_fails_stops_nothing(exported, pictures, monkeypatch):
    predictor = OnnxPredictor(exported)
    predictor.letterbox = replace(predictor.letterbox, canvas=(32, 32))
    found = list(predictor.stream(pictures))
    assert [one.source for one in found] == pictures
    assert all(f"{one.source}: {exported / 'model.onnx'} failed: " in one.error for one in found)


def test_a_processor_that_needs_pytorch_is_refused(exported, predict, tmp_path):
    folder = tmp_path / "plain"
    shutil.copytree(exported, folder)
    values = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    (folder / "preprocessor_config.json").write_text(json.dumps(values | {"resample": 3}), encoding="utf-8")
    before = (folder / "model.onnx").read_bytes()
    assert "without PyTorch pictures are fitted bilinearly" in predict("--model", str(folder), "--engine", "onnx")
    result = CliRunner().invoke(app, ["export", str(folder), "--in-place"])
    assert "without PyTorch pictures are fitted bilinearly" in str(result.exception)
    assert (folder / "model.onnx").read_bytes() == before


def test_weights_behind_a_link_are_refused(exported, tmp_path):
    folder = tmp_path / "linked"
    shutil.copytree(exported, folder)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(exported / "model.safetensors")
    with pytest.raises(ValueError, match="is a link, and a graph reads only its own folder"):
        onnx_export.export_in_place(str(folder))
    with pytest.raises(ValueError, match="owner/name: is no checkpoint folder on this machine"):
        onnx_export.export_in_place("owner/name")


def test_maps_that_differ_leave_the_old_graph(exported, tmp_path, monkeypatch):
    folder = tmp_path / "small"
    shutil.copytree(exported, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(onnx_export, "largest_difference", lambda model, path, shapes: 0.01)
    with pytest.raises(ValueError, match=r"1\.0e-02 of their maximum off"):
        onnx_export.export_in_place(str(folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_export_wants_one_place():
    for words in ([], ["--in-place", "-o", "somewhere"]):
        result = CliRunner().invoke(app, ["export", "mini", *words])
        assert result.exit_code == 2 and "give one of --output and --in-place" in result.stderr.replace("\n", " ")
