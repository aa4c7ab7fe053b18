"""Data sets that are unpacked elsewhere or not at all: the error says what to do."""

import re
import shutil
import subprocess
import zipfile

import pytest
from layouts import WRITERS, write_image, write_mit1003, write_osie, write_salicon

from modeling_mlnet.data import CATALOG, load, scan
from modeling_mlnet.data.cat2000 import list_cat2000
from modeling_mlnet.data.layouts import find_root
from modeling_mlnet.data.salicon import list_salicon

needs_unzip = pytest.mark.skipif(
    shutil.which("unzip") is None, reason="runs the commands as a user would: install unzip"
)


def error(spec, split=None) -> str:
    with pytest.raises(ValueError) as caught:
        load(spec, split)
    message = str(caught.value)
    assert "\n" not in message
    return message


def run_what_it_says(message):
    """Runs the command that follows `run: `, as a user would paste it."""
    subprocess.run(message.split("run: ")[1], shell=True, check=True, capture_output=True)


def pack(folder, archive, top=None):
    """A zip of a folder's content, under `top` in it."""
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                file.write(path, f"{top}/{name}" if top else name)
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", CATALOG)
def test_a_set_in_a_folder_of_its_own_is_found_and_its_path_told(tmp_path, name):
    WRITERS[name](tmp_path / "download" / "set")
    for directory in (tmp_path / "download", tmp_path):
        message = error(f"{name}:{directory}")
        path = re.search(r"lies deeper; give (.+)$", message)
        assert path is not None, message
        assert len(load(f"{name}:{path[1]}")) > 1


@pytest.mark.parametrize(("name", "part"), [("salicon", "images"), ("mit1003", "ALLSTIMULI"), ("osie", "stimuli")])
def test_a_part_of_a_set_is_recognised_and_the_whole_told(tmp_path, name, part):
    WRITERS[name](tmp_path)
    assert error(f"{name}:{tmp_path / part}").endswith(f"; give {tmp_path}")


@pytest.mark.parametrize("doubled", [["images"], ["maps"], ["fixations"], ["images", "maps", "fixations"]])
def test_archives_unpacked_into_folders_of_their_name_are_explained(tmp_path, doubled):
    write_salicon(tmp_path)
    for name in doubled:
        (tmp_path / name).rename(tmp_path / "moved")
        (tmp_path / name).mkdir()
        (tmp_path / "moved").rename(tmp_path / name / name)
    if len(doubled) == 1 and doubled != ["images"]:  # the other kind of ground truth would do
        shutil.rmtree(tmp_path / ("maps" if doubled == ["fixations"] else "fixations"))
    while any((tmp_path / name / name / "train").exists() for name in doubled):
        run_what_it_says(error(f"salicon:{tmp_path}"))
    assert len(load(f"salicon:{tmp_path}")) == 6


@needs_unzip
@pytest.mark.parametrize("with_folder", [True, False])
def test_zips_are_recognised_and_the_command_unpacks_them_where_they_belong(tmp_path, with_folder):
    write_salicon(tmp_path)
    for name in ("images", "maps", "fixations"):
        pack(tmp_path / name, tmp_path / f"{name}.zip", name if with_folder else None)
    message = error(f"salicon:{tmp_path}")
    assert "still packed" in message
    run_what_it_says(message)
    assert len(load(f"salicon:{tmp_path}")) == 6


@needs_unzip
@pytest.mark.parametrize("name", ["images", "maps"])
def test_a_single_zip_is_recognised_as_well(tmp_path, name):
    write_salicon(tmp_path)
    shutil.rmtree(tmp_path / "fixations")
    pack(tmp_path / name, tmp_path / f"{name}.zip", name)
    run_what_it_says(error(f"salicon:{tmp_path}"))
    assert len(load(f"salicon:{tmp_path}")) == 6


def test_a_zip_that_is_not_whole_is_told(tmp_path):
    write_salicon(tmp_path)
    shutil.rmtree(tmp_path / "images")
    (tmp_path / "images.zip").write_bytes(b"PK\x03\x04 cut off")
    assert f"{tmp_path / 'images.zip'}: is damaged, download it again" in error(f"salicon:{tmp_path}")


def test_an_archive_given_for_a_folder_is_recognised(tmp_path):
    write_mit1003(tmp_path / "set")
    pack(tmp_path / "set", tmp_path / "mit.zip")
    message = error(f"mit1003:{tmp_path / 'mit.zip'}")
    assert "is packed; unpack it and give the folder: unzip" in message


@pytest.mark.parametrize("kind", ["fixations", "maps"])
def test_fixations_unpacked_beside_the_images_are_recognised(tmp_path, kind):
    """SALICON's fixations.zip and maps.zip hold train/ and val/ without a folder around them."""
    write_salicon(tmp_path)
    (tmp_path / kind / "train").rename(tmp_path / "train")
    for name in ("fixations", "maps"):
        shutil.rmtree(tmp_path / name)
    run_what_it_says(error(f"salicon:{tmp_path}"))
    assert len(load(f"salicon:{tmp_path}")) == 6


@needs_unzip
@pytest.mark.parametrize("is_packed", [True, False])
@pytest.mark.parametrize(
    ("name", "scan", "part"),
    [
        ("salicon", list_salicon, "fixations"),
        ("salicon", list_salicon, "maps"),
        ("cat2000", list_cat2000, "FIXATIONMAPS"),
    ],
)
def test_a_part_that_is_packed_or_too_deep_is_not_left_out_in_silence(tmp_path, name, scan, part, is_packed):
    root = find_root(name, WRITERS[name](tmp_path))
    assert not scan(root).problems
    if is_packed:
        pack(root / part, root / f"{part}.zip", top=part)
    else:
        shutil.move(root / part, root / "moved")
        shutil.move(root / "moved", root / part / part)
    [problem] = scan(root).problems
    assert "left out; it is" in problem
    run_what_it_says(problem)
    assert not scan(root).problems


@needs_unzip
def test_a_packed_json_beside_maps_is_told(tmp_path):
    write_salicon(tmp_path)
    shutil.rmtree(tmp_path / "fixations")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "fixations_train2014.json").write_text("{}")
    pack(tmp_path / "annotations", tmp_path / "fixations_train2014.json.zip")
    [problem] = list_salicon(tmp_path).problems
    run_what_it_says(problem)
    assert (tmp_path / "fixations_train2014.json").is_file()


def test_images_too_deep_are_told_in_every_set(tmp_path):
    for name, folder in (("salicon", "images/train"), ("osie", "stimuli")):
        place = tmp_path / name / folder
        WRITERS[name](tmp_path / name)
        shutil.move(place, tmp_path / "moved")
        shutil.move(tmp_path / "moved", place / place.name)
        message = error(f"{name}:{tmp_path / name}")
        assert "unpacked one level too deep" in message
        run_what_it_says(message)
        assert len(load(f"{name}:{tmp_path / name}")) > 1


def test_a_known_layout_given_without_its_name_is_recognised(tmp_path):
    write_osie(tmp_path)
    assert error(str(tmp_path)).endswith(f"this looks like osie, give osie:{tmp_path}")


def test_a_folder_that_holds_nothing_of_the_set_names_what_it_misses(tmp_path):
    assert error(f"salicon:{tmp_path}").startswith(f"{tmp_path / 'images' / 'train'}: no such folder")
    assert error(f"osie:{tmp_path}").startswith(f"{tmp_path / 'eye' / 'fixations.mat'}: no such file")
    assert error(f"mit1003:{tmp_path}").startswith(f"{tmp_path / 'ALLSTIMULI'}: no such folder")
    assert error(f"cat2000:{tmp_path}").startswith(f"{tmp_path / 'Stimuli'}: no such folder")
    assert error(f"toronto:{tmp_path}").startswith(f"{tmp_path / 'Original Image Set'}: no such folder")


def test_a_split_that_is_not_there_is_told_by_its_folder(tmp_path):
    write_image(tmp_path / "images" / "train" / "a.jpg")
    assert error(f"salicon:{tmp_path}", "validation").startswith(f"{tmp_path / 'images' / 'val'}: no such folder")


def test_maps_one_level_too_deep_are_explained_beside_whole_fixations(tmp_path):
    write_salicon(tmp_path, count=2)
    (tmp_path / "maps" / "train").rename(tmp_path / "inner")
    (tmp_path / "maps" / "train").mkdir()
    (tmp_path / "inner").rename(tmp_path / "maps" / "train" / "train")
    result = scan(f"salicon:{tmp_path}")
    assert (
        len(result.records) == 2
        and "maps are left out; it is unpacked one level too deep, run: " in result.problems[0]
    )
    run_what_it_says(result.problems[0])
    assert load(f"salicon:{tmp_path}")[0]["sigma"] is None


@needs_unzip
@pytest.mark.parametrize(("archive", "top"), [("images/val.zip", None), ("val.zip", None), ("val.zip", "val2014")])
def test_an_archive_of_one_split_is_found(tmp_path, archive, top):
    write_salicon(tmp_path, 2, "val")
    pack(tmp_path / "images" / "val", tmp_path / archive, top)
    message = error(f"salicon:{tmp_path}", "validation")
    assert "it is still packed, run: unzip" in message
    run_what_it_says(message)
    assert len(load(f"salicon:{tmp_path}", "validation")) == 2
