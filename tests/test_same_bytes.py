"""A map depends on the image, the checkpoint, the options and the kind of processor, on nothing else."""

import json

import numpy as np
import pytest
from demo_files import answers_of, upload
from PIL import Image
from transformers import pipeline
from typer.testing import CliRunner

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.cli import app
from modeling_mlnet.demo.results import Settings
from modeling_mlnet.inference.network import has_bfloat16

COUNT = 200


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Images of mixed sizes; the first and the last are the same."""
    random, folder = np.random.default_rng(0), tmp_path_factory.mktemp("images")
    for number in range(COUNT):
        if number not in (0, COUNT - 1):
            width, height = random.integers(20, 200, 2)
            coarse = random.integers(0, 256, (4, 6, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((int(width), int(height)), Image.Resampling.BICUBIC)
        else:
            coarse = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((90, 70), Image.Resampling.BICUBIC)
        image.save(folder / f"{number:03d}.png")
    return folder


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("apply_prior", [True, False])
def test_bytes_alone_and_among_many_by_every_way(images, small_checkpoint, tmp_path, dtype, apply_prior):
    if dtype == "bfloat16" and not has_bfloat16():
        pytest.skip("this processor does not multiply bfloat16 in hardware")
    first, last = (str(images / f"{number:03d}.png") for number in (0, COUNT - 1))
    model, options = str(small_checkpoint), {"apply_prior": apply_prior}
    predictor = SaliencyPredictor(model, device="cpu", dtype=dtype)
    expected = predictor(first, **options)
    assert predictor.network.description == f"OpenVINO, {dtype}"
    for place, paths, workers in (("alone", [first], 4), ("1", [str(images)], 1), ("4", [str(images)], 4)):
        words = ["predict", *paths, "-o", str(tmp_path / place), "--model", model, "--device", "cpu", "--dtype", dtype]
        words += ["--format", "map,npy", "--batch-size", str(workers), *([] if apply_prior else ["--no-prior"])]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0 and f"network: OpenVINO, {dtype}" in result.stderr, result.output
    alone = (tmp_path / "alone" / "000.map.png").read_bytes()
    for name in ("1/000", "4/000"):
        assert (tmp_path / f"{name}.map.png").read_bytes() == alone, name
    for name in ("alone/000", "1/000", "4/000", f"1/{COUNT - 1:03d}", f"4/{COUNT - 1:03d}"):
        assert np.array_equal(np.load(tmp_path / f"{name}.npy"), expected), name
    for path in sorted((tmp_path / "1").iterdir()):
        assert path.read_bytes() == (tmp_path / "4" / path.name).read_bytes(), path.name

    many = predictor(sorted(images.iterdir()), **options)
    assert np.array_equal(many[0], expected) and np.array_equal(many[-1], expected)
    saliency = pipeline("saliency-prediction", model=model, device="cpu", dtype=dtype)
    for outcome in (saliency(first, **options), saliency([last, first, last], batch_size=2, **options)[1]):
        assert np.array_equal(outcome["saliency_map"].numpy(), expected)
    answers = answers_of(SaliencyPredictor(model, device="cpu", dtype=dtype), tmp_path)
    (tmp_path / "upload.png").write_bytes((images / "000.png").read_bytes())
    result = answers.open(upload(tmp_path / "upload.png"), Settings("mini", apply_prior))
    assert np.array_equal(result.saliency_map, expected)


def test_what_is_done_again_gets_the_same_bytes(images, small_checkpoint, tmp_path):
    words = ["predict", str(images), "-o", str(tmp_path / "maps"), "--model", str(small_checkpoint), "--device", "cpu"]
    assert CliRunner().invoke(app, words).exit_code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "maps").iterdir()}
    for name in sorted(before)[::7]:
        (tmp_path / "maps" / name).unlink()
    result = CliRunner().invoke(app, [*words, "--resume", "--batch-size", "1"])
    assert result.exit_code == 0 and json.dumps(result.stderr).count("already there") == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "maps").iterdir()} == before
