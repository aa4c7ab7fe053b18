"""A bucket of S3: shards and files there are those on a disk, byte for byte. The server is moto's, on this machine."""

import fsspec
import pytest
from test_shards import COUNT, SHARD, shards, write_parquet

from modeling_mlnet.scale import BatchPredictor
from modeling_mlnet.scale.collection import parquet_files
from modeling_mlnet.scale.run import predict_collection
from modeling_mlnet.scale.storage import Folder

server = pytest.importorskip("moto.server", reason="moto is not installed: pip install 'moto[s3,server]' s3fs")
s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed: pip install s3fs")


@pytest.fixture
def system(monkeypatch):
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    settings = {"ENDPOINT_URL": f"http://{host}:{port}", "DEFAULT_REGION": "us-east-1"}
    for name, value in {**settings, "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    s3fs.S3FileSystem.clear_instance_cache()
    system = fsspec.filesystem("s3")
    system.makedirs("bucket", exist_ok=True)
    yield system
    system.rm("bucket", recursive=True)  # moto's servers in one process share their buckets
    s3fs.S3FileSystem.clear_instance_cache()
    running.stop()


def test_a_bucket_gets_the_same_bytes_and_a_damaged_shard_is_made_again(system, small_checkpoint, tmp_path):
    data = write_parquet(tmp_path / "in")
    for path in data.iterdir():
        system.put_file(str(path), f"bucket/in/{path.name}")
    predictor = BatchPredictor(str(small_checkpoint))
    predict_collection(parquet_files(str(data)), str(tmp_path / "out"), predictor, rows_per_shard=SHARD)
    collection, output = parquet_files("s3://bucket/in"), "s3://bucket/out.parquet"
    report = predict_collection(collection, output, predictor, rows_per_shard=SHARD)
    assert report.shards == {"written": 5} and report.rows == COUNT
    for path in shards(tmp_path / "out"):
        assert system.cat_file(f"bucket/out.parquet/{path.name}") == path.read_bytes()
    whole = system.cat_file("bucket/out.parquet/part-00003-of-00005.parquet")
    system.pipe_file("bucket/out.parquet/part-00003-of-00005.parquet", whole[:-1] + b"?")
    system.rm_file("bucket/out.parquet/part-00001-of-00005.parquet")
    report = predict_collection(collection, output, predictor, rows_per_shard=SHARD)
    assert report.shards == {"there": 3, "written": 1, "redone": 1}
    assert system.cat_file("bucket/out.parquet/part-00003-of-00005.parquet") == whole


def test_an_upload_in_parts_appears_at_its_end_or_not_at_all(system):
    folder = Folder("s3://bucket/large")
    with pytest.raises(RuntimeError, match="no"), folder.whole_file("a.bin") as file:
        file.write(bytes(60 * 2**20))
        raise RuntimeError("no")
    assert folder.size("a.bin") is None and folder.names() == []
    with folder.whole_file("a.bin") as file:
        file.write(bytes(60 * 2**20))
        assert not Folder("s3://bucket/large").names()
    assert folder.size("a.bin") == 60 * 2**20


def test_the_command_reads_and_writes_a_bucket(system, mlnet, small_checkpoint, pictures, tmp_path):
    for picture in pictures[:2]:
        system.put_file(str(picture), f"bucket/photos/{picture.name}")
    words = ["--model", small_checkpoint, "--format", "map"]
    assert mlnet("predict", *pictures[:2], "-o", tmp_path / "out", *words).returncode == 0
    ended = mlnet("predict", "s3://bucket/photos", "-o", "s3://bucket/maps", *words)
    assert ended.returncode == 0, ended.stderr
    for path in (tmp_path / "out").iterdir():
        assert system.cat_file(f"bucket/maps/{path.name}") == path.read_bytes()
    assert (
        "2 already there"
        in mlnet("predict", "s3://bucket/photos", "-o", "s3://bucket/maps", *words, "--resume").stderr
    )
