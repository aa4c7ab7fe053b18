"""`mlnet data check` and `mlnet data export`."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from layouts import write_folder, write_image, write_mit1003, write_osie, write_salicon
from PIL import Image
from typer.testing import CliRunner

from modeling_mlnet.cli import app
from modeling_mlnet.data import check, draw_rows, export_parquet, load

STEM = "COCO_train2014_00000000000"


def run(*words):
    return CliRunner().invoke(app, ["data", *map(str, words)], env={"COLUMNS": "100"})


def write_whole_salicon(directory):
    for split, count in {"train": 3, "val": 2, "test": 4}.items():
        write_salicon(directory, count, split)
    return directory


def test_every_split_is_counted_against_the_official_number(tmp_path):
    result = check(f"salicon:{write_whole_salicon(tmp_path)}")
    assert [(item.split, item.images, item.usable, item.official) for item in result.splits] == [
        ("train", 3, 3, 10_000),
        ("validation", 2, 2, 5_000),
        ("test", 4, 4, 5_000),
    ]
    train = result.splits[0]
    assert (train.fixations, train.with_fixations, train.with_observers, train.own_maps) == (9, 3, 3, 3)
    assert result.splits[2].fixations == 0 and not result.problems and not result.is_complete
    assert result.notes[0] == "train: 3 images are not 640x480 px, the official size; 3 are 64x48 px"


def test_what_is_missing_or_damaged_is_told_file_by_file(tmp_path):
    write_salicon(tmp_path)
    (tmp_path / f"images/train/{STEM}0.jpg").unlink()
    (tmp_path / f"maps/train/{STEM}1.png").write_bytes(b"no")
    result = check(f"salicon:{tmp_path}", "train")
    [train] = result.splits
    assert (train.images, train.usable) == (5, 4)
    assert len(train.problems) == 3
    for name, reason in {
        f"maps/train/{STEM}1.png": "saliency map is damaged",
        f"maps/train/{STEM}0.png": "has no image of its name",
        f"fixations/train/{STEM}0.mat": "has no image of its name",
    }.items():
        assert any(line.startswith(f"{tmp_path / name}: {reason}") for line in train.problems), name


def test_a_split_that_is_not_there_is_a_problem_unless_another_is_asked_for(tmp_path):
    spec = f"salicon:{write_salicon(tmp_path)}"
    assert [line.split(": ")[0] for line in check(spec).problems] == [
        str(tmp_path / "images" / "val"),
        str(tmp_path / "images" / "test"),
    ]
    assert not check(spec, "train").problems
    with pytest.raises(ValueError, match="images/val: no such folder"):
        check(spec, "validation")


def test_an_own_folder_is_complete_when_nothing_is_damaged(tmp_path):
    result = check(str(write_folder(tmp_path)))
    assert result.is_complete and result.splits[0].official is None and result.title == str(tmp_path)


def test_an_export_is_looked_through_row_by_row(tmp_path):
    export_parquet(f"folder:{write_folder(tmp_path / 'set')}", tmp_path / "out")
    result = check(str(tmp_path / "out"))
    assert result.is_complete and result.splits[0].usable == 12 and result.splits[0].fixations == 24
    draw_rows(result.rows, tmp_path / "rows.png")


def test_paths_are_taken_as_text_and_as_path(tmp_path):
    folder = write_folder(tmp_path / "set", count=1)
    assert check(folder) == check(str(folder)) and load(folder).to_dict() == load(str(folder)).to_dict()
    assert draw_rows(check(folder).rows, str(tmp_path / "rows.png")) == 1
    assert (tmp_path / "rows.png").is_file()


def test_four_rows_are_drawn_evenly_from_what_has_ground_truth(tmp_path):
    result = check(f"salicon:{write_whole_salicon(tmp_path)}")
    assert not any("test" in row["image_id"] for row in result.rows)
    assert len({row["image_id"] for row in result.rows}) == len(result.rows) == 5
    assert draw_rows(result.rows, tmp_path / "rows.png") == 4


def test_the_drawing_has_the_fixations_on_the_image(tmp_path):
    grey = Image.new("RGB", (200, 160), (90, 90, 90))
    fixations = [[40, 40], [150, 120]]
    density = Image.new("L", (200, 160))
    row = {"image": grey, "saliency_map": density, "fixations": fixations, "image_id": "a", "observers": []}
    draw_rows([{**row, "sigma": None}] * 2, tmp_path / "rows.png")
    drawn = np.asarray(Image.open(tmp_path / "rows.png").convert("RGB")).astype(int)
    red = (drawn[..., 0] > 200) & (drawn[..., 1] < 60)
    rows, columns = np.nonzero(red)
    assert len(rows) > 8
    assert columns.min() > drawn.shape[1] / 3 and columns.max() < 2 * drawn.shape[1] / 3  # the middle column
    assert (rows < drawn.shape[0] / 2).any() and (rows > drawn.shape[0] / 2).any()


def test_nothing_to_draw_and_unknown_endings_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no row to draw"):
        draw_rows([], tmp_path / "rows.png")
    with pytest.raises(ValueError, match="xyz"):
        draw_rows(list(load(str(write_folder(tmp_path, count=1)))), tmp_path / "rows.xyz")
    assert not list(tmp_path.glob("*.xyz*"))


# --- the commands


def test_check_prints_a_table_and_draws(tmp_path):
    write_folder(tmp_path / "set")
    result = run("check", "folder", tmp_path / "set", "--output", tmp_path / "rows.png")
    assert result.exit_code == 0, result.output
    for words in ("images", "official count", "not known", "with known observers", "64x48"):
        assert words in result.output
    assert f"4 rows are drawn in {tmp_path / 'rows.png'}" in result.output
    assert Image.open(tmp_path / "rows.png").width == 1200


def test_check_ends_with_status_1_when_something_is_missing(tmp_path):
    write_mit1003(tmp_path / "set")
    (tmp_path / "set" / "ALLFIXATIONMAPS" / "i1_fixPts.jpg").unlink()
    result = run("check", "mit1003", tmp_path / "set", "-o", tmp_path / "rows.png")
    assert result.exit_code == 1
    assert "i1_fixPts.jpg: fixations are missing" in result.output
    assert "-1,001" in result.output and "1,003" in result.output


def test_check_prints_the_first_problems_or_all(tmp_path):
    write_folder(tmp_path, count=1)
    with (tmp_path / "metadata.jsonl").open("a") as file:
        file.write("{broken\n" * 30)
    words = ("check", "folder", tmp_path, "-o", tmp_path / "rows.png")
    short, long = run(*words).output, run(*words, "--all").output
    assert short.count("problem: ") == 1 and "--all prints all 30 problems" in short
    assert f"{tmp_path / 'metadata.jsonl'}, line 2 and 29 more: " in short
    assert long.count("problem: ") == 30 and "more" not in long


def test_check_of_what_is_not_there_is_one_line_and_status_2(mlnet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_osie(tmp_path / "download" / "OSIE")
    done = mlnet("data", "check", "osie", tmp_path / "download")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        f"mlnet: error: {tmp_path / 'download'}: OSIE lies deeper; give {tmp_path / 'download' / 'OSIE'}\n"
    )
    done = mlnet("data", "check", "osei", tmp_path / "download")
    assert done.returncode == 2 and "unknown data set 'osei'; known are" in done.stderr
    assert "Traceback" not in done.stderr and list(tmp_path.iterdir()) == [tmp_path / "download"]


def test_check_draws_into_a_file_named_after_the_set_unless_told(mlnet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "set", count=1)
    done = mlnet("data", "check", "folder", tmp_path / "set")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "folder-rows.png").is_file() and done.stderr == ""
    (tmp_path / "folder-rows.png").unlink()
    assert mlnet("data", "check", f"folder:{tmp_path / 'set'}").stdout == done.stdout
    assert (tmp_path / "folder-rows.png").is_file()


def test_export_writes_what_load_reads(tmp_path):
    write_osie(tmp_path / "set")
    result = run("export", "osie", tmp_path / "set", "--to", "parquet", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert f"3 rows of train in 1 Parquet files in {tmp_path / 'out'}" in result.output
    assert len(load(str(tmp_path / "out"))) == 3


def test_export_warns_in_one_line_of_photographs_that_must_stay(tmp_path):
    write_salicon(tmp_path / "set")
    result = run("export", "salicon", tmp_path / "set", "--split", "train", "-o", tmp_path / "out")
    assert "mlnet: the photographs of SALICON are inside" in result.stderr
    result = run("export", "salicon", tmp_path / "set", "--split", "train", "--annotations-only", "-o", tmp_path / "b")
    assert result.exit_code == 0 and "photographs" not in result.stderr
    assert len(load(str(tmp_path / "b"), images=tmp_path / "set")) == 6


def test_export_to_another_form_is_refused(tmp_path):
    result = run("export", "osie", write_osie(tmp_path / "set"), "--to", "csv", "-o", tmp_path / "out")
    assert result.exit_code == 2 and "must be parquet" in result.output


@pytest.mark.parametrize("command", ["check", "export"])
def test_help_has_an_example(command):
    result = run(command, "--help")
    assert result.exit_code == 0 and f"Example: mlnet data {command}" in result.output


def test_help_loads_nothing_heavy():
    code = "import sys; from modeling_mlnet.cli import app; print({'torch', 'datasets', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_problems_with_a_image_in_a_set_do_not_hide_the_others(tmp_path):
    write_osie(tmp_path)
    write_image(tmp_path / "stimuli" / "1002.jpg").write_bytes(b"")
    result = check(f"osie:{tmp_path}")
    assert result.splits[0].usable == 2 and len(result.problems) == 1 and len(result.rows) == 2


def test_without_an_output_the_folder_is_named_after_the_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("export", "osie", write_osie(tmp_path / "set", 3), "--to", "parquet")
    assert result.exit_code == 0, result.output
    assert len(load("osie-parquet")) == 3


def test_fixations_beside_the_images_are_counted_and_many_are_noted(tmp_path):
    outcome = check(str(write_folder(tmp_path)))
    assert (outcome.splits[0].fixations, outcome.splits[0].outside) == (24, 12)
    [note] = outcome.notes
    assert note.startswith("all: 33% of the fixations (12 of 36) lie outside their images and are left out")
    result = run("check", "folder", tmp_path, "-o", tmp_path / "rows.png")
    assert result.exit_code == 0 and "outside the images" in result.output and f"note: {note}" in result.output


def test_images_that_are_not_listed_are_noted(tmp_path):
    path = write_folder(tmp_path, count=2) / "metadata.jsonl"
    path.write_text(path.read_text().replace("images/000", "images/../images/000"))
    assert len(check(str(tmp_path)).notes) == 1  # of the fixations beside the images
    extra = write_image(tmp_path / "images" / "extra.png")
    result = check(str(tmp_path))
    assert result.notes[0] == f"not listed, but beside the listed images: 1, first {extra}" and result.is_complete


@pytest.mark.parametrize("name", ["rows.txt", "folder", "metadata.jsonl/rows.png"])
def test_a_drawing_that_cannot_be_written_is_refused_before_the_look(tmp_path, name):
    write_folder(tmp_path, count=1)
    (tmp_path / "folder").mkdir()
    result = run("check", "folder", tmp_path, "-o", tmp_path / name)
    assert result.exit_code != 0 and result.output == ""
    assert str(result.exception).startswith(f"{tmp_path / name}: ")


def test_an_export_that_was_killed_leaves_nothing_for_the_next_one(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f".out.{platform.node()}.{ended.pid}.tmp"
    running = tmp_path / f".out.{platform.node()}.{os.getppid()}.tmp"
    elsewhere = tmp_path / f".out.another.{ended.pid}.tmp"
    for place in (left, running, elsewhere):
        (place / "data").mkdir(parents=True)
    export_parquet(f"osie:{write_osie(tmp_path / 'set')}", tmp_path / "out")
    assert not left.exists() and running.exists() and elsewhere.exists()


def test_an_export_that_is_asked_to_end_leaves_nothing(tmp_path):
    write_osie(tmp_path / "set", 3)
    code = (
        "import os, signal, sys\nfrom modeling_mlnet.cli import main\nfrom modeling_mlnet.data import export\n"
        "export._write_split = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.argv[1:] = ['data', 'export', 'osie', 'set', '-o', 'out']\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 143, done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "set"] and "Traceback" not in done.stderr
