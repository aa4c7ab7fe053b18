"""Spark calls batches by `mapInPandas`, as docs/large_collections.md shows. Needs the extra `spark`, and Java."""

import shutil
import sys

import pytest
from test_batches import content

from modeling_mlnet.scale import BatchPredictor

pyspark = pytest.importorskip("pyspark", reason="Spark is not installed: pip install 'mlnet-saliency[spark]'")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java", allow_module_level=True)


@pytest.fixture(scope="module")
def spark():
    builder = pyspark.sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", "2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        session = builder.getOrCreate()
        yield session
        session.stop()


def test_a_folder_of_files_becomes_parquet_with_the_rows_of_a_call(spark, small_checkpoint, tmp_path):
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import StructType

    contents = [content(seed) for seed in range(5)]
    contents[3] = b"no image"
    (tmp_path / "images").mkdir()
    for number, data in enumerate(contents):
        (tmp_path / "images" / f"{number}.png").write_bytes(data)
    predict = BatchPredictor(str(small_checkpoint), image_column="content")
    images = spark.read.format("binaryFile").load(str(tmp_path / "images")).select("path", "content")
    schema = StructType([*images.schema, *from_arrow_schema(predict.schema)])
    images.mapInPandas(predict.map_frames, schema).drop("content").write.parquet(str(tmp_path / "maps"))

    expected = predict({"content": contents})
    rows = spark.read.parquet(str(tmp_path / "maps")).orderBy("path").collect()
    assert len(rows) == len(contents)
    for number, row in enumerate(rows):
        values = row.asDict(recursive=True)
        assert values["path"].endswith(f"/{number}.png")
        for name in predict.names:
            found = bytes(values[name]) if isinstance(values[name], bytearray) else values[name]
            assert found == expected[name][number], name
