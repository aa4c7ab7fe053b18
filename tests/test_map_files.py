import numpy as np
import pytest
from layouts import write_folder
from PIL import Image

from modeling_mlnet.data import load
from modeling_mlnet.evaluation.evaluate import evaluate
from modeling_mlnet.evaluation.map_folder import MapFolder, read_map


def test_grey_images_become_0_to_1_and_arrays_stay(tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray(values.astype(np.uint16) * 257).save(tmp_path / "b.png")
    Image.fromarray(np.repeat(values[..., None], 3, axis=2)).save(tmp_path / "c.png")
    np.save(tmp_path / "d.npy", values * 3.5)
    palette = Image.fromarray(23 - np.arange(24, dtype=np.uint8).reshape(4, 6), mode="P")  # indices, not values
    palette.putpalette([one for index in range(24) for one in [10 * (23 - index)] * 3])
    palette.save(tmp_path / "e.png")
    Image.fromarray(values).convert("RGBA").save(tmp_path / "f.png")
    for name in "abcef":
        assert read_map(tmp_path / f"{name}.png") == pytest.approx(values / 255)
    assert read_map(tmp_path / "d.npy") == pytest.approx(values * 3.5)


def test_what_is_no_map_is_refused_by_name(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)).save(tmp_path / "colour.png")
    (tmp_path / "text.png").write_text("no image")
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}]), allow_pickle=True)
    np.save(tmp_path / "vector.npy", np.ones(5))
    for name in ("colour.png", "text.png", "objects.npy", "vector.npy", "missing.npy"):
        with pytest.raises(ValueError, match=name):
            read_map(tmp_path / name)


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
    assert maps[0].max() == 3 and [one.argmax() // 64 for one in maps[1:]] == [1, 2, 3]
    assert evaluate(rows, MapFolder(directory))["images"] == 4
    (directory / "002.map.png").unlink()
    with pytest.raises(ValueError, match=r"no map for 1 of 4 images; the first would be images/002.npy"):
        MapFolder(directory)(rows)
    with pytest.raises(ValueError, match="no such folder"):
        MapFolder(tmp_path / "none")(rows)
