"""Fixations that cannot be what they are said to be are refused or noted, and real ones are not."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from layouts import warnings_seen, write_image
from PIL import Image
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.cli import app
from modeling_mlnet.data import check, export_parquet, load
from modeling_mlnet.data.loading import list_images
from modeling_mlnet.data.plausibility import ImageFixations, find_implausible, images_of, sample_indices
from modeling_mlnet.data.schema import open_record
from modeling_mlnet.evaluation.orientation import find_turned, sample_rows
from modeling_mlnet.training.arguments import DataArguments
from modeling_mlnet.training.run import train, warn_of_turned

SIZE = (640, 480)


def natural(count=4, seed=0):
    """Fixations of 40 observers a data set could hold: clusters at places of each image's own."""
    random = np.random.default_rng(seed)
    fixations = []
    for _ in range(count):
        clusters = random.uniform([100, 60], [540, 300], size=(3, 2))
        points = clusters[random.integers(3, size=40)] + random.normal(0, 25, size=(40, 2))
        fixations.append(np.clip(points, 1, np.array(SIZE) - 2))
    return fixations


def write_set(directory, fixations, densities=None):
    lines = []
    for k, points in enumerate(fixations):
        name = f"{k:03d}.png"
        if not (directory / name).exists():
            write_image(directory / name, SIZE, seed=k)
        lines.append({"file_name": name, "fixations": np.asarray(points, float).tolist()})
        if densities is not None:
            Image.fromarray(densities[k]).save(directory / f"map{k}.png")
            lines[-1]["map_file_name"] = f"map{k}.png"
    (directory / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return str(directory)


def density_of(points):
    counts = np.zeros(SIZE[::-1])
    columns, rows = np.rint(points).astype(int).T
    np.add.at(counts, (rows, columns), 1)
    blurred = gaussian_filter(counts, 20)
    return np.rint(255 * blurred / blurred.max()).astype(np.uint8)


def test_natural_fixations_raise_nothing(tmp_path):
    fixations = natural()
    spec = write_set(tmp_path, fixations, [density_of(points) for points in fixations])
    with warnings_seen() as seen:
        rows = load(spec)
    assert not seen and not find_implausible(images_of(rows))
    result = check(spec)
    assert not result.notes and not result.problems and result.is_complete


REFUSED = {
    "fractions": (
        lambda points: points / SIZE,
        r"x and y of 100% of the fixations \(160 of 160\) .* fractions of width",
    ),
    "centred fractions": (lambda points: 2 * points / SIZE - 1, "fractions of width"),
    "a fraction of x": (lambda points: points / [SIZE[0], 1], r": x of 100% of the fixations"),
    "lost samples": (
        lambda points: np.where(np.arange(40)[:, None] % 10 < 3, 0, points),
        r"30% of the fixations \(48 of 160\) lie at one exact point, \(0, 0\): .*lost samples",
    ),
    "clipped samples": (
        lambda points: np.where(np.arange(40)[:, None] % 5 < 1, np.array(SIZE) - 1, points),
        r"20% of the fixations \(32 of 160\) lie at one exact point, \((639, 479|0, 0)",
    ),
    "another screen": (
        lambda points: points + np.where(np.arange(40)[:, None] < 35, [700, 0], [0, 0]),
        r"88% of the fixations \(140 of 160\) lie outside their images",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_right_is_refused_by_load_and_a_problem_of_the_check(tmp_path, fault):
    change, message = REFUSED[fault]
    fixations = [change(points) for points in natural()]
    spec = write_set(tmp_path, fixations)
    with pytest.raises(ValueError, match=message):
        load(spec)
    with pytest.raises(ValueError, match=message):
        load(spec, streaming=True)
    result = check(spec)
    assert not result.is_complete and re.search(message, f"{tmp_path}: {result.problems[-1]}")
    rows = load(spec, check_plausibility=False)
    assert len(rows) >= 3


def test_parquet_is_judged_as_its_folder(tmp_path):
    fixations = [points / SIZE for points in natural()]
    (tmp_path / "set").mkdir()
    rows = load(write_set(tmp_path / "set", fixations), check_plausibility=False)
    (tmp_path / "out").mkdir()
    rows.to_parquet(tmp_path / "out" / "data.parquet")
    with pytest.raises(ValueError, match="fractions of width"):
        load(str(tmp_path / "out"))
    with pytest.raises(ValueError, match="fractions of width"):
        export_parquet(str(tmp_path / "set"), tmp_path / "again")


def test_evaluate_and_train_refuse_what_load_refuses(tmp_path, recipe):
    spec = write_set(tmp_path, [points / SIZE for points in natural()])
    result = CliRunner().invoke(app, ["evaluate", "--dataset", spec, "--baseline", "centre"])
    assert isinstance(result.exception, ValueError)
    assert re.search("these fixations cannot be right: .* fractions of width", str(result.exception))
    with pytest.raises(ValueError, match=r"these fixations cannot be right: .* fractions of width"):
        train(recipe, ["--datasets", spec])


NOTED = {
    "lost samples": (
        lambda points: np.where(np.arange(40)[:, None] < 2, [0, 0], points),
        r"5% of the fixations \(8 of 160\) lie at one exact point, \(0, 0\)",
    ),
    "some outside": (
        lambda points: np.where(np.arange(40)[:, None] < 8, [-5, 3], points),
        r"20% of the fixations \(32 of 160\) lie outside their images and are left out",
    ),
    "a smaller copy": (lambda points: points / 3, r"99 % of the fixations lie in the left \d+% and the upper \d+%"),
}


@pytest.mark.parametrize("fault", NOTED)
def test_what_may_be_right_is_noted(tmp_path, fault):
    change, message = NOTED[fault]
    spec = write_set(tmp_path, [change(points) for points in natural(count=4)])
    with warnings_seen() as seen:
        load(spec)
    assert len(seen) == 1 and re.search(message, seen[0]), seen
    result = check(spec)
    assert result.is_complete and len(result.notes) == 1 and re.search(message, result.notes[0])


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (lambda points: points * [1, -1] + [0, SIZE[1] - 1], "mirrored top to bottom, .* y may count from the bottom"),
        (lambda points: points * [-1, 1] + [SIZE[0] - 1, 0], "mirrored left to right"),
        (lambda points: points[:, ::-1], "x and y exchanged"),
    ],
)
def test_fixations_that_contradict_the_densities_given_are_refused(tmp_path, turn, words):
    fixations = natural(count=6)
    spec = write_set(tmp_path, [turn(points) for points in fixations], [density_of(points) for points in fixations])
    with pytest.raises(ValueError, match=words):
        load(spec)


DATA = os.environ.get("MLNET_DATA")


@pytest.mark.skipif(DATA is None, reason="MLNET_DATA does not name a folder with salicon/, osie/, ...")
@pytest.mark.parametrize(
    "spec", ["osie:osie", "eyecrowd", "sun500", "salicon:salicon", "salicon:salicon_examples", "mit1003"]
)
def test_real_data_sets_raise_nothing(spec):
    name, _, folder = spec.rpartition(":")
    place = Path(DATA or "") / folder
    if not place.is_dir():
        pytest.skip(f"{place} is not there")
    records = list_images(f"{name}:{place}" if name else str(place)).records
    images = []
    for index in sample_indices(len(records), 100):
        read = open_record(records[index])
        images.append(ImageFixations(read.size, read.points.fixations, read.points.outside, read.density))
    assert not find_implausible(images)


IMAGES = sorted((Path(__file__).parent / "fixtures" / "images").glob("*.jpg"))


class Blobs:
    """Stands in for a model: the maps are prepared."""

    def __init__(self, maps):
        self.prepared = maps

    def maps(self, images):
        return [values for _, values in zip(images, self.prepared, strict=True)]


SHIFTED = {
    "as they are": (lambda points: points, None),
    "right": (lambda points: points + np.array([100, 0]), "moved by -96 px in x and 0 px in y (steps of 16 px)"),
    "down and left": (
        lambda points: points + np.array([-60, 80]),
        "moved by 64 px in x and -80 px in y (steps of 16 px)",
    ),
    "mirrored": (lambda points: points * [-1, 1] + [SIZE[0] - 1, 0], "mirrored left to right"),
}


@pytest.mark.parametrize("fault", SHIFTED)
def test_a_shift_of_all_fixations_is_noted(fault):
    change, message = SHIFTED[fault]
    maps, rows = [], []
    for points in natural(count=12):
        maps.append(gaussian_filter(density_of(points).astype(float), 10))
        changed = change(points)
        inside = ((changed >= 0) & (changed < SIZE)).all(axis=1)
        rows.append({"image": Image.new("RGB", SIZE), "fixations": changed[inside].tolist()})
    notes = find_turned(Blobs(maps), rows)
    if message is None:
        assert notes == []
    else:
        assert len(notes) == 1 and notes[0].startswith(message)
    if "px" in (message or ""):  # too few images tell no shift from chance
        assert not any("moved" in note for note in find_turned(Blobs(maps[:7]), rows[:7]))


def test_a_tendency_to_the_centre_is_no_shift_where_all_maps_peak_beside_it():
    random = np.random.default_rng(0)
    peak = density_of(random.normal([320, 140], 30, size=(200, 2))).astype(float)
    maps = [gaussian_filter(density_of(points).astype(float), 10) + 2 * peak for points in natural(count=12)]
    rows = [
        {"image": Image.new("RGB", SIZE), "fixations": random.normal([320, 240], 30, (40, 2)).tolist()} for _ in maps
    ]
    assert find_turned(Blobs(maps), rows) == []


@pytest.mark.parametrize("flipped", [False, True])
def test_y_from_the_bottom_is_noted_by_a_model_s_maps_where_no_density_tells(tmp_path, flipped, caplog):
    predictor = SaliencyPredictor("mini")
    random = np.random.default_rng(0)
    lines = []
    for path, values in zip(IMAGES, predictor.maps(IMAGES), strict=True):
        height, width = values.shape
        chosen = random.choice(values.size, 60, p=(values**2 / (values**2).sum()).ravel())
        rows, columns = np.divmod(chosen, width)
        points = np.stack([columns, height - 1 - rows if flipped else rows], axis=1)
        lines.append(json.dumps({"file_name": str(path), "fixations": points.tolist()}))
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    notes = find_turned(predictor, sample_rows(load(str(tmp_path))))
    result = CliRunner().invoke(app, ["data", "check", "folder", str(tmp_path), "-o", str(tmp_path / "rows.png")])
    assert result.exit_code == 0
    with caplog.at_level("WARNING", logger="modeling_mlnet.training.run"):
        warn_of_turned(DataArguments(datasets=[str(tmp_path)]))
    assert [record.getMessage() for record in caplog.records] == [f"{tmp_path}: {note}" for note in notes]
    if flipped:
        assert notes[0].startswith("mirrored top to bottom, the fixations fit a model's maps better")
        assert f"note: {notes[0]}" in result.output
    else:
        assert notes == [] and "note: " not in result.output
