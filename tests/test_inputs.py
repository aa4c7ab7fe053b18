"""Which files become jobs, what their results are called, and what is said of the rest."""

import io
import os
import shutil
import sys
from types import SimpleNamespace

import pytest
from layouts import write_image

from modeling_mlnet.inference.inputs import find_images


@pytest.fixture
def find(tmp_path, monkeypatch):
    """Writes images (other names: empty files) and finds those that paths lead to, from that folder."""
    monkeypatch.chdir(tmp_path)
    image = write_image(tmp_path / "image.jpg").read_bytes()
    (tmp_path / "image.jpg").unlink()

    def run(names, *paths, output="out"):
        for name in names.split():
            path = tmp_path / name.replace("+", " ")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image if path.suffix else b"")
        return find_images(paths, tmp_path / output)

    return run


def stems(inputs):
    return sorted(job.stem.as_posix() for job in inputs.jobs)


def test_every_link_to_a_file_is_an_image(find, tmp_path):
    find("blobs/one.jpg")
    (tmp_path / "in").mkdir()
    for name in "abc":
        (tmp_path / "in" / f"{name}.jpg").symlink_to(tmp_path / "blobs" / "one.jpg")
    inputs = find("in/d.jpg", "in")
    assert stems(inputs) == ["a", "b", "c", "d"] and inputs.note is None


def test_linked_folders_are_searched_and_loops_counted(find, tmp_path):
    find("in/a.jpg other/b.jpg other/deep/c.jpg")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "other")
    for name, place in (("self", "in"), ("up", ".")):
        (tmp_path / "in" / name).symlink_to(tmp_path / place)
    (tmp_path / "other" / "back").symlink_to(tmp_path / "in")
    expected = ["a", "link/b", "link/deep/c"]
    inputs = find("", "in")
    assert stems(inputs) == expected and inputs.skipped == {"links to a folder above them": 3}
    assert len(find("", "in/**/*.jpg").jobs) == 3


def test_every_suffix_of_an_image_counts(find):
    suffixes = (
        "jpg JPEG jpe jfif png apng gif bmp dib tif TIFF webp avif heic HEIF hif jp2 j2k jpx ppm pgm pbm pnm tga"
    )
    inputs = find(" ".join(f"in/{suffix}.{suffix}" for suffix in suffixes.split()), "in")
    assert stems(inputs) == sorted(suffixes.split()) and inputs.note is None


def test_what_is_left_out_is_counted_by_its_reason(find, tmp_path):
    hidden = "in/.hidden.png in/.ipynb_checkpoints/a.png in/@eaDir/a.jpg in/__MACOSX/b.jpg"
    results = "in/a.map.png in/a.overlay.png in/a.overlay.jpg in/a.explain.png in/out/anything.png"
    (tmp_path / "in").mkdir()
    os.symlink("gone", "in/broken.jpg")
    os.symlink("loop.jpg", "in/loop.jpg")
    inputs = find(f"in/a.jpg {hidden} {results} in/notes.txt in/more.txt in/film.mov in/plain", "in", output="in/out")
    assert stems(inputs) == ["a"] and not inputs.problems
    assert inputs.skipped == {
        "hidden or in system folders": 4,
        "results of earlier runs": 5,
        "of the kind .txt": 2,
        "of the kind .mov": 1,
        "without a suffix": 1,
        "broken links or no files": 2,
    }
    assert inputs.note.startswith("left out: 5 ") and "2 of the kind .txt" in inputs.note
    inputs = find("", "in/@eaDir", "in/.hidden.png")  # named
    assert stems(inputs) == [".hidden", "a"] and inputs.note is None


def test_a_pattern_counts_as_a_folder_does(find):
    find("in/a.jpg in/a.map.png in/b.jfif in/notes.txt in/@eaDir/a.jpg")
    inputs = find("", "in/*")
    assert stems(inputs) == ["a", "b"]
    kinds = {"results of earlier runs": 1, "of the kind .txt": 1, "hidden or in system folders": 1}
    assert inputs.skipped == kinds
    assert stems(find("", "in/*.jfif")) == ["b"]
    inputs = find("", "in/*.txt")
    assert inputs.problems == ["in/*.txt: no images there"] and inputs.skipped == {"of the kind .txt": 1}
    assert find("", "in/*.nix").problems == ["in/*.nix: no such file, folder or pattern"]


@pytest.mark.parametrize("pattern", ["photos [2024]/*.jpg", "photos [2024]/IMG[1]*.jpg", "photos [2024]", "*/*.jpg"])
def test_brackets_in_names_are_names(find, pattern):
    assert stems(find("photos+[2024]/IMG[1].jpg", pattern)) == ["IMG[1]"]


def test_brackets_that_are_no_name_are_a_pattern(find):
    assert stems(find("in/a1.jpg in/a2.jpg in/a3.jpg", "in/a[12].jpg")) == ["a1", "a2"]


def test_an_image_comes_once_however_it_is_named(find):
    assert stems(find("in/a.jpg", "in", "in/a.jpg", "./in/*", "in/../in/a.jpg")) == ["a"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("in/a.jpg in/a.png", ["a.jpg", "a.png"]),
        ("in/a.jpg other/a.jpg in/b.jpg", ["b", "in/a", "other/a"]),
        ("in/a.jpg in/a.png other/a.jpg", ["in/a.jpg", "in/a.png", "other/a"]),
        ("in/x.png in/sub/x.png", ["sub/x", "x"]),
    ],
)
def test_equal_names_get_what_tells_them_apart(find, names, expected):
    assert stems(find(names, *names.split())) == expected


def test_names_that_only_some_file_systems_tell_apart_are_equal(find):
    decomposed, composed = "cafe\u0301", "caf\u00e9"
    names = f"in/A.jpg in/a.JPG in/{decomposed}.jpg in/{composed}.jpg"
    assert len({stem.casefold() for stem in stems(find(names, "in"))}) == 4
    assert len(stems(find("", "in"))) == 4 and "a.JPG-2" in stems(find("", "in"))


def test_standard_input_and_addresses_are_jobs(find, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"image")))
    inputs = find("in/a.jpg", "-", "https://example.org/b/c%20d.jpg?size=2", "http://example.org/", "in/a.jpg")
    assert [(job.source, str(job.stem)) for job in inputs.jobs[:3]] == [
        (b"image", "stdin"),
        ("https://example.org/b/c%20d.jpg?size=2", "c d"),
        ("http://example.org/", "image"),
    ]
    assert [job.name for job in inputs.jobs][::3] == ["standard input", "in/a.jpg"]
    assert stems(find("", "https://example.org/a%3Ab%2Fc.png")) == ["a_b_c"]  # legal on Windows
    assert len(set(stems(find("", "http://a/x.jpg", "http://b/x.jpg", "http://b/x.jpg?2")))) == 3


def test_a_path_that_leads_nowhere_does_not_hide_the_others(find):
    inputs = find("in/a.jpg in/plain", "gone.jpg", "in/a.jpg", "x" * 300, "in/plain/b.jpg", "nul\0.jpg", "")
    assert stems(inputs) == ["a"]
    assert [problem.rpartition(": ")[2] for problem in inputs.problems] == [
        "no such file, folder or pattern",
        "File name too long",
        "Not a directory",
        "embedded null byte",
        "is no file, folder or pattern",
    ]


def test_a_file_that_is_named_is_taken_whatever_its_suffix(find, tmp_path):
    find("in/a.jpg")
    shutil.copy("in/a.jpg", "in/scan.dat")
    assert stems(find("", "in/scan.dat")) == ["scan"]
