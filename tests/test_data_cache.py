import json
import os
import time

import numpy as np
import pytest
from datasets.distributed import split_dataset_by_node
from layouts import mask, warnings_seen, write_folder, write_image, write_mat, write_osie, write_salicon
from PIL import Image

from modeling_mlnet.data import FEATURES, load
from modeling_mlnet.data.cache import records_fingerprint
from modeling_mlnet.data.loading import list_images

STEM = "COCO_train2014_00000000000"


def made(spec):
    """The rows, and whether they were made anew."""
    seen = []

    def progress(iterable, description):
        seen.append(description)
        return iterable

    return load(spec, progress=progress), bool(seen)


def test_an_unchanged_set_is_found_in_the_cache(tmp_path):
    spec = f"salicon:{write_salicon(tmp_path)}"
    first, anew = made(spec)
    assert anew
    second, anew = made(spec)
    assert not anew and second[:] == first[:]


def change_map(directory):
    Image.new("L", (64, 48), 9).save(directory / f"maps/train/{STEM}2.png")


def change_image(directory):
    write_image(directory / f"images/train/{STEM}2.jpg", seed=99)


def change_fixations(directory):
    write_mat(directory / f"fixations/train/{STEM}2.mat", I=mask([(9, 9)]))


def remove_map(directory):
    (directory / f"maps/train/{STEM}2.png").unlink()


@pytest.mark.parametrize("change", [change_map, change_image, change_fixations, remove_map])
def test_a_changed_file_is_not_served_from_the_cache(tmp_path, change):
    spec = f"salicon:{write_salicon(tmp_path)}"
    before = records_fingerprint(list_images(spec).records)
    load(spec)
    change(tmp_path)
    rows, anew = made(spec)
    assert anew and records_fingerprint(list_images(spec).records) != before
    if change is change_fixations:
        assert rows[2]["fixations"] == [[9, 9]]
    if change is change_map:
        assert np.asarray(rows[2]["saliency_map"]).max() == 9
    assert len(rows) == (5 if change is remove_map else 6)


def test_a_file_changed_under_its_old_date_and_size_is_seen(tmp_path):
    write_salicon(tmp_path, fixations="png")
    path = tmp_path / f"fixations/train/{STEM}2.png"

    def write(points):
        Image.fromarray(255 * mask(points)).save(path)
        path.write_bytes(path.read_bytes().ljust(500, b"\0"))  # a PNG may be followed by anything

    write([(1, 1)])
    status = path.stat()
    assert load(f"salicon:{tmp_path}")[2]["fixations"] == [[1, 1]]
    time.sleep(0.02)  # file systems count time in ticks
    write([(2, 2)])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert load(f"salicon:{tmp_path}")[2]["fixations"] == [[2, 2]]


def test_fixations_in_a_common_file_count_for_the_cache_as_well(tmp_path):
    spec = f"folder:{write_folder(tmp_path, count=3)}"
    load(spec)
    path = tmp_path / "metadata.jsonl"
    path.write_text(path.read_text().replace("[5, 6]", "[7, 6]", 1))
    assert load(spec)[0]["fixations"][0] == [7, 6]
    osie = f"osie:{write_osie(tmp_path / 'osie', observers=2)}"
    load(osie)
    write_osie(tmp_path / "osie", observers=3)
    assert len(load(osie)[0]["fixations"]) == 6


def test_rows_for_two_sigmas_are_not_mixed_up(tmp_path):
    write_folder(tmp_path, count=1)
    path = tmp_path / "metadata.jsonl"
    for sigma in (2, 8):
        path.write_text(json.dumps({"file_name": "images/000.png", "fixations": [[9, 9]], "sigma": sigma}))
        [row] = load(str(tmp_path))
        assert row["sigma"] == sigma
        grey = np.asarray(row["saliency_map"])
        assert grey[9, 9 + sigma] == round(255 * np.exp(-0.5))


def test_rows_of_a_relative_path_are_read_in_any_folder(tmp_path, monkeypatch):
    write_folder(tmp_path / "set", count=2)
    monkeypatch.chdir(tmp_path)
    rows = load("folder:set")
    monkeypatch.chdir("/")
    assert rows[1]["image"].size == (64, 48)


# --- streaming


def test_streamed_rows_are_the_same_rows(tmp_path):
    spec = f"osie:{write_osie(tmp_path)}"
    stream = load(spec, streaming=True)
    assert stream.features == FEATURES
    for ours, theirs in zip(stream, load(spec), strict=True):
        assert np.array_equal(ours.pop("saliency_map"), theirs.pop("saliency_map"))
        assert ours == theirs


def test_a_stream_opens_images_when_it_comes_to_them_and_names_bad_ones(tmp_path):
    spec = f"salicon:{write_salicon(tmp_path)}"
    stream = iter(load(spec, streaming=True))
    assert next(stream)["image_id"] == f"{STEM}0"
    (tmp_path / f"images/train/{STEM}5.jpg").write_bytes(b"")
    with warnings_seen() as seen:
        assert [row["image_id"] for row in stream] == [f"{STEM}{k}" for k in range(1, 5)]
    assert len(seen) == 1 and f"{STEM}5.jpg: image is damaged" in seen[0]


def test_nodes_share_a_stream_without_a_image_twice(tmp_path):
    stream = load(f"salicon:{write_salicon(tmp_path)}", streaming=True)
    assert stream.num_shards == 6
    parts = [[row["image_id"] for row in split_dataset_by_node(stream, rank, 3)] for rank in range(3)]
    assert [len(part) for part in parts] == [2, 2, 2]
    assert len({name for part in parts for name in part}) == 6


def test_a_stream_keeps_the_held_out_part_only(tmp_path):
    spec = f"folder:{write_folder(tmp_path)}"
    names = [row["image_id"] for row in load(spec, held_out=0.5, streaming=True)]
    assert names == load(spec, held_out=0.5)["image_id"]


def test_a_stream_of_nothing_is_an_error(tmp_path):
    (tmp_path / "metadata.jsonl").write_text("{broken")
    with pytest.raises(ValueError, match=r"no usable image found; first problem: .*line 1"):
        load(str(tmp_path), streaming=True)
