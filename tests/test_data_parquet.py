"""Export to Parquet and back."""

import json
import re
import shutil

import datasets
import numpy as np
import pyarrow.parquet
import pytest
from huggingface_hub import DatasetCard
from layouts import WRITERS, warnings_seen, write_folder, write_osie, write_salicon

from modeling_mlnet.data import CATALOG, FEATURES, export_parquet, has_splits, load, splits_of
from modeling_mlnet.evaluation.evaluate import evaluate


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def assert_same_rows(ours, theirs):
    count = 0
    for item, second in zip(ours, theirs, strict=True):
        for name in ("image", "saliency_map"):
            assert np.array_equal(np.asarray(item[name]), np.asarray(second[name])), item["image_id"]
        for name in ("fixations", "image_id", "observers", "sigma"):
            assert item[name] == second[name]
        count += 1
    assert count > 0


@pytest.fixture(params=sorted(WRITERS))
def spec(request, tmp_path) -> str:
    return f"{request.param}:{WRITERS[request.param](tmp_path / 'set')}"


def test_reading_an_export_back_gives_the_same_rows(spec, tmp_path):
    done = export_parquet(spec, tmp_path / "out")
    assert files(tmp_path / "out") == ["README.md", "data/train-00000-of-00001.parquet"]
    rows = load(spec)
    assert done.rows == {"train": len(rows)} and done.files == 1
    shutil.rmtree(tmp_path / "set")  # nothing of it is needed any more
    back = load(str(tmp_path / "out"))
    assert back.features == FEATURES and len(back) == done.rows["train"]
    assert len(load(str(tmp_path / "out"), "train")) == len(back)


def test_images_maps_and_points_come_back_as_they_were(spec, tmp_path):
    export_parquet(spec, tmp_path / "out")
    assert_same_rows(load(str(tmp_path / "out")), load(spec))
    assert_same_rows(load(str(tmp_path / "out"), streaming=True), load(spec))
    assert_same_rows(datasets.load_dataset(str(tmp_path / "out"), split="train"), load(spec))


def test_annotations_alone_come_back_with_the_images_of_their_folder(spec, tmp_path):
    done = export_parquet(spec, tmp_path / "out", annotations_only=True)
    assert done.warning is None
    table = pyarrow.parquet.read_table(tmp_path / "out" / "data" / "train-00000-of-00001.parquet")
    assert "image" not in table.column_names and (tmp_path / "set" / table["file_name"][0].as_py()).is_file()
    for streaming in (False, True):
        back = load(str(tmp_path / "out"), images=tmp_path / "set", streaming=streaming)
        assert back.features == FEATURES
        assert_same_rows(back, load(spec))


def test_annotations_alone_find_images_that_are_put_beside_them(tmp_path):
    spec = f"osie:{write_osie(tmp_path / 'set')}"
    export_parquet(spec, tmp_path / "out", annotations_only=True)
    (tmp_path / "out" / "stimuli").symlink_to(tmp_path / "set" / "stimuli")
    assert_same_rows(load(str(tmp_path / "out")), load(spec))


def test_annotations_alone_say_which_images_they_miss(tmp_path):
    export_parquet(f"osie:{write_osie(tmp_path / 'set')}", tmp_path / "out", annotations_only=True)
    with pytest.raises(
        ValueError, match=r"no usable image found; first problem: .*stimuli/1001.jpg: image is missing"
    ):
        load(str(tmp_path / "out"))
    (tmp_path / "set" / "stimuli" / "1002.jpg").unlink()
    for streaming in (False, True):
        with warnings_seen() as seen:
            rows = load(str(tmp_path / "out"), images=tmp_path / "set", streaming=streaming)
            assert [row["image_id"] for row in rows] == ["1001", "1003"]
        assert seen == [f"{tmp_path}/set/stimuli/1002.jpg: image is missing"]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("annotations_only", [False, True])
def test_the_held_out_part_is_that_of_the_folder(tmp_path, streaming, annotations_only):
    spec = f"folder:{write_folder(tmp_path / 'set')}"
    export_parquet(spec, tmp_path / "out", annotations_only=annotations_only)
    images = tmp_path / "set" if annotations_only else None
    back = load(str(tmp_path / "out"), held_out=0.5, images=images, streaming=streaming)
    assert_same_rows(back, load(spec, held_out=0.5))


def test_splits_that_are_there_are_exported_and_found_again(tmp_path):
    for split, count in {"train": 3, "val": 2, "test": 2}.items():
        write_salicon(tmp_path / "set", count, split)
    spec = f"salicon:{tmp_path / 'set'}"
    done = export_parquet(spec, tmp_path / "out")
    assert done.rows == {"train": 3, "validation": 2}
    assert sorted(splits_of(str(tmp_path / "out"))) == ["train", "validation"] and has_splits(str(tmp_path / "out"))
    assert_same_rows(load(str(tmp_path / "out"), "validation"), load(spec, "validation"))
    with pytest.raises(ValueError, match=r"has the splits \['train', 'validation'\], got 'test'"):
        load(str(tmp_path / "out"), "test")
    assert sorted(datasets.load_dataset(str(tmp_path / "out"))) == ["train", "validation"]


def test_a_split_that_is_not_there_is_named_and_one_split_may_be_asked_for(tmp_path):
    spec = f"salicon:{write_salicon(tmp_path / 'set', split='val')}"
    with warnings_seen() as seen:
        assert export_parquet(spec, tmp_path / "out").rows == {"validation": 6}
    assert len(seen) == 1 and seen[0].startswith("train is left out: ")
    assert not has_splits(str(tmp_path / "out")) and len(load(str(tmp_path / "out"))) == 6
    with pytest.raises(ValueError, match="images/train: no such folder"):
        export_parquet(spec, tmp_path / "other", "train")
    with pytest.raises(ValueError, match="no ground truth"):
        export_parquet(f"salicon:{write_salicon(tmp_path / 'set', split='test')}", tmp_path / "other", "test")
    assert not (tmp_path / "other").exists()


def test_large_sets_are_cut_into_shards_of_about_the_same_size(tmp_path):
    spec = f"folder:{write_folder(tmp_path / 'set')}"
    done = export_parquet(spec, tmp_path / "out", shard_size=30_000)
    names = files(tmp_path / "out" / "data")
    assert len(names) == done.files > 2
    assert names[1] == f"train-00001-of-{done.files:05d}.parquet"
    sizes = [(tmp_path / "out" / "data" / name).stat().st_size for name in names]
    assert max(sizes) < 50_000
    assert_same_rows(load(str(tmp_path / "out")), load(spec))
    assert load(str(tmp_path / "out"), streaming=True).num_shards == done.files


def test_an_export_scores_as_its_folder_does(tmp_path):
    spec = f"folder:{write_folder(tmp_path / 'set')}"
    export_parquet(spec, tmp_path / "out")
    ours, theirs = (evaluate(load(item), "centre")["metrics"] for item in (str(tmp_path / "out"), spec))
    assert ours["CC"]["mean"] == theirs["CC"]["mean"] and ours["NSS"]["mean"] == theirs["NSS"]["mean"]


def test_a_folder_for_images_is_refused_where_they_are_known(tmp_path):
    with pytest.raises(ValueError, match="brings its images"):
        load(f"osie:{write_osie(tmp_path)}", images=tmp_path)


# --- whole or not at all


def test_a_folder_that_holds_something_is_refused(tmp_path):
    spec = f"osie:{write_osie(tmp_path / 'set')}"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("all of it")
    with pytest.raises(ValueError, match="already exists; name a folder that is new or empty"):
        export_parquet(spec, tmp_path / "out")
    assert files(tmp_path / "out") == ["thesis.tex"]
    (tmp_path / "empty").mkdir()
    export_parquet(spec, tmp_path / "empty")
    assert "README.md" in files(tmp_path / "empty")


def test_a_failure_leaves_nothing_behind(tmp_path):
    write_osie(tmp_path / "set")

    def fail(iterable, description):
        yield from iterable
        if description.startswith("writing"):
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        export_parquet(f"osie:{tmp_path / 'set'}", tmp_path / "deep" / "out", progress=fail)
    assert list((tmp_path / "deep").iterdir()) == []


# --- the card


@pytest.mark.parametrize(
    ("name", "annotations_only", "licence", "is_private"),
    [
        ("salicon", False, "other", True),
        ("salicon", True, "cc-by-4.0", False),
        ("osie", False, "mit", False),
        ("mit1003", False, "other", True),
        ("folder", False, "unknown", False),
    ],
)
def test_the_card_states_terms_source_and_counts(tmp_path, name, annotations_only, licence, is_private):
    spec = f"{name}:{WRITERS[name](tmp_path / 'set')}"
    done = export_parquet(spec, tmp_path / "out", annotations_only=annotations_only)
    assert (done.warning is not None) == is_private
    card = DatasetCard.load(tmp_path / "out" / "README.md")
    assert card.data.license == licence
    assert f"| train | {done.rows['train']} |" in card.text
    assert ("may not be given to others" in card.text) == is_private
    if name in CATALOG:
        assert CATALOG[name].citation in card.text and CATALOG[name].photos in card.text
    columns = pyarrow.parquet.read_schema(next((tmp_path / "out" / "data").iterdir())).names
    assert all(f"| `{column}` |" in card.text for column in columns)


# --- what is no export


def test_a_missing_or_damaged_shard_is_named(tmp_path):
    spec = f"folder:{write_folder(tmp_path / 'set')}"
    export_parquet(spec, tmp_path / "out", shard_size=40_000)
    shard = sorted((tmp_path / "out" / "data").iterdir())[1]
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=rf"{shard}: is damaged"):
        load(str(tmp_path / "out"))
    shard.unlink()
    with pytest.raises(ValueError, match=rf"{shard}: is missing; train has \d+ files"):
        load(str(tmp_path / "out"))


def test_a_changed_export_is_not_served_from_the_cache(tmp_path):
    for k, count in enumerate((3, 2)):
        export_parquet(f"osie:{write_osie(tmp_path / f'set{k}', count=count)}", tmp_path / f"out{k}")
    assert len(load(str(tmp_path / "out0"))) == 3
    shutil.rmtree(tmp_path / "out0")
    (tmp_path / "out1").rename(tmp_path / "out0")
    assert len(load(str(tmp_path / "out0"))) == 2


def test_other_tables_are_refused_with_the_column_they_miss(tmp_path):
    path = tmp_path / "train-00000-of-00001.parquet"
    datasets.Dataset.from_dict({"image": [b"x"], "label": [1]}).to_parquet(path)
    with pytest.raises(
        ValueError, match=r"has no column 'fixations' \(or 'saliency_map'\); its columns are \['image', 'label'\]"
    ):
        load(str(tmp_path))
    columns = {name: ["text"] for name in FEATURES}
    datasets.Dataset.from_dict(columns).to_parquet(path)
    with pytest.raises(ValueError, match="no usable image found; first problem: "):
        load(str(tmp_path))


def test_a_list_of_images_counts_before_parquet_files(tmp_path):
    export_parquet(f"osie:{write_osie(tmp_path / 'set')}", tmp_path / "out")
    write_folder(tmp_path / "out", count=2)
    assert load(str(tmp_path / "out"))["image_id"] == ["images/000", "images/001"]
    assert json.loads((tmp_path / "out" / "metadata.jsonl").read_text().splitlines()[0])


@pytest.mark.parametrize("name", ["osie[1]", "osie*", "what?"])
def test_a_folder_s_name_is_no_pattern(tmp_path, name):
    export_parquet(f"osie:{write_osie(tmp_path / 'set', 3)}", tmp_path / "osie1")
    export_parquet(f"osie:{write_osie(tmp_path / 'other', 2)}", tmp_path / name)
    assert len(load(str(tmp_path / name))) == len(list(load(str(tmp_path / name), streaming=True))) == 2


def test_shards_that_do_not_go_together_are_told_in_one_line(tmp_path):
    export_parquet(f"osie:{write_osie(tmp_path / 'set', 4)}", tmp_path / "out", shard_size=1)
    path = sorted((tmp_path / "out" / "data").iterdir())[1]
    table = pyarrow.parquet.read_table(path)
    pyarrow.parquet.write_table(table.rename_columns(["other", *table.column_names[1:]]), path)
    with pytest.raises(
        ValueError, match=rf"^{re.escape(str(path.parent))}: its files cannot be read together: "
    ) as caught:
        load(str(tmp_path / "out"))
    assert "\n" not in str(caught.value)


def test_a_shard_whose_middle_is_damaged_is_named(tmp_path):
    export_parquet(f"osie:{write_osie(tmp_path / 'set')}", tmp_path / "out")
    path = tmp_path / "out" / "data" / "train-00000-of-00001.parquet"
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 2] = bytes(len(data) // 2 - 4)
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: is damaged: "):
        load(str(tmp_path / "out"))
