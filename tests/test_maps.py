"""Reading a saliency map or density: one reader for data sets, folders of maps and rows of Parquet."""

import io
import json
import re

import matplotlib
import numpy as np
import pytest
from layouts import warnings_seen, write_density, write_folder
from PIL import Image

from modeling_mlnet.data import check, load
from modeling_mlnet.data.maps import is_constant, map_png, read_map

GREY = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) // 13  # 0 to 236


def test_grey_images_become_0_to_1_and_arrays_stay(tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray(values.astype(np.uint16) * 257).save(tmp_path / "b.png")
    Image.fromarray(np.repeat(values[..., None], 3, axis=2)).save(tmp_path / "c.png")
    np.save(tmp_path / "d.npy", values * 3.5)
    palette = Image.fromarray(23 - np.arange(24, dtype=np.uint8).reshape(4, 6), mode="P")  # indices, not values
    palette.putpalette([item for index in range(24) for item in [10 * (23 - index)] * 3])
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


def coloured(name):
    return (255 * matplotlib.colormaps[name](GREY / GREY.max())[..., :3]).astype(np.uint8)


def transparent(mode, alpha):
    image = Image.fromarray(GREY.astype(np.uint8)).convert(mode)
    image.putalpha(Image.fromarray(alpha))
    return image


NO_MAPS = {
    "jet": (lambda: Image.fromarray(coloured("jet")), "in colour .* give the grey map"),
    "viridis": (lambda: Image.fromarray(coloured("viridis")), "in colour"),
    "palette": (lambda: Image.fromarray(coloured("hot")).quantize(64), "in colour"),
    "alpha": (lambda: transparent("RGB", GREY.astype(np.uint8)), r"transparent \(alpha 0 to 236 of 255\)"),
    "grey alpha": (lambda: transparent("L", np.full((48, 64), 200, np.uint8)), r"alpha 200 to 200"),
}


@pytest.mark.parametrize("kind", NO_MAPS)
@pytest.mark.parametrize("suffix", [".png", ".PNG", ".tif"])
def test_colours_and_transparency_are_refused_wherever_a_map_is_read(tmp_path, kind, suffix):
    make, message = NO_MAPS[kind]
    path = tmp_path / f"map{suffix}"
    make().save(path)
    with pytest.raises(ValueError, match=message):
        read_map(path)
    write_folder(tmp_path, count=1)
    line = {"file_name": "images/000.png", "map_file_name": path.name, "fixations": [[1, 2]]}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(line))
    with pytest.raises(ValueError, match=message):
        load(str(tmp_path))
    [problem] = check(str(tmp_path)).problems
    assert re.search(message, problem) and problem.startswith(str(path))


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_a_grey_jpeg_stored_as_colour_is_grey(quality):
    file = io.BytesIO()
    Image.fromarray(np.repeat(GREY[..., None], 3, axis=2).astype(np.uint8)).save(file, "JPEG", quality=quality)
    assert read_map(file, "map.jpg") * 255 == pytest.approx(GREY, abs=30)


def test_opaque_alpha_and_every_depth_are_read_with_their_values(tmp_path):
    grey = GREY.astype(np.uint8)
    transparent("L", np.full((48, 64), 255, np.uint8)).save(tmp_path / "la.png")
    Image.fromarray(GREY.astype(np.uint16) * 17).save(tmp_path / "12 bits.png")  # 12 bits in a file of 16
    Image.fromarray(GREY.astype(np.float32) * 1.0000001).save(tmp_path / "float.tif")
    np.save(tmp_path / "channel last.npy", GREY[..., None] / 100)
    np.save(tmp_path / "channel first.npy", GREY[None] / 100)
    np.save(tmp_path / "mask.npy", GREY > 100)
    Image.fromarray(grey).save(tmp_path / "name without ending", "PNG")
    assert read_map(tmp_path / "la.png") == pytest.approx(GREY / 255)
    assert read_map(tmp_path / "12 bits.png") == pytest.approx(GREY * 17 / 65535)
    assert read_map(tmp_path / "float.tif") == pytest.approx(GREY, rel=1e-6)
    for name in ("channel last.npy", "channel first.npy"):
        assert read_map(tmp_path / name) == pytest.approx(GREY / 100)
    assert np.array_equal(read_map(tmp_path / "mask.npy"), GREY > 100)
    assert read_map(tmp_path / "name without ending") == pytest.approx(GREY / 255)


@pytest.mark.parametrize("scale", [1e-6, 1.0000001 / 236, 1 / 255, 1, 17, 1e4])
def test_the_unit_of_a_density_changes_nothing(tmp_path, scale):
    write_folder(tmp_path, count=1)
    np.save(tmp_path / "map.npy", GREY * scale)
    line = {"file_name": "images/000.png", "map_file_name": "map.npy", "fixations": [[1, 2]]}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(line))
    [row] = load(str(tmp_path))
    assert np.asarray(row["saliency_map"]) == pytest.approx(GREY * (255 / GREY.max()), abs=0.51)


def test_a_log_density_is_read_when_it_is_said(tmp_path):
    write_folder(tmp_path, count=1)
    density = (GREY + 1) / (GREY + 1).sum()
    np.save(tmp_path / "map.npy", np.log(density))
    line = {"file_name": "images/000.png", "map_file_name": "map.npy", "fixations": [[1, 2]]}
    (tmp_path / "metadata.jsonl").write_text(json.dumps({**line, "log_density": True}))
    [row] = load(str(tmp_path))
    assert np.asarray(row["saliency_map"]) == pytest.approx(density * (255 / density.max()), abs=0.51)
    (tmp_path / "metadata.jsonl").write_text(json.dumps(line))
    with pytest.raises(ValueError, match=r"map\.npy: saliency map holds values below 0 .*log_density"):
        load(str(tmp_path))
    np.save(tmp_path / "map.npy", np.where(GREY < 9, -np.inf, np.log(density)))
    assert read_map(tmp_path / "map.npy", log_density=True).min() == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_values_that_no_map_has_are_refused(tmp_path, value):
    values = GREY.astype(float)
    values[3, 4] = value
    np.save(tmp_path / "map.npy", values)
    with pytest.raises(ValueError, match=r"map\.npy: saliency map holds (NaN or infinite values|values below 0)"):
        read_map(tmp_path / "map.npy")


def test_several_images_in_one_file_are_refused(tmp_path):
    frames = [Image.fromarray(GREY.astype(np.uint8)) for _ in range(3)]
    frames[0].save(tmp_path / "map.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="must be one image, the file holds 3"):
        read_map(tmp_path / "map.tif")


def test_a_rotated_map_is_read_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY.astype(np.uint8)).save(tmp_path / "map.jpg", exif=exif, quality=95)
    assert read_map(tmp_path / "map.jpg").shape == (64, 48)


def test_constant_densities_are_noted_once_with_their_number(tmp_path):
    write_folder(tmp_path, count=6)
    lines = []
    for k in range(6):
        write_density(tmp_path / f"map{k}.png", k)
        if k > 1:
            Image.new("L", (64, 48), 40 * k).save(tmp_path / f"map{k}.png")
        line = {"file_name": f"images/{k:03d}.png", "map_file_name": f"map{k}.png", "fixations": [[1, 2]]}
        lines.append(json.dumps(line))
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    note = f"{tmp_path}/map2.png and 3 more: saliency map is constant, so it says nothing about the image"
    for _ in range(2):  # also from the cache
        with warnings_seen() as seen:
            assert len(load(str(tmp_path))) == 6
        assert seen == [note]
    assert check(str(tmp_path)).notes[-1] == note


def test_encoding_keeps_a_map_but_for_its_scale():
    values = np.random.default_rng(0).random((5, 7))
    with Image.open(io.BytesIO(map_png(values))) as image:
        assert np.asarray(image) == pytest.approx(values / values.max() * 255, abs=0.51)
    assert is_constant(np.full((2, 2), 0.3)) and not is_constant(values)
