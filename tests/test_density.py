"""Calibrated densities: the formula, its file, its fit, and the road to files and scores."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from layouts import write_folder, write_image
from scipy.ndimage import gaussian_filter
from scipy.special import logsumexp
from typer.testing import CliRunner

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.cli import app
from modeling_mlnet.data import is_held_out, load
from modeling_mlnet.evaluation.calibrate import GRID, Sample, calibrate, fit, fit_centre_bias, mean_gain
from modeling_mlnet.hub.push import staged
from modeling_mlnet.inference.density import Calibration, blurred, sample_fixations

GRID_VALUES = np.random.default_rng(0).normal(size=(3, 4)).round(3).tolist()
PLAIN = Calibration(1.5, 0.03, 0.4, 0.1, GRID_VALUES)
MAP = np.random.default_rng(1).random((48, 64)) ** 3


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, " ".join(str(result.exception or result.output).split())


def test_the_density_is_the_formula():
    smooth = gaussian_filter(MAP, 0.03 * 64, truncate=12)
    centre_bias = np.exp(PLAIN.log_centre_bias(MAP.shape))
    expected = smooth**1.5 * centre_bias**0.4
    expected = 0.9 * expected / expected.sum() + 0.1 / MAP.size
    for scale in (1, 1e-200, 1e200):  # a map has no unit
        np.testing.assert_allclose(np.exp(PLAIN.log_density(MAP * scale)), expected, rtol=1e-7)
    assert logsumexp(PLAIN.log_density(MAP)) == pytest.approx(0, abs=1e-12)
    assert np.isfinite(PLAIN.log_density(np.eye(40, 60))).all()
    np.testing.assert_allclose(replace(PLAIN, centre_bias_exponent=0.0).log_density(np.zeros((5, 7))), -np.log(35))


@pytest.mark.parametrize("sigma", [1.0, 2.0, 50.0])
def test_the_blur_keeps_the_sum_and_is_scipys(sigma):
    assert blurred(MAP, sigma).sum() == pytest.approx(MAP.sum(), rel=1e-12)
    if sigma == 2:  # a narrow one is sampled differently, a wide one cut off
        np.testing.assert_allclose(blurred(MAP, sigma), gaussian_filter(MAP, sigma, truncate=12), rtol=1e-9)


def test_another_centre_bias_takes_the_place_of_the_fitted_one():
    fitted, centre_bias = PLAIN.log_density(MAP), PLAIN.log_centre_bias(MAP.shape)
    np.testing.assert_allclose(PLAIN.log_density(MAP, np.exp(centre_bias) * 7), fitted, atol=1e-12)
    without = PLAIN.log_density(MAP, False)
    assert logsumexp(without) == pytest.approx(0, abs=1e-12) and np.ptp(without - fitted + centre_bias) < 1e-9
    for wrong in (np.ones((48, 63)), np.zeros((48, 64)), np.full((48, 64), np.nan)):
        with pytest.raises(ValueError, match="centre_bias must"):
            PLAIN.log_density(MAP, wrong)


def test_a_calibration_is_read_as_it_was_written(tmp_path):
    written = replace(PLAIN, weights_sha256="0" * 64, fitted_on={"held_out": 0.1})
    written.write(tmp_path / "calibration.json")
    assert Calibration.read(tmp_path / "calibration.json") == written


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "format is not mlnet-calibration-1"),
        ({"exponent": 0}, "exponent is out of its range: 0"),
        ({"uniform": 0}, "uniform is out of its range"),
        ({"blur": float("nan")}, "blur is out of its range"),
        ({"centre_bias": [[1], [1, 2]]}, "inhomogeneous|rows of finite"),
        ({"temperature": 1}, "temperature"),
        ({"exponent": "1"}, "not supported"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_damaged_calibration_is_refused_in_one_line(tmp_path, change, message):
    path = tmp_path / "calibration.json"
    PLAIN.write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message) as caught:
        Calibration.read(path)
    assert str(caught.value).startswith(f"{path}: no calibration of") and "\n" not in str(caught.value)


def test_sampled_fixations_follow_the_density():
    log_density = PLAIN.log_density(MAP[:8, :10])
    x, y = sample_fixations(log_density, 200_000, seed=3).T
    counts = np.bincount(y * 10 + x, minlength=80)
    expected = 200_000 * np.exp(log_density).ravel()
    assert ((counts - expected) ** 2 / expected).sum() < 120  # chi-squared of 79 degrees of freedom: P = 0.002
    np.testing.assert_array_equal(sample_fixations(log_density, 5, 1), sample_fixations(log_density, 5, 1))


@pytest.mark.parametrize("wrong", [MAP, MAP * 1000, np.log(MAP / MAP.sum())[None], np.full((4, 4), np.nan)])
def test_only_a_log_density_is_sampled(wrong):
    with pytest.raises(ValueError, match=r"^log_density must be .* got shape \("):
        sample_fixations(wrong, 5)
    with pytest.raises(ValueError, match="n must be at least 0, got -1"):
        sample_fixations(PLAIN.log_density(MAP), -1)


def test_the_fit_finds_what_fixations_were_drawn_from():
    rng = np.random.default_rng(2)
    rows, columns = (np.linspace(-1, 1, side)[:, None] for side in GRID)
    centre = Calibration(1.8, 0.0, 1.0, 0.1, (-2 * rows**2 - 2 * columns.T**2).tolist())
    samples = []
    for seed in range(40):
        saliency_map = gaussian_filter(rng.random((36, 48)) ** 8, 2.5)
        points = sample_fixations(centre.log_density(saliency_map), 400, seed)
        samples.append(Sample.of(saliency_map, (points + 0.5) / [48, 36]))
    fitted = fit(samples)
    assert fitted.exponent == pytest.approx(1.8, abs=0.3) and fitted.blur < 0.01
    assert fitted.centre_bias_exponent == pytest.approx(1, abs=0.15)
    # the centre bias is fitted first, a little blurred; under it no other values, the true ones neither, fit better
    assert mean_gain(fitted, samples) >= mean_gain(replace(centre, centre_bias=fitted.centre_bias), samples)
    assert mean_gain(fitted, samples) > 0.98 * mean_gain(centre, samples)
    assert np.corrcoef(np.ravel(fit_centre_bias(samples)), np.ravel(centre.centre_bias))[0, 1] > 0.85
    with pytest.raises(ValueError, match="two images with fixations or more, got 1"):
        fit(samples[:1])


def test_what_is_held_out_is_not_used(small_predictor, tmp_path):
    rows = load(str(write_folder(tmp_path / "set")))
    moved = rows.map(
        lambda row: {"fixations": [[1.0, 1.0]] * 5 if is_held_out(row["image_id"], 0.3) else row["fixations"]}
    )
    (first, scores), (second, others) = (calibrate(small_predictor, {"set": part}, 0.3) for part in (rows, moved))
    assert first == second and scores["set"]["metrics"] != others["set"]["metrics"]
    out = sum(is_held_out(image_id, 0.3) for image_id in rows["image_id"])
    fitted = {"data_set": "set", "images": len(rows) - out, "of": len(rows) - out}
    assert scores["set"]["images"] == out and first.fitted_on == {"data_sets": [fitted], "held_out": 0.3}


def test_a_checkpoint_is_calibrated_by_the_command_and_predicts_densities(small_checkpoint, tmp_path):
    model = shutil.copytree(small_checkpoint, tmp_path / "model")
    image = write_image(tmp_path / "image.png")
    predict = ("predict", image, "-o", tmp_path / "out", "--model", model, "--format", "npy,density,logdensity")
    status, message = run(*predict)
    assert status == 1 and f"mlnet calibrate --model {model} --dataset NAME:DIR" in message
    data = write_folder(tmp_path / "set")
    refused = CliRunner().invoke(app, ["calibrate", "--dataset", str(data)])
    assert refused.exit_code == 2 and "as mini is inside the package" in refused.output
    status, output = run("calibrate", "--model", model, "--dataset", data, "--held-out", 0.3)
    assert status == 0 and "before" in output and "after" in output and "centre bias" in output
    assert run(*predict)[0] == 0
    saliency_map, density, logs = (
        np.load(tmp_path / "out" / f"image{end}.npy") for end in ("", ".density", ".logdensity")
    )
    calibration = Calibration.read(model / "calibration.json")
    assert density.dtype == logs.dtype == np.float32
    np.testing.assert_allclose(logs, calibration.log_density(saliency_map), rtol=1e-6)
    np.testing.assert_allclose(density, np.exp(logs), rtol=1e-5)
    predictor = SaliencyPredictor(model, dtype="float32")
    np.testing.assert_allclose(predictor.log_density(image), calibration.log_density(predictor(image)), atol=1e-12)
    with staged(str(model), "someone/eyes") as folder:
        assert Calibration.read(folder / "calibration.json") == calibration
    again = ("--resume", "--calibration", tmp_path / "other.json")
    PLAIN.write(tmp_path / "other.json")
    assert "1 anew" in run(*predict, *again)[1] and "1 already there" in run(*predict, *again)[1]
    results = []
    for options in ((), ("--optimal-maps",)):
        path = tmp_path / f"{len(options)}.json"
        assert run("evaluate", "--model", model, "--dataset", data, "--output", path, *options)[0] == 0
        results.append(json.loads(path.read_text()))
    assert results[1]["maps"] == "optimal" and results[0]["metrics"].keys() == results[1]["metrics"].keys()
    assert run("evaluate", "--compare", tmp_path / "0.json", tmp_path / "1.json")[0] == 0
    assert run("evaluate", "--dataset", data, "--optimal-maps", "--baseline", "centre")[0] == 2
    (model / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(ValueError, match=r"calibration.json: was fitted for other weights; fit it anew by `mlnet"):
        Calibration.of_checkpoint(model, "mine")
    status, message = run(*predict, "--calibration", model / "calibration.json")
    assert status == 1 and "calibration.json: was fitted for other weights" in message
