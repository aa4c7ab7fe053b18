import csv
import json

import numpy as np
import pytest
from pytest import approx

from modeling_mlnet.evaluation.results import compare, difference_table, read_json, score_table, write_csv, write_json
from modeling_mlnet.metrics import Evaluator


def results(noise, count=40, **changes):
    rng = np.random.default_rng(0)
    evaluator = Evaluator("tuebingen")
    for number in range(count):
        density = rng.random((6, 8))
        saliency_map = density + noise * rng.random((6, 8))
        evaluator.update(saliency_map, [[number % 8, 2]], density, image_id=f"p{number}")
    return {
        "model": f"noise {noise}",
        "dataset": "d",
        "split": None,
        "held_out": None,
        **evaluator.compute(),
        **changes,
    }


def test_files_hold_every_score_and_null_for_nan(tmp_path):
    item = results(1.0, count=3)
    item["per_image"][1]["NSS"] = float("nan")
    write_json(tmp_path / "a.json", item)
    write_csv(tmp_path / "a.csv", item["per_image"])
    loaded = read_json(tmp_path / "a.json")
    assert loaded["per_image"][1]["NSS"] is None
    assert loaded["metrics"] == item["metrics"]
    with open(tmp_path / "a.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["image_id"] for row in rows] == ["p0", "p1", "p2"]
    assert float(rows[0]["CC"]) == item["per_image"][0]["CC"] and np.isnan(float(rows[1]["NSS"]))


def test_a_clear_difference_is_told_with_its_direction(tmp_path):
    write_json(tmp_path / "a.json", results(2.0))
    write_json(tmp_path / "b.json", results(0.5))
    comparison = compare(read_json(tmp_path / "a.json"), read_json(tmp_path / "b.json"))
    for name in ("CC", "SIM", "KL"):
        assert comparison[name]["differs"] and comparison[name]["better"] == "second", name
    assert comparison["KL"]["high"] < 0 < comparison["CC"]["low"]
    assert comparison["CC"]["mean"] == approx(comparison["CC"]["second"] - comparison["CC"]["first"])
    table = difference_table(comparison, "a", "b")
    assert "40 images in both" in table and "differs, B is better" in table


def test_equal_results_do_not_differ():
    comparison = compare(results(1.0), results(1.0))
    assert not any(item["differs"] for item in comparison.values())
    assert "no difference" in difference_table(comparison, "a", "b")


def test_pairing_is_by_image_and_a_score_that_one_lacks_leaves_the_pair_out():
    first, second = results(1.0), results(0.5)
    second["per_image"] = second["per_image"][::-1][:30]
    second["per_image"][0]["NSS"] = None
    comparison = compare(first, second)
    assert comparison["CC"]["n"] == 30 and comparison["NSS"]["n"] == 29
    by_name = {row["image_id"]: row["CC"] for row in first["per_image"]}
    expected = np.mean([row["CC"] - by_name[row["image_id"]] for row in second["per_image"]])
    assert comparison["CC"]["mean"] == approx(expected)


@pytest.mark.parametrize("key", ["protocol", "dataset", "split", "held_out", "truth"])
def test_what_was_not_scored_alike_is_not_compared(key):
    with pytest.raises(ValueError, match=f"differ in {key}"):
        compare(results(1.0), results(1.0, **{key: "other"}))


def test_the_same_data_elsewhere_are_compared_and_another_definition_is_not():
    first = results(1.0, dataset="salicon:/a", dataset_sha256="1")
    assert compare(first, results(0.5, dataset="salicon:/b", dataset_sha256="1"))["CC"]["differs"]
    with pytest.raises(ValueError, match="differ in dataset_sha256"):
        compare(first, results(0.5, dataset="salicon:/a", dataset_sha256="2"))
    with pytest.raises(ValueError, match=r"differ in protocol_definition .*score one of them anew"):
        compare(first, results(0.5, dataset="salicon:/a", protocol_definition={"density": "another"}))


def test_means_are_over_what_the_results_own_definition_says():
    pair = [results(noise, 4, protocol_definition={"mean_over": {"CC": "fixations"}}) for noise in (1.0, 0.5)]
    for item in pair:
        for number, row in enumerate(item["per_image"]):
            row["fixations"] = 10**number
    comparison = compare(*pair)
    scores = [[row["CC"] for row in item["per_image"]] for item in pair]
    assert comparison["CC"]["first"] == approx(np.average(scores[0], weights=[1, 10, 100, 1000]))
    assert comparison["SIM"]["first"] == approx(np.mean([row["SIM"] for row in pair[0]["per_image"]]))


def test_results_without_a_image_in_common_are_refused():
    second = results(1.0)
    second["per_image"] = [{**row, "image_id": f"other {row['image_id']}"} for row in second["per_image"]]
    with pytest.raises(ValueError, match="no image in common"):
        compare(results(1.0), second)


def test_files_that_are_no_results_are_refused(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"CC": 1}))
    (tmp_path / "b.json").write_text("{")
    for name in ("a.json", "b.json", "missing.json"):
        with pytest.raises(ValueError, match=name):
            read_json(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": None}, "model must be a name, got 'None'"),
        ({"metrics": {"CC": 0.5}}, "metrics.CC must have the numbers mean, low and high"),
        ({"metrics": {"CC": {"mean": float("inf"), "low": 0, "high": 1}}}, "metrics.CC must have"),
        ({"per_image": []}, "per_image must have rows"),
        ({"per_image": [{"image_id": "a", "CC": 1}] * 2}, "an image_id of its own; 1 of 2 do"),
        ({"per_image": [{"CC": 1}]}, "an image_id of its own; 0 of 1 do"),
        ({"per_image": [{"image_id": "a", "CC": "x"}]}, "CC of a must be a number or null, got 'x'"),
    ],
)
def test_results_that_were_changed_by_hand_are_named(tmp_path, change, message):
    item = results(1.0, count=3)
    item["metrics"] = {"CC": item["metrics"]["CC"]}
    (tmp_path / "a.json").write_text(json.dumps({**item, **change}))
    with pytest.raises(ValueError, match=f"a.json: .*{message}"):
        read_json(tmp_path / "a.json")


def test_the_table_says_what_is_missing():
    table = score_table({**results(1.0, count=3), "images_without_fixations": 2})
    assert "3 images, 2 of them without a fixation" in table and "lower is better" in table


def test_results_of_earlier_versions_compare_with_those_of_this_one(tmp_path):
    new = results(1.0)
    old = json.loads(json.dumps(new))
    mean_over = old["protocol_definition"]["mean_over"]
    mean_over.update({name: "pictures" for name, over in mean_over.items() if over == "images"})
    assert old != new
    for name, content in {"old": {**old, "kind": "baseline", "model": "half-observers"}, "new": new}.items():
        write_json(tmp_path / f"{name}.json", content)
    first, second = (read_json(tmp_path / f"{name}.json") for name in ("old", "new"))
    assert first["model"] == "inter-observer"
    assert not any(scores["differs"] for scores in compare(first, second).values())
