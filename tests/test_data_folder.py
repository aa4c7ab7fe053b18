"""Own data: metadata.jsonl or a CSV of fixations."""

import json

import numpy as np
import pytest
from layouts import write_density, write_folder, write_image
from PIL import Image

from modeling_mlnet.data import load, scan


def test_rows_leave_out_fixations_beside_the_image(tmp_path):
    rows = load(str(write_folder(tmp_path)))
    assert rows[3]["fixations"] == [[5, 6], [3, 1]] and rows[3]["image_id"] == "images/003"
    assert rows[3]["observers"] == [0, 1]
    assert load(f"folder:{tmp_path}")[3]["fixations"] == rows[3]["fixations"]


def test_own_maps_and_plain_fixations_may_be_given(tmp_path):
    write_folder(tmp_path)
    write_density(tmp_path / "map.png")
    line = {"file_name": "images/000.png", "map_file_name": "map.png", "fixations": [[1, 2]]}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(line))
    [row] = load(str(tmp_path))
    assert row["fixations"] == [[1, 2]] and row["saliency_map"].mode == "L"


def test_bad_lines_are_named_by_number(tmp_path):
    write_folder(tmp_path, count=3)
    path = tmp_path / "metadata.jsonl"
    lines = path.read_text().splitlines()
    lines += ["{broken", json.dumps({"observers": []}), json.dumps({"file_name": "gone.png", "fixations": []}), ""]
    for bad in ({"fixations": [[1, 2, 3], [4, 5, 6]]}, {"fixations": [[1, 1]], "sigma": -2}):
        lines.append(json.dumps({"file_name": "images/001.png", **bad}))
    lines.append("7")
    path.write_text("\n".join(lines))
    result = scan(str(tmp_path))
    assert len(result.records) == 3 and len(result.problems) == 6
    assert result.problems[0].startswith(f"{path}, line 4: ")
    assert result.problems[1:] == [
        f"{path}, line 5: key 'file_name' is missing; keys found are 'observers'",
        f"{path}, line 8: pairs of x and y are expected, got shape (2, 3)",
        f"{path}, line 9: sigma must be a number of pixels above 0, got -2",
        f"{path}, line 10: an object is expected, got 7",
        f"{tmp_path}/gone.png: image is missing",
    ]


def test_rotated_images_have_fixations_and_density_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48), "red").save(tmp_path / "turned.jpg", exif=exif)
    (tmp_path / "metadata.jsonl").write_text(json.dumps({"file_name": "turned.jpg", "fixations": [[5, 60], [60, 5]]}))
    [row] = load(str(tmp_path))
    assert row["image"].size == row["saliency_map"].size == (48, 64)
    assert row["fixations"] == [[5, 60]]


def test_images_that_differ_in_their_ending_only_keep_it_in_their_id(tmp_path):
    for name in ("a.jpg", "a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    lines = [json.dumps({"file_name": name, "fixations": [[1, 1]]}) for name in ("a.jpg", "a.png", "b.png")]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    assert [record.image_id for record in scan(str(tmp_path)).records] == ["a.jpg", "a.png", "b"]


@pytest.mark.parametrize("name", ["metadata.jsonl", "fixations.csv"])
def test_a_list_that_is_not_utf_8_is_named(tmp_path, name):
    (tmp_path / name).write_bytes('{"file_name": "caf\xe9.jpg"}'.encode("latin-1"))
    with pytest.raises(ValueError, match=rf"{name}: is not UTF-8"):
        load(str(tmp_path))


def test_a_folder_without_any_list_says_which_it_could_have(tmp_path):
    with pytest.raises(ValueError, match=r"metadata\.jsonl: no such file, nor fixations\.csv"):
        load(str(tmp_path))


# --- the table


def write_table(directory, text, encoding="utf-8"):
    for name in ("a.png", "b.png"):
        write_image(directory / "images" / name)
    (directory / "fixations.csv").write_text(text, encoding=encoding)
    return str(directory)


def test_a_table_has_a_line_per_fixation(tmp_path):
    rows = load(write_table(tmp_path, "file_name,x,y\nimages/a.png,5.5,6\nimages/b.png,1,2\nimages/a.png,7,8\n"))
    assert rows["image_id"] == ["images/a", "images/b"]
    assert rows[0]["fixations"] == [[5.5, 6], [7, 8]] and rows[0]["observers"] == []
    assert rows[0]["sigma"] == pytest.approx(0.03 * 64)


def test_a_table_may_name_the_observers_who_keep_their_number(tmp_path):
    text = "observer,y,x,file_name\nann,6,5,images/a.png\nbob,2,1,images/b.png\nbob,8,7,images/a.png\n"
    rows = load(write_table(tmp_path, text))
    assert rows[0]["observers"] == [0, 1] and rows[1]["observers"] == [1]
    assert rows[0]["fixations"] == [[5, 6], [7, 8]]


def test_a_table_of_a_spreadsheet_is_read(tmp_path):
    rows = load(write_table(tmp_path, "file_name,x,y\r\nimages/a.png,5,6\r\n", encoding="utf-8-sig"))
    assert rows[0]["fixations"] == [[5, 6]]


def test_bad_lines_of_a_table_are_named_by_number(tmp_path):
    lines = ["file_name,x,y", "images/a.png,5,6", "images/a.png,left,6", "images/b.png,5", "images/b.png,nan,2"]
    result = scan(write_table(tmp_path, "\n".join([*lines, "gone.png,1,1", ",1,1", ""])))
    path = tmp_path / "fixations.csv"
    assert [record.image_id for record in result.records] == ["images/a"]
    assert result.problems == [
        f"{path}, line 3: x must be a number of pixels, got 'left'",
        f"{path}, line 4: y must be a number of pixels, got ''",
        f"{path}, line 5: x must be a number of pixels, got 'nan'",
        f"{path}, line 7: file_name is missing",
        f"{tmp_path}/gone.png: image is missing",
    ]


def test_a_table_without_its_columns_is_refused(tmp_path):
    columns = r"no x there, the columns found \(between commas\) are 'file_name', 'left', 'y'"
    with pytest.raises(ValueError, match=rf"fixations.csv: the first line must name .*; {columns}"):
        load(write_table(tmp_path, "file_name;x;y\nimages/a.png;5;6\n".replace(";x;", ",left,")))
    with pytest.raises(ValueError, match=r"fixations.csv: the first line must name"):
        load(write_table(tmp_path, ""))


def test_metadata_counts_where_both_lists_are_there(tmp_path):
    write_table(tmp_path, "file_name,x,y\nimages/a.png,5,6\n")
    (tmp_path / "metadata.jsonl").write_text(json.dumps({"file_name": "images/b.png", "fixations": [[3, 3]]}))
    [row] = load(str(tmp_path))
    assert row["image_id"] == "images/b" and np.asarray(row["saliency_map"]).max() == 255


def test_maps_of_16_bits_are_scaled_not_cut(tmp_path):
    write_folder(tmp_path)
    values = np.linspace(0, 65535, 48 * 64).reshape(48, 64)
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "wide.png")
    line = {"file_name": "images/000.png", "map_file_name": "wide.png", "fixations": [[1, 2]]}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(line))
    [row] = load(str(tmp_path))
    np.testing.assert_allclose(np.asarray(row["saliency_map"]), values / 257, atol=1)


def test_a_image_listed_twice_is_a_problem(tmp_path):
    path = write_folder(tmp_path, count=3) / "metadata.jsonl"
    path.write_text(path.read_text().rstrip("\n") + "\n" + path.read_text().splitlines()[1])
    result = scan(str(tmp_path))
    assert len(result.records) == 3
    message = "images/001.png was listed before; one line holds all of its observers"
    assert result.problems == [f"{path}, line 4: {message}"]


def test_a_image_that_no_fixation_lies_on_is_a_problem(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        write_image(tmp_path / name)
    lines = [{"file_name": "a.png", "fixations": [[640, 480], [-3, 2]]}, {"file_name": "b.png", "fixations": []}]
    lines.append({"file_name": "c.png", "fixations": [[1, 1]]})
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    result = scan(str(tmp_path))
    assert [record.image_id for record in result.records] == ["c"]
    assert result.problems == [
        f"{tmp_path}/a.png: no fixation lies on the image, all 2 lie outside it, the first at (640, 480)",
        f"{tmp_path}/b.png: no fixation lies on the image, it has none",
    ]


@pytest.mark.parametrize("name", ["", ".", 5, None, ["a.png"]])
def test_a_file_name_that_is_none_is_named_with_its_line(tmp_path, name):
    path = write_folder(tmp_path, count=1) / "metadata.jsonl"
    path.write_text(json.dumps({"file_name": name, "fixations": [[1, 1]]}) + "\n" + path.read_text())
    result = scan(str(tmp_path))
    assert len(result.records) == 1
    assert result.problems == [f"{path}, line 1: file_name must be the name of a file, got {name!r}"]


def test_a_line_that_is_nested_without_end_is_named(tmp_path):
    path = write_folder(tmp_path, count=1) / "metadata.jsonl"
    path.write_text("[" * 200_000 + "\n" + path.read_text())
    result = scan(str(tmp_path))
    assert len(result.records) == 1 and result.problems[0].startswith(f"{path}, line 1: ")


@pytest.mark.parametrize(("name", "text"), [("metadata.jsonl", ""), ("fixations.csv", "file_name,x,y\n")])
def test_a_list_without_images_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=rf"{name}: lists no image$"):
        load(str(tmp_path))


def test_observers_that_some_lines_leave_out_are_named(tmp_path):
    text = "file_name,x,y,observer\nimages/a.png,5,6,ann\nimages/a.png,7,8,\nimages/b.png,1,1,ann\n"
    result = scan(write_table(tmp_path, text))
    place = tmp_path / "fixations.csv"
    assert result.problems == [f"{place}: 1 fixations of images/a.png name no observer; taken as one for all of them"]
    assert [len(record.annotation.observers) for record in result.records] == [0, 1]


def test_a_file_in_place_of_the_folder_is_told_apart(tmp_path):
    path = write_folder(tmp_path, count=1) / "metadata.jsonl"
    with pytest.raises(ValueError, match=r"metadata\.jsonl: is a file; give its folder"):
        load(f"folder:{path}")
