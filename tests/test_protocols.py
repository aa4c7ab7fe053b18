"""The three protocols against numbers of the official evaluators (origin: fixtures/README.md)."""

import base64
import io
import json
import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scores
from PIL import Image
from pytest import approx
from scipy.ndimage import gaussian_filter, zoom

from modeling_mlnet.metrics import PROTOCOLS, Evaluator, FixationPool, auc_judd, get_protocol
from modeling_mlnet.metrics.protocols import (
    cutoff_density,
    gaussian_density,
    repeated_fixations,
    resize_bicubic,
    resize_spline,
)

MIT = PROTOCOLS["mit"]
DATA = os.environ.get("MLNET_DATA")


@cache
def mit_rows() -> list[tuple[dict, dict, np.ndarray, np.ndarray]]:
    """Official row, our row, saliency map and fixations, for ten images and three models."""
    images = scores.pictures()
    relative = {item.name: (np.argwhere(item.fixations)[:, ::-1] + 0.5) / [640, 480] for item in images}
    evaluator = Evaluator("mit", FixationPool(relative))
    evaluator._centre = lambda height, width: scores.centre()  # the baseline that the official code was given
    rows = []
    for official in scores.official():
        item = images[int(official["index"]) - 1]
        saliency_map = item.maps[official["model"]]
        ours = evaluator.update(saliency_map, item.fixations, item.density, image_id=item.name)
        rows.append((official, ours, saliency_map, item.fixations))
    return rows


@pytest.mark.parametrize("name", ["CC", "SIM", "KL", "NSS", "IG"])
def test_mit_equals_the_official_matlab_code(name):
    assert len(mit_rows()) == 30
    for official, ours, _, _ in mit_rows():
        assert ours[name] == approx(official[name], abs=1e-8)


def test_auc_judd_without_tie_correction_equals_the_official_code_without_jitter():
    for official, _, saliency_map, fixations in mit_rows():
        assert auc_judd(saliency_map, fixations, ties="ordered") == approx(official["AUC_Judd_nojitter"], abs=1e-9)


def test_tie_correct_auc_judd_is_what_the_jitter_estimates():
    for official, ours, saliency_map, fixations in mit_rows():
        tolerance = 4 * official["AUC_Judd_jitter_std"] + 1 / (2 * fixations.sum())
        assert ours["AUC-Judd"] == approx(official["AUC_Judd_jitter_mean"], abs=tolerance)
        jittered = auc_judd(saliency_map, fixations, ties="jitter", seed=5)
        assert jittered == approx(official["AUC_Judd_jitter_mean"], abs=5 * official["AUC_Judd_jitter_std"] + 1e-4)


@pytest.mark.parametrize(("name", "column"), [("AUC-Borji", "AUC_Borji_1000"), ("sAUC", "AUC_shuffled_1000")])
def test_closed_forms_are_within_the_noise_of_the_official_splits(name, column):
    differences = [ours[name] - official[column] for official, ours, _, _ in mit_rows()]
    assert np.abs(differences).max() < 1e-3
    assert abs(np.mean(differences)) < 2e-4


def test_emd_is_within_the_rounding_of_the_official_solver():
    for official, ours, _, _ in mit_rows():
        assert ours["EMD"] == approx(official["EMD_15x20"], abs=1e-3)


@pytest.mark.skipif(DATA is None, reason="MLNET_DATA does not name a folder with salicon_examples/")
@pytest.mark.parametrize("mode", ["filtered", "unfiltered"])
def test_salicon2015_equals_the_official_evaluator_image_by_image(mode):
    folder = Path(DATA) / "salicon_examples"
    [annotations] = (folder / "annotations").glob("*.json")
    [results] = (folder / "results").glob("*.json")
    fixations: dict[str, list] = {}
    for item in json.loads(annotations.read_text())["annotations"]:
        points = [[column - 1, row - 1] for row, column in item["fixations"]]
        fixations.setdefault(str(item["image_id"]), []).extend(points)
    pool = FixationPool({name: (np.array(points) + 0.5) / [640, 480] for name, points in fixations.items()})
    evaluator = Evaluator("salicon2015" if mode == "filtered" else "salicon2015-unfiltered", pool)
    for item in json.loads(results.read_text()):
        image = Image.open(io.BytesIO(base64.b64decode(item["saliency_map"])))
        name = str(item["image_id"])
        evaluator.update(np.asarray(image) * (1 / 255), fixations[name], image_id=name)
    computed = evaluator.compute()
    official = json.loads(scores.SALICON2015.read_text())[mode]
    assert computed["images"] == len(official["per_image"]) == 10
    ours = {row["image_id"]: row for row in computed["per_image"]}
    for expected in official["per_image"]:
        row = ours[str(expected["image_id"])]
        for name, tolerance in {"NSS": 1e-6, "CC": 1e-6, "SAUC": 1e-6, "AUC": 3e-3}.items():
            assert row[{"SAUC": "sAUC"}.get(name, name)] == approx(expected[name], abs=tolerance), name
    assert computed["metrics"]["NSS"]["mean"] == approx(official["mean"]["NSS"], abs=1e-6)


@pytest.mark.parametrize("padding", ["nearest", "reflect"])
def test_densities_equal_scipy_s_filter(padding):
    counts = np.random.default_rng(0).multinomial(40, np.full(30 * 50, 1 / 1500)).reshape(30, 50)
    pixels = np.repeat(np.arange(1500), counts.ravel())
    expected = gaussian_filter(counts.astype(float), 4.5, mode=padding)
    assert gaussian_density(pixels, (30, 50), 4.5, padding) == approx(expected, abs=1e-14)


def test_the_mit_density_is_a_fourier_low_pass_on_a_square_of_a_power_of_two():
    fixated = np.zeros((48, 100))
    fixated[[5, 20, 47], [0, 60, 99]] = 1
    frequencies = np.fft.fftfreq(128, 1 / 128)
    transfer = np.exp(-(frequencies[:, None] ** 2 + frequencies**2) / (8 / np.sqrt(np.log(2))) ** 2)
    expected = np.fft.ifft2(np.fft.fft2(fixated, (128, 128)) * transfer).real[:48, :100]
    assert cutoff_density(np.flatnonzero(fixated), (48, 100)) == approx(np.clip(expected, 0, None), abs=1e-14)
    # a Gaussian of 23.99 px where the square's side is 1024
    row = cutoff_density(np.array([320]), (1, 640))[0]
    assert np.log(row[320] / row[320 + 24]) == approx(24**2 / (2 * 23.99**2), rel=1e-3)


def test_only_samples_that_repeat_the_one_before_pass_the_filter_of_2015():
    assert repeated_fixations(np.array([7, 3, 7, 5, 7, 3])).tolist() == [3, 7, 7]


def test_maps_of_another_size_are_resized_or_refused_as_the_protocol_says():
    ramp = np.outer(np.linspace(0, 1, 12), np.linspace(0, 1, 16))
    large = np.outer(np.linspace(0, 1, 24), np.linspace(0, 1, 32))
    assert resize_spline(ramp, (24, 32)) == approx(zoom(ramp, 2, order=3), abs=1e-12)
    assert resize_bicubic(ramp, (24, 32))[4:-4, 4:-4] == approx(large[4:-4, 4:-4], abs=0.04)
    assert resize_bicubic(ramp, (24, 32)).min() >= 0 and resize_bicubic(ramp, (12, 16)) is ramp
    with pytest.raises(ValueError, match=r"image a: saliency_map must have the image's size \(24, 32\)"):
        Evaluator("tuebingen").update(ramp, [[1, 1]], large, image_id="a")
    for name in ("mit", "salicon2015-unfiltered"):
        assert Evaluator(name).update(ramp, [[1, 1]], large, image_id="a")["CC"] > 0.99


def test_a_fourth_protocol_is_an_entry_not_code():
    own = replace(MIT, name="own", select=PROTOCOLS["tuebingen"].select, metrics={"NSS": MIT.metrics["NSS"]})
    saliency_map = np.arange(24.0).reshape(4, 6)
    repeated = [[5, 3], [5, 3], [0, 0]]
    assert (
        Evaluator(own).update(saliency_map, repeated)["NSS"] > Evaluator("mit").update(saliency_map, repeated)["NSS"]
    )
    assert get_protocol(own) is own and own.describe()["metrics"] == {"NSS": "nss(ddof=1)"}
    with pytest.raises(ValueError, match=r"one of \['mit', 'tuebingen', 'salicon2015'.*got 'mti'"):
        Evaluator("mti")
