import numpy as np
import pytest
from layouts import write_folder

from modeling_mlnet.data import load
from modeling_mlnet.evaluation import Evaluator, centre_map, evaluate, relative_fixations
from modeling_mlnet.metrics import auc_shuffled, cc, nss


@pytest.fixture
def rows(tmp_path):
    return load(str(write_folder(tmp_path)))


def test_perfect_maps_score_best_and_the_centre_between(rows):
    perfect = evaluate(lambda images: (np.asarray(row["saliency_map"], dtype=float) for row in rows), rows)
    centre = evaluate(None, rows)
    assert perfect["metrics"]["CC"]["mean"] == pytest.approx(1)
    assert perfect["metrics"]["SIM"]["mean"] == pytest.approx(1)
    assert perfect["metrics"]["KL"]["mean"] < 1e-6 < centre["metrics"]["KL"]["mean"]
    assert perfect["metrics"]["NSS"]["mean"] > centre["metrics"]["NSS"]["mean"]
    assert perfect["images"] == len(rows) and perfect["protocol"] == "tuebingen"


def test_means_are_over_pictures_with_the_functions_values(rows):
    results = evaluate(None, rows)["metrics"]
    centre = centre_map(48, 64)
    by_hand = [cc(centre, np.asarray(row["saliency_map"])) for row in rows]
    assert results["CC"]["mean"] == pytest.approx(np.mean(by_hand))
    assert results["NSS"]["mean"] == pytest.approx(np.mean([nss(centre, row["fixations"]) for row in rows]))
    assert results["CC"]["low"] < results["CC"]["mean"] < results["CC"]["high"]


def test_shuffled_auc_takes_the_fixations_of_the_other_pictures(rows):
    results = evaluate(None, rows)["metrics"]
    centre = centre_map(48, 64)
    scores = []
    for row in rows:
        others = np.concatenate([one["fixations"] for one in rows if one["image_id"] != row["image_id"]])
        scores.append(auc_shuffled(centre, row["fixations"], others))
    assert results["sAUC"]["mean"] == pytest.approx(np.mean(scores))


def test_relative_fixations_keep_their_place(rows):
    assert relative_fixations(rows)["images/003"].tolist() == [[5.5 / 64, 6.5 / 48], [3.5 / 64, 1.5 / 48]]


def test_shuffled_auc_of_pictures_of_different_sizes_takes_relative_places():
    pool = {"small": np.array([[0.0002, 0.5], [1, 1]]), "large": np.array([[0.5, 0.5]])}
    evaluator = Evaluator(pool)
    large = np.zeros((480, 640))
    large[240, 0] = large[479, 639] = 1
    evaluator.update(large, large, [[100, 100]], "large")
    assert evaluator.scores["sAUC"] == [0.0]  # both of the other picture's fixations are on the map's peaks


def test_pictures_without_fixations_are_counted_not_dropped():
    evaluator = Evaluator()
    values = np.arange(24.0).reshape(4, 6)
    evaluator.update(values, values, [[1, 1]], "a")
    evaluator.update(values, values, np.zeros((0, 2)), "b")
    assert evaluator.without_fixations == 1
    assert evaluator.compute()["NSS"]["n"] == 1 and evaluator.compute()["CC"]["n"] == 2


def test_a_bad_map_names_its_picture():
    with pytest.raises(ValueError, match="picture a17: saliency_map"):
        Evaluator().update(np.full((4, 6), np.nan), np.ones((4, 6)), [[1, 1]], "a17")
