import pickle

import numpy as np
import pytest
import torch
import torch.distributed
from pytest import approx

from modeling_mlnet.metrics import PROTOCOLS, Evaluator, FixationPool, auc_shuffled, centre_map, nss
from modeling_mlnet.metrics.evaluator import mean_with_interval


def images(count=6, height=12, width=16):
    """Image ids with maps and fixations."""
    rng = np.random.default_rng(0)
    for number in range(count):
        points = np.stack([rng.integers(0, width, 5 + number), rng.integers(0, height, 5 + number)], axis=1)
        yield f"p{number}", rng.random((height, width)), points


def pool(height=12, width=16):
    return FixationPool({name: (points + 0.5) / [width, height] for name, _, points in images()})


def score_all(evaluator, names=None):
    for name, saliency_map, points in images():
        if names is None or name in names:
            evaluator.update(saliency_map, points, sigma=2.0, image_id=name)
    return evaluator


@pytest.mark.parametrize("protocol", ["mit", "tuebingen", "salicon2015-unfiltered"])
def test_every_score_of_a_protocol_has_a_mean_and_an_interval(protocol):
    results = score_all(Evaluator(protocol, pool())).compute()
    assert results["protocol"] == protocol and results["images"] == 6 and results["images_without_fixations"] == 0
    assert list(results["metrics"]) == list(PROTOCOLS[protocol].metrics)
    for name, item in results["metrics"].items():
        scores = [row[name] for row in results["per_image"]]
        if name == "EMD":  # so small an image is one cell
            assert scores == [0] * 6
        else:
            assert item["n"] == 6 and min(scores) < item["low"] < item["mean"] < item["high"] < max(scores), name


def test_means_are_over_images_or_where_the_protocol_says_so_over_fixations():
    results = score_all(Evaluator("tuebingen", pool())).compute()
    rows = results["per_image"]
    assert results["metrics"]["NSS"]["mean"] == approx(np.mean([row["NSS"] for row in rows]))
    weights = [row["fixations"] for row in rows]
    assert results["metrics"]["IG"]["mean"] == approx(np.average([row["IG"] for row in rows], weights=weights))
    in_images = score_all(Evaluator("mit", pool())).compute()
    assert in_images["metrics"]["IG"]["mean"] == approx(np.mean([row["IG"] for row in in_images["per_image"]]))


def test_the_negatives_are_the_fixations_of_all_other_images_with_repeats_pixels_or_counts():
    everything = {name: points for name, _, points in images()}
    name, saliency_map, own = next(images())
    others = np.concatenate([points for second, points in everything.items() if second != name])
    distinct = np.concatenate([np.unique(points, axis=0) for second, points in everything.items() if second != name])
    is_own = (distinct[:, None] == own).all(axis=2).any(axis=1)
    assert is_own.any() and len(np.unique(others, axis=0)) < len(distinct) < len(others)

    def score(protocol):
        return Evaluator(protocol, pool()).score(saliency_map, own, sigma=2.0, image_id=name)["sAUC"]

    assert score("tuebingen") == approx(auc_shuffled(saliency_map, own, others))
    mit = PROTOCOLS["mit"].metrics["sAUC"]
    assert score("mit") == approx(mit(saliency_map, np.unique(own, axis=0), np.unique(others, axis=0)))
    salicon = PROTOCOLS["salicon2015"].metrics["sAUC"]
    assert score("salicon2015-unfiltered") == approx(salicon(saliency_map, own, distinct[~is_own]), abs=1e-9)


def test_the_pool_scales_to_images_of_other_sizes():
    fixations = FixationPool({"small": [[0.0002, 0.5], [1, 1]], "large": [[0.5, 0.5]]})
    large = np.zeros((480, 640))
    large[240, 0] = large[479, 639] = 1
    row = Evaluator("tuebingen", fixations).update(large, [[100, 100]], large, image_id="large")
    assert row["sAUC"] == 0  # both fixations of the other image are on the map's peaks


def test_a_image_the_pool_does_not_know_is_refused():
    with pytest.raises(ValueError, match="image other: the pool has no such image_id"):
        Evaluator("tuebingen", pool()).update(np.ones((12, 16)), [[1, 1]], sigma=2.0, image_id="other")


def test_without_a_pool_shuffled_auc_and_information_gain_are_left_out():
    assert set(score_all(Evaluator("tuebingen")).compute()["metrics"]) == {"AUC", "NSS", "CC", "SIM", "KL"}


def test_the_centre_bias_is_fitted_to_the_fixations():
    fixations = FixationPool({"a": [[0.2, 0.5], [0.4, 0.7]], "b": [[0.3, 0.6]]})
    assert fixations.mean == approx((0.3, 0.6)) and fixations.std == approx((np.sqrt(0.02 / 3), np.sqrt(0.02 / 3)))
    expected = centre_map(10, 20, fixations.mean, fixations.std)
    assert divmod(int(expected.argmax()), 20) in [(5, 5), (5, 6)]
    row = Evaluator("tuebingen", fixations).update(expected, [[3, 5]], expected, image_id="a")
    assert row["IG"] == approx(0)
    assert FixationPool({}).centre_map(3, 4) == approx(centre_map(3, 4))


def test_images_without_fixations_are_counted_not_dropped():
    evaluator = Evaluator("tuebingen")
    values = np.arange(24.0).reshape(4, 6)
    evaluator.update(values, [[1, 1]], values, image_id="a")
    evaluator.update(values, np.zeros((0, 2)), values, image_id="b")
    row = evaluator.update(values, np.zeros((0, 2)), sigma=1.0, image_id="c")
    assert np.isnan(row["CC"]) and np.isnan(row["NSS"])
    results = evaluator.compute()
    assert results["images"] == 3 and results["images_without_fixations"] == 2
    assert results["metrics"]["NSS"]["n"] == 1
    assert results["metrics"]["CC"]["n"] == 2  # a density that was given says something without fixations
    nothing = Evaluator("mit").compute()
    assert nothing["images"] == 0 and np.isnan(nothing["metrics"]["CC"]["mean"])


def test_images_the_filter_leaves_nothing_of_are_counted():
    results = score_all(Evaluator("salicon2015", pool())).compute()
    without = [row["fixations"] == 0 for row in results["per_image"]]
    assert results["images_without_fixations"] == sum(without) > 0


def test_errors_name_the_image():
    with pytest.raises(ValueError, match="image a17: saliency_map"):
        Evaluator().update(np.full((4, 6), np.nan), [[1, 1]], np.ones((4, 6)), image_id="a17")
    with pytest.raises(ValueError, match="image a17: fixations"):
        Evaluator().update(np.ones((4, 6)), [[9, 1]], np.ones((4, 6)), image_id="a17")
    with pytest.raises(ValueError, match="needs the data set's density or its sigma"):
        Evaluator("tuebingen").update(np.ones((4, 6)), [[1, 1]], image_id="a17")


def test_a_image_scored_twice_counts_once_and_reset_forgets():
    evaluator = score_all(score_all(Evaluator("tuebingen")))
    assert evaluator.compute()["images"] == 6
    evaluator.reset()
    assert evaluator.compute()["images"] == 0
    for _ in range(2):
        evaluator.update(np.eye(4), [[1, 1]], np.eye(4))  # without a name every image is another one
    assert evaluator.compute()["images"] == 2


def test_tensors_are_scored_and_an_evaluator_travels_to_another_process():
    evaluator = score_all(Evaluator("tuebingen", pool()), ["p0"])
    copy = pickle.loads(pickle.dumps(evaluator))
    name, saliency_map, points = next(images())
    row = copy.score(torch.from_numpy(saliency_map), torch.from_numpy(points), sigma=2.0, image_id=name)
    assert row == evaluator.rows[0] == copy.rows[0]
    assert row["NSS"] == approx(nss(saliency_map, points))


def _process(rank, folder):
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    evaluator = score_all(Evaluator("tuebingen", pool()), [["p0", "p2", "p4"], ["p1", "p3", "p5", "p0"]][rank])
    with open(f"{folder}/{rank}", "wb") as file:
        pickle.dump(evaluator.compute(), file)
    torch.distributed.destroy_process_group()


def test_processes_gather_their_scores(tmp_path):
    torch.multiprocessing.spawn(_process, (str(tmp_path),), nprocs=2)
    alone = score_all(Evaluator("tuebingen", pool())).compute()
    for rank in range(2):
        together = pickle.loads((tmp_path / str(rank)).read_bytes())
        assert together["images"] == 6
        for name, item in alone["metrics"].items():
            assert together["metrics"][name]["mean"] == approx(item["mean"]), name


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(100):
        interval = mean_with_interval(rng.normal(2.0, 1.0, 60))
        inside += interval["low"] <= 2.0 <= interval["high"]
    assert 88 <= inside <= 99
