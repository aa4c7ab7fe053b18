"""Folders of somebody's saliency maps."""

import json
import unicodedata

import numpy as np
import pytest
from layouts import write_folder, write_image
from PIL import Image

from modeling_mlnet.data import load
from modeling_mlnet.evaluation.evaluate import evaluate
from modeling_mlnet.evaluation.map_folder import MapFolder


def test_maps_are_found_by_image_id_with_or_without_folders(tmp_path):
    rows = load(str(write_folder(tmp_path / "data", count=4)))
    assert rows["image_id"][0] == "images/000"
    directory = tmp_path / "maps"
    (directory / "images").mkdir(parents=True)
    for number in range(4):
        values = np.full((48, 64), 7, dtype=np.uint8)
        values[number] = 200
        folder = directory / "images" if number % 2 else directory
        Image.fromarray(values).save(folder / f"{number:03d}.map.png")
    np.save(directory / "000.npy", np.full((48, 64), 3.0))  # comes before the image of the same name
    maps = list(MapFolder(directory)(rows))
    assert maps[0].max() == 3 and [item.argmax() // 64 for item in maps[1:]] == [1, 2, 3]
    assert evaluate(rows, MapFolder(directory))["images"] == 4
    (directory / "002.map.png").unlink()
    with pytest.raises(ValueError, match=r"no map for 1 of 4 images; the first would be images/002.npy"):
        MapFolder(directory)(rows)
    with pytest.raises(ValueError, match="no such folder"):
        MapFolder(tmp_path / "none")(rows)


def test_endings_in_any_case_and_accents_in_any_form_are_found(tmp_path):
    rows = load(str(write_folder(tmp_path / "data", count=2)))
    (tmp_path / "maps").mkdir()
    for name in ("000.PNG", "001.Npy"):
        values = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
        if name.lower().endswith("png"):
            Image.fromarray(values).save(tmp_path / "maps" / name, "PNG")
        else:
            with (tmp_path / "maps" / name).open("wb") as file:
                np.save(file, values)
    first, second = MapFolder(tmp_path / "maps")(rows)
    assert np.allclose(first * 65535, second)
    name = unicodedata.normalize("NFC", "café")
    write_image(tmp_path / "accents" / f"{name}.png")
    (tmp_path / "accents" / "metadata.jsonl").write_text(
        json.dumps({"file_name": f"{name}.png", "fixations": [[1, 1]]})
    )
    np.save(tmp_path / "maps" / f"{unicodedata.normalize('NFD', name)}.npy", np.eye(48, 64))
    [values] = MapFolder(tmp_path / "maps")(load(str(tmp_path / "accents")))
    assert np.array_equal(values, np.eye(48, 64))


def test_log_densities_score_as_their_exponential(tmp_path):
    rows = load(str(write_folder(tmp_path / "data", count=3)))
    random = np.random.default_rng(0)
    for kind in ("plain", "log"):
        (tmp_path / kind).mkdir()
    for k in range(3):
        density = random.random((48, 64)) + 1e-3
        density /= density.sum()
        np.save(tmp_path / "plain" / f"{k:03d}.npy", density)
        np.save(tmp_path / "log" / f"{k:03d}.npy", np.log(density))
    plain = evaluate(rows, MapFolder(tmp_path / "plain"))["metrics"]
    logs = evaluate(rows, MapFolder(tmp_path / "log", log_maps=True))["metrics"]
    assert {name: score["mean"] for name, score in logs.items()} == pytest.approx(
        {name: score["mean"] for name, score in plain.items()}
    )
    with pytest.raises(ValueError, match=r"000\.npy: saliency map holds values below 0 .* --log-maps"):
        evaluate(rows, MapFolder(tmp_path / "log"))
    with pytest.raises(ValueError, match="a log density is expected"):
        evaluate(rows, MapFolder(tmp_path / "plain", log_maps=True))
