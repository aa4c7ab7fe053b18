"""Batches of images, by the engines that call a function on them."""

import io
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from datasets import Dataset, Features, Image, IterableDataset, Value
from PIL import Image as PILImage

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.analysis import find_spots, measure_regions, ninths, predict_tiled
from modeling_mlnet.images_mlnet import read_image
from modeling_mlnet.io.overlay import grey_image
from modeling_mlnet.scale import BatchPredictor

COLUMNS = ["saliency_map", "spots", "effective_area", "regions", "error"]


def content(seed: int, size: tuple[int, int] = (60, 40), kind: str = "PNG") -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    file = io.BytesIO()
    PILImage.fromarray(coarse).resize(size, PILImage.Resampling.BICUBIC).save(file, kind)
    return file.getvalue()


def map_values(png: bytes) -> np.ndarray:
    return np.asarray(PILImage.open(io.BytesIO(png)))


@pytest.fixture(scope="module")
def predict(small_checkpoint) -> BatchPredictor:
    return BatchPredictor(str(small_checkpoint))


@pytest.fixture(scope="module")
def expected(predict, small_checkpoint) -> dict:
    """Of eight rows, the fourth of them no image."""
    images = [content(seed) for seed in range(8)]
    images[3] = b"no image"
    return predict({"image": [{"bytes": image, "path": None} for image in images]})


def test_every_kind_of_image_gives_the_same_row(predict, tmp_path):
    png = content(0)
    (tmp_path / "a.png").write_bytes(png)
    array = read_image(png)
    kinds = [png, {"bytes": png, "path": None}, {"bytes": None, "path": str(tmp_path / "a.png")}]
    kinds += [str(tmp_path / "a.png"), array, PILImage.fromarray(array), array.tolist()]
    rows = predict({"image": kinds})
    for name in COLUMNS:
        assert all(value == rows[name][0] for value in rows[name]), name
    assert rows["error"] == [None] * len(kinds)


def test_the_values_are_those_of_the_other_roads(predict, small_checkpoint):
    predictor = SaliencyPredictor(str(small_checkpoint), dtype="float32")
    images = [read_image(content(0)), read_image(content(1, size=(400, 90)))]
    rows = predict({"image": images})
    for number, image in enumerate(images):
        saliency_map = predict_tiled(predictor, image)
        assert np.array_equal(map_values(rows["saliency_map"][number]), np.asarray(grey_image(saliency_map)))
        spots, size = find_spots(saliency_map), (image.shape[1], image.shape[0])
        assert [spot["x"] for spot in rows["spots"][number]] == pytest.approx([spot.x for spot in spots], abs=1e-6)
        regions = measure_regions(saliency_map, ninths(size))
        assert [region["share"] for region in rows["regions"][number]] == pytest.approx(
            [region.share for region in regions], abs=1e-6
        )


def test_bad_rows_have_their_error_in_one_line_and_stop_nothing(predict):
    bad = [b"no image", b"", None, float("nan"), 3, {"path": "missing.png"}, {"x": 1}, "missing.png", [[1], [2, 3]]]
    bad += [content(0, kind="JPEG")[:200], np.zeros((0, 3)), np.full((4, 4), np.nan), "s3://bucket/image.png"]
    rows = predict({"image": [content(0), *bad, content(1)], "id": range(len(bad) + 2)})
    assert rows["error"][0] is None and rows["error"][-1] is None and list(rows["id"]) == list(range(len(bad) + 2))
    for value, error in zip(bad, rows["error"][1:-1], strict=True):
        assert error and "\n" not in error, value
    for name in COLUMNS[:-1]:
        assert rows[name][0] is not None and rows[name][-1] is not None
        assert rows[name][1:-1] == [None] * len(bad), name


def test_a_row_depends_on_its_image_only(predict, expected):
    alone = predict({"image": expected["image"][5:6]})
    for name in COLUMNS:
        assert alone[name] == expected[name][5:6], name


def test_an_instance_is_small_when_pickled_and_works_after_it(predict, expected):
    text = pickle.dumps(predict)
    assert len(text) < 2000
    assert pickle.loads(text)({"image": expected["image"][:1]})["spots"] == expected["spots"][:1]


def test_a_table_gives_a_table_of_the_stated_types(predict, expected):
    table = predict(pa.table({"image": expected["image"], "id": range(8)}))
    assert table.schema.names == ["image", "id", *COLUMNS]
    assert [table.schema.field(name).type for name in COLUMNS] == predict.schema.types
    for name in COLUMNS:
        assert table[name].to_pylist() == expected[name], name
    nothing = predict(pa.table({"image": [b"no image"]}))
    assert nothing.schema == pa.schema([("image", pa.binary()), *predict.schema])


def test_float16_maps_are_arrays_and_nested_lists_in_arrow(small_checkpoint):
    predict = BatchPredictor(str(small_checkpoint), outputs=["saliency_map"], map_format="float16")
    images = [content(0), b"no image", content(1, size=(30, 50))]
    rows = predict({"image": images})
    assert [None if one is None else (one.dtype.name, one.shape) for one in rows["saliency_map"]] == [
        ("float16", (40, 60)),
        None,
        ("float16", (50, 30)),
    ]
    nested = predict(pa.table({"image": images}))["saliency_map"].to_pylist()
    assert nested[1] is None
    for number in (0, 2):
        assert np.array_equal(np.array(nested[number], np.float16), rows["saliency_map"][number])


def test_boxes_prefix_and_outputs_are_chosen(small_checkpoint):
    predict = BatchPredictor(str(small_checkpoint), "picture", ["regions"], prefix="a_", boxes=["logo:0,0,30,20"])
    rows = predict({"picture": [content(0), content(0, size=(20, 10))]})
    assert list(rows) == ["picture", "a_regions", "a_error"]
    assert [region["name"] for region in rows["a_regions"][0]] == ["logo"] and rows["a_error"][0] is None
    assert rows["a_regions"][1] == [] and "logo" in rows["a_error"][1]  # it reaches beyond the image


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"outputs": ["maps"]}, "outputs must be of saliency_map, spots, effective_area, regions, got maps"),
        ({"outputs": []}, "outputs must be of .*, got none"),
        ({"map_format": "jpg"}, "map_format must be one of png, float16, got 'jpg'"),
        ({"tiles": "big"}, "tiles must be auto, off or WIDTHxHEIGHT"),
        ({"boxes": ["logo"]}, "logo"),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchPredictor(**arguments)


def test_wrong_columns_and_models_are_errors_of_the_batch(predict):
    with pytest.raises(ValueError, match=r"no column 'image'; the batch has picture, id"):
        predict({"picture": [content(0)], "id": [1]})
    with pytest.raises(ValueError, match=r"has a column 'spots' already; rename it or give a prefix"):
        predict({"image": [content(0)], "spots": [1]})
    with pytest.raises(ValueError, match="no/such/model"):
        BatchPredictor("./no/such/model")({"image": [content(0)]})


def data_set(images: list[dict], decode: bool) -> Dataset:
    rows = {"image": images, "id": list(range(len(images)))}
    return Dataset.from_dict(rows, Features({"image": Image(decode=decode), "id": Value("int64")}))


@pytest.mark.parametrize("decode", [True, False])
def test_datasets_map_adds_the_columns_and_leaves_the_images_as_they_are(predict, expected, decode):
    data = data_set(expected["image"], decode)
    features = Features({**data.features, **predict.features})
    mapped = data.map(predict, batched=True, batch_size=3, features=features)
    assert mapped.features == features
    rows = mapped.cast_column("image", Image(decode=False))
    assert list(rows["image"]) == expected["image"]
    for name in COLUMNS:
        assert list(rows[name]) == expected[name], name
    shown = mapped.cast_column("saliency_map", Image())[0]["saliency_map"]
    assert np.array_equal(np.asarray(shown), map_values(expected["saliency_map"][0]))


def test_streaming_map_adds_the_columns(predict, expected):
    data: IterableDataset = data_set(expected["image"], False).to_iterable_dataset(num_shards=2)
    rows = list(
        data.map(predict, batched=True, batch_size=3, features=Features({**data.features, **predict.features}))
    )
    assert [row["id"] for row in rows] == list(range(8))
    for name in COLUMNS:
        assert [row[name] for row in rows] == expected[name], name


def test_pandas_frames_come_out_with_the_columns_as_spark_calls_for(predict, expected):
    frames = [pd.DataFrame({"image": expected["image"][start : start + 3], "id": range(start, min(start + 3, 8))})
              for start in range(0, 8, 3)]  # fmt: skip
    joined = pd.concat(predict.map_frames(iter(frames)))
    assert list(joined.columns) == ["image", "id", *COLUMNS] and list(joined["id"]) == list(range(8))
    table = pa.Table.from_pandas(joined[COLUMNS], predict.schema, preserve_index=False)  # as Spark converts it
    for name in COLUMNS:
        assert table[name].to_pylist() == expected[name], name
