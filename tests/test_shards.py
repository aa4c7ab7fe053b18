"""Collections of images as shards of Parquet: order, resuming, damage, refusals, and what engines and stores do."""

import hashlib
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Features, Image, Value, load_dataset
from layouts import write_image
from test_batches import content

from modeling_mlnet.scale import BatchPredictor
from modeling_mlnet.scale.collection import image_files, parquet_files
from modeling_mlnet.scale.run import predict_collection
from modeling_mlnet.scale.storage import Folder

COUNT, SHARD = 21, 5
BAD = 9  # row whose image cannot be read


def write_parquet(folder: Path, count: int = COUNT, per_file: int = 7) -> Path:
    """Images in files of a few row groups each, as `datasets` writes them; one image is damaged."""
    folder.mkdir(parents=True, exist_ok=True)
    features = Features({"image": Image(), "kind": ClassLabel(names=["odd", "even"]), "id": Value("int64")})
    for number, start in enumerate(range(0, count, per_file)):
        ids = list(range(start, min(start + per_file, count)))
        images = [{"bytes": b"no image" if i == BAD else content(i), "path": f"{i}.png"} for i in ids]
        rows = {"image": images, "kind": [i % 2 for i in ids], "id": ids}
        pq.write_table(pa.table(rows, schema=features.arrow_schema), folder / f"train-{number}.parquet", 3)
    return folder


def state(folder: Path) -> dict[str, str]:
    """Every file, hidden ones too, by the digest of its content."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


@pytest.fixture(scope="module")
def predictor(small_checkpoint) -> BatchPredictor:
    return BatchPredictor(str(small_checkpoint))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_parquet(tmp_path_factory.mktemp("data") / "in")


@pytest.fixture(scope="module")
def whole(data, predictor, tmp_path_factory) -> Path:
    """The output of a run that nothing disturbed."""
    output = tmp_path_factory.mktemp("whole") / "out.parquet"
    report = predict_collection(parquet_files(str(data)), str(output), predictor, rows_per_shard=SHARD)
    assert (report.rows, report.errors, dict(report.shards)) == (COUNT, 1, {"written": 5})
    return output


@pytest.fixture
def again(whole, data, predictor, tmp_path):
    """A copy of the undisturbed output, and what runs over it once more."""
    output = tmp_path / "out.parquet"
    for path in whole.rglob("*"):
        if path.is_file():
            (output / path.relative_to(whole)).parent.mkdir(parents=True, exist_ok=True)
            (output / path.relative_to(whole)).write_bytes(path.read_bytes())

    def run(**options):
        options = {"rows_per_shard": SHARD, "predictor": predictor, **options}
        return predict_collection(options.pop("collection", parquet_files(str(data))), str(output), **options)

    return output, run


def test_every_row_is_there_once_in_order_with_its_map_or_its_reason(whole, predictor):
    assert [path.name for path in shards(whole)] == [f"part-{k:05d}-of-00005.parquet" for k in range(5)]
    assert [pq.read_metadata(path).num_rows for path in shards(whole)] == [5, 5, 5, 5, 1]
    table = pq.read_table(whole)
    assert table.column_names == ["kind", "id", "input_row", *predictor.names]
    assert table["id"].to_pylist() == table["input_row"].to_pylist() == list(range(COUNT))
    for row in table.to_pylist():
        assert (row["saliency_map"] is None) == (row["error"] is not None) == (row["id"] == BAD)
    alone = predictor({"image": [content(COUNT - 1)]})
    assert table["saliency_map"][-1].as_py() == alone["saliency_map"][0]
    assert not (whole / ".mlnet" / "temporary").exists()


def test_datasets_reads_the_folder_with_the_names_of_classes(whole):
    rows = load_dataset(str(whole), split="train")
    assert rows.features["kind"] == ClassLabel(names=["odd", "even"]) and len(rows) == COUNT
    assert rows.cast_column("saliency_map", Image())[0]["saliency_map"].size == (60, 40)


@pytest.mark.parametrize("damage", ["missing", "cut", "changed", "swapped", "no record", "damaged record"])
def test_a_missing_or_damaged_shard_is_made_again_and_the_others_stay(again, whole, damage):
    output, run = again
    first, second = shards(output)[1:3]
    record = output / ".mlnet" / "shards" / f"{second.stem}.json"
    content = second.read_bytes()
    match damage:
        case "missing":
            second.unlink()
        case "cut":
            second.write_bytes(content[:-1])
        case "changed":
            second.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
        case "swapped":
            second.write_bytes(first.read_bytes())
        case "no record":
            record.unlink()
        case _:
            record.write_text("{")
    times = {path: path.stat().st_mtime_ns for path in shards(output) if path != second}
    report = run()
    assert report.shards == {"there": 4, "written" if damage == "missing" else "redone": 1}
    assert state(output) == state(whole)
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_other_inputs_or_options_are_refused_and_change_nothing(again, whole, data, predictor, tmp_path):
    output, run = again
    other = write_parquet(tmp_path / "in", COUNT + 1)
    cases = [
        ({"collection": parquet_files(str(other))}, r"with other inputs \(3 of 21 rows, now 22 rows\)"),
        ({"predictor": BatchPredictor(predictor.model, apply_prior=False)}, "with apply_prior True, not False"),
        ({"predictor": BatchPredictor(predictor.model, outputs=["spots"])}, "with outputs "),
        ({"rows_per_shard": 6}, r"with shard_size \{'rows': 5\}, not \{'rows': 6\}"),
    ]
    for options, message in cases:
        with pytest.raises(ValueError, match=message) as error:
            run(**options)
        assert str(error.value).startswith(str(output)) and "name a new output" in str(error.value)
    assert state(output) == state(whole)


def test_folders_of_others_and_wrong_numbers_are_refused(data, predictor, tmp_path):
    collection = parquet_files(str(data))
    with pytest.raises(ValueError, match="has Parquet files that no run of this command wrote"):
        predict_collection(collection, str(data), predictor)
    with pytest.raises(ValueError, match="rows_per_shard must be at least 1, got 0"):
        predict_collection(collection, str(tmp_path / "a"), predictor, rows_per_shard=0)
    with pytest.raises(ValueError, match="engine must be one of none, torchrun, ray, got 'spark'"):
        predict_collection(collection, str(tmp_path / "a"), predictor, engine="spark")
    with pytest.raises(ValueError, match="start the command with torchrun"):
        predict_collection(collection, str(tmp_path / "a"), predictor, engine="torchrun")
    with pytest.raises(ValueError, match="has a column 'id_error' already"):
        named = pq.read_table(data).rename_columns(["image", "kind", "id_error"])
        pq.write_table(named, tmp_path / "named.parquet")
        columns = BatchPredictor(predictor.model, outputs=["spots"], prefix="id_")
        predict_collection(parquet_files(str(tmp_path / "named.parquet")), str(tmp_path / "a"), columns)
    assert not (tmp_path / "a").exists()


def test_parquet_that_cannot_be_used_is_named(data, tmp_path):
    with pytest.raises(ValueError, match=r"train-0.parquet: no column 'picture' \(--image-column\); it has image"):
        parquet_files(str(data), "picture")
    with pytest.raises(ValueError, match="no Parquet files of the split 'test' there"):
        parquet_files(str(data), split="test")
    with pytest.raises(ValueError, match="no Parquet files there"):
        parquet_files(str(tmp_path))
    broken = write_parquet(tmp_path / "in") / "train-1.parquet"
    broken.write_bytes(broken.read_bytes()[:-3])
    with pytest.raises(ValueError, match=r"train-1.parquet: cannot be read as Parquet"):
        parquet_files(str(tmp_path / "in"))
    pq.write_table(pa.table({"image": [b""]}), broken)
    with pytest.raises(ValueError, match=r"train-1.parquet: its columns \['image'\] or their types differ"):
        parquet_files(str(tmp_path / "in"))


def test_the_size_of_shards_is_estimated_and_the_estimate_kept(data, predictor, tmp_path):
    output = tmp_path / "out.parquet"
    report = predict_collection(parquet_files(str(data)), str(output), predictor, shard_bytes=20_000)
    assert report.shards["written"] > 1
    sizes = [path.stat().st_size for path in shards(output)]
    assert max(sizes) < 40_000
    report = predict_collection(parquet_files(str(data)), str(output), predictor, shard_bytes=20_000)
    assert report.shards == {"there": len(sizes)}


def test_a_shard_that_fails_is_told_and_the_others_are_written(data, predictor, tmp_path):
    inputs = write_parquet(tmp_path / "in")
    collection = parquet_files(str(inputs))
    before = (inputs / "train-2.parquet").read_bytes()
    pq.write_table(pq.read_table(inputs / "train-2.parquet").slice(0, 2), inputs / "train-2.parquet")
    report = predict_collection(collection, str(tmp_path / "out"), predictor, rows_per_shard=7)
    assert report.shards == {"written": 2, "failed": 1}
    assert "part-00002-of-00003.parquet" in report.problems[0] and "it changed" in report.problems[0]
    (inputs / "train-2.parquet").write_bytes(before)
    report = predict_collection(collection, str(tmp_path / "out"), predictor, rows_per_shard=7)
    assert report.shards == {"written": 1, "there": 2} and report.rows == COUNT


def test_a_bucket_gets_the_same_bytes(whole, data, predictor):
    system = fsspec.filesystem("memory")
    for path in data.iterdir():
        system.pipe_file(f"/bucket/in/{path.name}", path.read_bytes())
    collection = parquet_files("memory://bucket/in/*.parquet")
    output = "memory://bucket/out.parquet"
    assert predict_collection(collection, output, predictor, rows_per_shard=SHARD).shards == {"written": 5}
    for path in shards(whole):
        assert system.cat_file(f"/bucket/out.parquet/{path.name}") == path.read_bytes()
    system.pipe_file("/bucket/out.parquet/part-00003-of-00005.parquet", b"PAR1")
    assert predict_collection(collection, output, predictor, rows_per_shard=SHARD).shards == {"there": 4, "redone": 1}
    system.rm("/bucket", recursive=True)


def test_an_upload_that_fails_leaves_nothing(predictor):
    folder = Folder("memory://half")
    with pytest.raises(RuntimeError, match="no"), folder.whole_file("a.parquet") as file:
        file.write(b"half")
        raise RuntimeError("no")
    assert folder.size("a.parquet") is None


def test_processes_of_torchrun_share_the_shards(whole, data, predictor, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, count in (("1", 2), ("0", 3)):
        monkeypatch.setenv("RANK", rank)
        report = predict_collection(parquet_files(str(data)), str(tmp_path / "out"), predictor, rows_per_shard=SHARD)
        assert report.shards == {"written": count}
    assert state(tmp_path / "out") == state(whole)


def test_image_files_become_rows_with_their_paths(predictor, tmp_path):
    paths = [write_image(tmp_path / f"{k}.png") for k in range(3)]
    system = fsspec.filesystem("memory")
    system.pipe_file("/images/3.png", paths[0].read_bytes())
    names = [*map(str, paths), "memory://images/3.png", "memory://images/4.png"]
    predict = BatchPredictor(predictor.model, "path", allow_urls=True)
    predict_collection(image_files(names), str(tmp_path / "out"), predict, rows_per_shard=2)
    table = pq.read_table(tmp_path / "out")
    assert table["path"].to_pylist() == names
    assert table["error"].to_pylist() == [None] * 4 + ["memory://images/4.png: no such file"]
    assert table["saliency_map"][3] == table["saliency_map"][0]
    system.rm("/images", recursive=True)


def test_the_command_writes_data_sets_and_goes_on(mlnet, data, predictor, tmp_path):
    words = ["predict", "--dataset", data, "-o", tmp_path / "out.parquet", "--model", predictor.model]
    words += ["--shard-rows", "8", "--columns", "saliency_map, spots", "--prefix", "my_"]
    ended = mlnet(*words)
    assert ended.returncode == 1 and "3 shards written" in ended.stderr, ended.stderr
    assert "1 of their 21 rows have an error" in ended.stderr
    shards(tmp_path / "out.parquet")[0].unlink()
    ended = mlnet(*words)
    assert "1 shards written" in ended.stderr and "2 already there" in ended.stderr
    names = pq.read_table(tmp_path / "out.parquet").column_names
    assert names == ["kind", "id", "input_row", "my_saliency_map", "my_spots", "my_error"]
    boxes = [
        "-o",
        tmp_path / "boxes.parquet",
        "--columns",
        "regions",
        "--box",
        "sky:0,0,30,10",
        "--box",
        "left:0,0,9,20",
    ]
    assert mlnet(*words[:3], *boxes, "--model", predictor.model).returncode == 1
    regions = next(row for row in pq.read_table(tmp_path / "boxes.parquet")["regions"].to_pylist() if row)
    assert [(box["name"], box["width"], box["height"]) for box in regions] == [("sky", 30, 10), ("left", 9, 20)]
    wrong = [
        (["--box", "sky:0,0,30"], "0,0,30"),
        (["--format", "overlay"], "a column of Parquet holds one of map, npy"),
        (["--no-prior"], "was begun with apply_prior True, not False"),
        (["--colorbar"], "Parquet shards have none; leave it out"),
        (["photo.jpg"], "give either PATH... or --dataset"),
        (["--columns", "maps"], "outputs must be of"),
    ]
    for more, message in wrong:
        ended = mlnet(*words, *more)
        assert ended.returncode == 2 and message in " ".join(ended.stderr.replace("│", "").split()), ended.stderr


def test_the_command_reads_and_writes_uris(mlnet, predictor, pictures, tmp_path):
    system = fsspec.filesystem("memory")
    for picture in pictures[:2]:
        system.pipe_file(f"/photos/below/{picture.name}", picture.read_bytes())
    system.pipe_file("/photos/notes.txt", b"")
    model = ["--model", predictor.model, "--format", "map,npy"]
    assert mlnet("predict", *pictures[:2], "-o", tmp_path / "out", *model).returncode == 0
    remote = ["predict", "memory://photos", "-o", "memory://photos/maps", *model]
    ended = mlnet(*remote)
    assert ended.returncode == 0 and "left out: 1 of the kind .txt" in ended.stderr, ended.stderr
    for path in (tmp_path / "out").iterdir():
        assert system.cat_file(f"/photos/maps/below/{path.name}") == path.read_bytes()
    here = (tmp_path / "new").as_uri()
    assert mlnet("predict", pictures[0], "-o", here, *model).returncode == 0
    assert len(list((tmp_path / "new").iterdir())) == 2
    ended = mlnet(*remote, "--resume")
    assert "2 already there" in ended.stderr, ended.stderr
    ended = mlnet("predict", "memory://nowhere/a.png", "-o", tmp_path / "out", *model)
    assert ended.returncode == 2 and "memory://nowhere/a.png: no such file" in ended.stderr
    ended = mlnet("predict", "nosuch://nowhere/a.png", "-o", tmp_path / "out", *model)
    assert ended.returncode == 2 and "nosuch" in ended.stderr
    system.rm("/photos", recursive=True)
