"""Lists of fixations as people's programs write them: delimiters, encodings, names of columns and files."""

import json
import unicodedata

import pytest
from layouts import warnings_seen, write_image

from modeling_mlnet.data import load, scan
from modeling_mlnet.data.folder import list_folder
from modeling_mlnet.data.problems import summarise

ROWS = [("images/a.png", 5.5, 6, "ann"), ("images/b.png", 1, 2, "bob"), ("images/a.png", 7, 8.25, "ann")]


def write_images(directory, names=("images/a.png", "images/b.png")):
    for name in names:
        write_image(directory / name)
    return directory


def text(delimiter=",", header=("file_name", "x", "y", "observer"), comma=False):
    lines = [delimiter.join(header)]
    for row in ROWS:
        values = [str(value) for value in row]
        lines.append(delimiter.join([values[0], *(v.replace(".", ",") if comma else v for v in values[1:])]))
    return "\n".join(lines) + "\n"


def assert_read(rows):
    assert rows["image_id"] == ["images/a", "images/b"]
    assert rows[0]["fixations"] == [[5.5, 6], [7, 8.25]] and rows[1]["fixations"] == [[1, 2]]
    assert rows[0]["observers"] == [0, 0] and rows[1]["observers"] == [1]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_delimiters_and_encodings_of_programs_are_read(tmp_path, delimiter, encoding):
    (write_images(tmp_path) / "fixations.csv").write_bytes(text(delimiter).encode(encoding))
    scanned = list_folder(tmp_path)
    assert not scanned.problems
    assert [record.fixations.tolist() for record in scanned.records] == [[[5.5, 6], [7, 8.25]], [[1, 2]]]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_decimal_comma_is_read_where_commas_separate_nothing(tmp_path, delimiter):
    (write_images(tmp_path) / "fixations.csv").write_text("sep=;\n" * (delimiter == ";") + text(delimiter, comma=True))
    assert_read(load(str(tmp_path)))


def test_a_comma_in_a_number_between_commas_is_refused_with_the_value(tmp_path):
    (write_images(tmp_path) / "fixations.csv").write_text('file_name,x,y\nimages/a.png,"5,5",6\nimages/b.png,1,2\n')
    assert list_folder(tmp_path).problems == [
        f"{tmp_path / 'fixations.csv'}, line 2: x must be a number of pixels, got '5,5'"
    ]


@pytest.mark.parametrize("header", [("File_Name", " X", "Y ", "Observer"), ("file name", "x", "y", "OBSERVER")])
def test_columns_are_known_in_any_case_and_with_blanks(tmp_path, header):
    (write_images(tmp_path) / "fixations.csv").write_text(text(header=header).replace(",ann", ", ann"))
    assert_read(load(str(tmp_path)))


def test_columns_that_are_there_are_listed_where_one_is_missing(tmp_path):
    (write_images(tmp_path) / "fixations.csv").write_text(text(";", header=("stimulus", "x", "y", "observer")))
    expected = r"no file_name there, the columns found \(between semicolons\) are 'stimulus', 'x', 'y', 'observer'$"
    with pytest.raises(ValueError, match=expected):
        load(str(tmp_path))


def test_two_columns_of_one_meaning_are_refused(tmp_path):
    (write_images(tmp_path) / "fixations.csv").write_text("file_name,File Name,x,y\nimages/a.png,b,1,2\n")
    with pytest.raises(ValueError, match="'file_name' and 'File Name' both mean file_name"):
        load(str(tmp_path))


def test_a_row_with_more_values_than_columns_is_refused(tmp_path):
    (write_images(tmp_path) / "fixations.csv").write_text("file_name,x,y\nimages/a.png,5,6,,\nimages/a.png,5,5,6\n")
    with pytest.raises(ValueError, match=r"fixations.csv, line 3: 4 values for 3 columns; .*: 'images/a.png,5,5,6'$"):
        load(str(tmp_path))


@pytest.mark.parametrize("written", ["images\\a.png", " images/a.png ", "Images/A.PNG", "images/./a.png"])
def test_names_of_files_are_found_as_other_systems_write_them(tmp_path, written):
    (write_images(tmp_path) / "fixations.csv").write_text(f"file_name,x,y\n{written},5,6\nimages/a.png,7,8\n")
    [row] = load(str(tmp_path))
    assert row["image_id"] == "images/a" and row["fixations"] == [[5, 6], [7, 8]]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("listed_in", ["fixations.csv", "metadata.jsonl"])
def test_accents_are_the_same_in_every_unicode_form(tmp_path, form, listed_in):
    names = [f"images/{name}.png" for name in ("café", "Zürich", "naïve")]
    write_images(tmp_path, [unicodedata.normalize("NFD" if form == "NFC" else "NFC", name) for name in names])
    listed = [unicodedata.normalize(form, name) for name in names]
    if listed_in == "fixations.csv":
        content = "file_name,x,y\n" + "".join(f"{name},5,6\n" for name in listed)
    else:
        content = "\n".join(json.dumps({"file_name": name, "fixations": [[5, 6]]}) for name in listed)
    (tmp_path / listed_in).write_text(content, encoding="utf-8")
    assert load(str(tmp_path))["image_id"] == [name.removesuffix(".png") for name in names]


def test_a_file_that_two_names_differ_from_by_case_only_is_not_guessed(tmp_path):
    (write_images(tmp_path, ["images/a.png", "images/A.png"]) / "fixations.csv").write_text(
        "file_name,x,y\nimages/a.PNG,5,6\nimages/A.png,1,1\n"
    )
    if len(list((tmp_path / "images").iterdir())) < 2:
        pytest.skip("this file system knows no case")
    scanned = scan(str(tmp_path))
    assert [record.image_id for record in scanned.records] == ["images/A"]
    assert scanned.problems == [f"{tmp_path}/images/a.PNG: image is missing"]


def test_the_same_fault_in_many_lines_is_one_line_with_a_count(tmp_path):
    lines = "".join(f"images/a.png,{'NaN' if k % 2 else k},6\n" for k in range(60))
    (write_images(tmp_path) / "fixations.csv").write_text("file_name,x,y\n" + lines)
    with warnings_seen() as seen:
        [row] = load(str(tmp_path))
    assert len(row["fixations"]) == 30
    assert seen == [f"{tmp_path / 'fixations.csv'}, line 3 and 29 more: x must be a number of pixels, got 'NaN'"]


def test_few_lines_of_one_kind_are_all_shown():
    damaged = [f"{name}.png: image is damaged: {count} bytes" for name, count in {"b": 3, "c": 12, "d": 7}.items()]
    lines = ["a.png: image is missing", *damaged]
    assert summarise(lines) == lines
    more = [*lines, "e.png: image is damaged: 5 bytes"]
    assert summarise(more) == [lines[0], "b.png and 3 more: image is damaged: 3 bytes"]


def test_metadata_may_be_a_table_with_a_line_per_image_or_per_fixation(tmp_path):
    (write_images(tmp_path) / "metadata.csv").write_text(
        'file_name,observers,sigma,recording\nimages/a.png,"[[[5.5, 6], [7, 8.25]]]",3,mouse\n'
        'images/b.png,"[[[1, 2]]]",,\n'
    )
    rows = load(str(tmp_path))
    assert rows["image_id"] == ["images/a", "images/b"] and rows[0]["fixations"] == [[5.5, 6], [7, 8.25]]
    assert rows["sigma"][0] == 3 and rows["recording"] == ["mouse", None]
    (tmp_path / "metadata.csv").write_text(text())
    assert_read(load(str(tmp_path)))


def test_metadata_without_ground_truth_lists_its_columns(tmp_path):
    (write_images(tmp_path) / "metadata.csv").write_text("file_name,label\nimages/a.png,3\n")
    with pytest.raises(ValueError, match=r"names neither x and y nor .*; the columns found are 'file_name', 'label'$"):
        load(str(tmp_path))


def test_metadata_may_be_one_list_in_any_encoding(tmp_path):
    entries = [
        {"File_Name": "images/a.png", "fixations": [[5, 6]]},
        {"file_name": "images/b.png", "Fixations": [[1, 2]]},
    ]
    for encoding in ("utf-8", "utf-16"):
        content = json.dumps(entries, indent=2)
        (write_images(tmp_path) / "metadata.jsonl").write_text(content, encoding=encoding)
        rows = load(str(tmp_path))
        assert rows["image_id"] == ["images/a", "images/b"] and rows["fixations"] == [[[5, 6]], [[1, 2]]]


def test_folders_of_splits_are_splits(tmp_path):
    for name, point in {"train": [1, 2], "val": [3, 4]}.items():
        write_image(tmp_path / name / "a.png")
        (tmp_path / name / "metadata.jsonl").write_text(json.dumps({"file_name": "a.png", "fixations": [point]}))
    assert load(str(tmp_path))[0]["fixations"] == [[1, 2]]
    assert load(str(tmp_path), "validation")[0]["fixations"] == [[3, 4]]
    with pytest.raises(ValueError, match=r"has the splits \['train', 'validation'\], got 'test'"):
        load(str(tmp_path), "test")


@pytest.mark.parametrize("name", ["own/fixations.csv", "own/metadata.jsonl", "own/data.parquet"])
def test_a_file_is_never_asked_for_on_the_hub(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=rf"^{name}: no such folder; {tmp_path} is there"):
        load(name)
    write_image(tmp_path / "own" / "a.png").rename(tmp_path / name)
    with pytest.raises(ValueError, match=rf"^{name}: is a file; give its folder, own$"):
        load(name)


def test_a_kind_of_recording_that_is_none_is_named(tmp_path):
    (write_images(tmp_path) / "fixations.csv").write_text("file_name,x,y,recording\nimages/a.png,5,6,hand\n")
    with pytest.raises(ValueError, match="recording must be one of eye, mouse, got 'hand'"):
        load(str(tmp_path))
