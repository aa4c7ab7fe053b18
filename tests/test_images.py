"""Images of every kind, and what of a file may be damaged."""

import base64
import io
import struct
import sys
import warnings
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from datasets import Image as ImageColumn
from layouts import write_folder
from PIL import Image
from transformers import pipeline
from web_site import serve

import modeling_mlnet  # noqa: F401 - registers the pipeline
from modeling_mlnet import MLNetImageProcessor
from modeling_mlnet.data import load
from modeling_mlnet.images_mlnet import ImageWarning, is_image, name_of, open_image, read_grey, read_image

COFFEE = Path(__file__).parent / "fixtures" / "images" / "coffee.jpg"
WRONG_UNITS = "expected values in 0..1 or 0..255"


@pytest.fixture(scope="module")
def coffee() -> np.ndarray:
    return np.asarray(Image.open(COFFEE).convert("RGB"))


def chunk(kind: bytes, content: bytes, damage: int = 0) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content) ^ damage)


def png(values: np.ndarray, *extra: bytes) -> bytes:
    """A PNG file of 8 or 16 bits as the standard has it (W3C, 2003), with further chunks before the pixels."""
    height, width, channels = values.shape
    color = {1: 0, 3: 2, 4: 6}[channels]
    rows = values.astype(values.dtype.newbyteorder(">"))
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", width, height, 8 * values.itemsize, color, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def kinds(path: Path) -> dict:
    """One image in every way that a user may give it."""
    content = path.read_bytes()
    text = base64.b64encode(content).decode()
    array = np.asarray(Image.open(path).convert("RGB"))
    written = io.BytesIO()
    written.write(content)  # and not rewound
    return {
        "path": path,
        "string": str(path),
        "bytes": content,
        "bytearray": bytearray(content),
        "memoryview": memoryview(content),
        "BytesIO": io.BytesIO(content),
        "BytesIO at its end": written,
        "base64": text,
        "base64 in lines": base64.encodebytes(content).decode(),
        "data URL": f"data:image/jpeg;base64,{text}",
        "bytes of datasets": {"bytes": content, "path": None},
        "path of datasets": {"bytes": None, "path": str(path)},
        "PIL": Image.open(path),
        "array": array,
        "channels first": np.ascontiguousarray(array.transpose(2, 0, 1)),
        "tensor": torch.from_numpy(array.transpose(2, 0, 1).copy()),
        "bfloat16": torch.from_numpy(array.transpose(2, 0, 1) / 255).to(torch.bfloat16),
    }


@pytest.mark.parametrize("kind", kinds(COFFEE))
def test_one_image_is_the_same_in_every_way_it_is_given(coffee, kind):
    result = read_image(kinds(COFFEE)[kind])
    assert result.dtype == np.uint8 and result.shape == coffee.shape
    assert np.abs(result.astype(int) - coffee).max() <= (1 if kind == "bfloat16" else 0)


def test_predictor_pipeline_and_processor_take_the_same_kinds(small_checkpoint, small_predictor):
    saliency = pipeline("saliency-prediction", model=str(small_checkpoint), device="cpu")
    image_processor = MLNetImageProcessor.from_pretrained(small_checkpoint)
    expected = {}
    for kind, image in kinds(COFFEE).items():
        assert is_image(image), kind
        if kind == "bfloat16":
            continue  # rounded
        result = {"predictor": small_predictor(image), "pipeline": saliency(image)["saliency_map"].numpy()}
        result["processor"] = image_processor(image, return_tensors="np")["pixel_values"]
        for name, values in result.items():
            np.testing.assert_allclose(values, expected.setdefault(name, values), atol=1e-5, err_msg=f"{name}, {kind}")


def test_columns_series_and_generators_are_several_images(small_predictor, pictures):
    paths = [str(path) for path in pictures]
    rows = Dataset.from_dict({"image": paths}).cast_column("image", ImageColumn())
    expected = small_predictor(paths)
    undecoded = rows.cast_column("image", ImageColumn(decode=False))["image"]
    for images in (rows["image"], undecoded, np.array(paths), iter(paths), tuple(paths)):
        assert not is_image(images)
        for result, wanted in zip(small_predictor(images), expected, strict=True):
            np.testing.assert_allclose(result, wanted, atol=1e-5)


@pytest.mark.parametrize(
    "item",
    [
        base64.b64encode(bytes(200_000)).decode(),
        "data:image/png;base64," + base64.b64encode(bytes(200_000)).decode(),
        "x" * 200_000,
        bytes(200_000),
        {"image": "x" * 200_000, "y" * 1000: 1},
        np.zeros(200_000),
        list("x" * 200_000),
        "https://example.org/" + "x" * 2000,
        io.StringIO("x" * 200_000),
    ],
    ids=lambda item: type(item).__name__,
)
def test_a_message_does_not_quote_a_whole_value(small_checkpoint, small_predictor, item):
    for call in (read_image, small_predictor, MLNetImageProcessor.from_pretrained(small_checkpoint)):
        with pytest.raises(ValueError) as caught:
            call(item)
        assert len(str(caught.value)) < 300


def test_addresses_are_fetched_only_when_asked_for(coffee, tmp_path):
    with serve(COFFEE.parent) as address:
        with pytest.raises(ValueError, match=r"coffee\.jpg: .* fetched only when asked for \(allow_urls=True\)"):
            read_image(f"{address}coffee.jpg")
        np.testing.assert_array_equal(read_image(f"{address}coffee.jpg", allow_urls=True), coffee)
        with pytest.raises(ValueError, match=r"none\.jpg: cannot be read as an image: HTTP Error 404"):
            read_image(f"{address}none.jpg", allow_urls=True)


def test_a_name_is_whole_where_it_is_one(tmp_path):
    path = tmp_path / ("a" * 100 + ".jpg")
    path.write_bytes(COFFEE.read_bytes())
    assert name_of(str(path)) == str(path) and name_of(path) == str(path)
    assert name_of("b" * 99 + ".jpg").startswith("bbb") and name_of("b" * 99 + ".jpg").endswith(
        "...bbbbbbbbbbbbbb.jpg"
    )


@pytest.mark.parametrize("factor", [1.0000001, 1.004, 1.1])
def test_floats_slightly_above_1_are_fractions(coffee, factor):
    expected = np.rint(np.minimum(coffee / 255 * factor, 1) * 255).astype(np.uint8)
    np.testing.assert_array_equal(read_image(coffee / 255 * factor), expected)
    np.testing.assert_array_equal(read_image(torch.from_numpy(coffee / 255 * factor).permute(2, 0, 1)), expected)


def test_cubic_resizing_keeps_the_units(coffee):
    fractions = torch.from_numpy(coffee / 255).permute(2, 0, 1)[None]
    larger = torch.nn.functional.interpolate(fractions, scale_factor=2, mode="bicubic")[0]
    assert larger.max() > 1 and larger.min() < 0
    wanted = np.rint(larger.clamp(0, 1).permute(1, 2, 0).numpy() * 255)
    for values in (larger, larger * 255):
        np.testing.assert_array_equal(read_image(values), wanted)


@pytest.mark.parametrize(
    ("scale", "offset", "bounds"), [(2, 0, "0 to 2"), (10, 0, "0 to 10"), (2, -1, "-1 to 1"), (300, 0, "0 to 300")]
)
def test_units_that_can_be_neither_are_refused_with_both(coffee, scale, offset, bounds):
    with pytest.raises(ValueError, match=f"{WRONG_UNITS}.*, got {bounds}"):
        read_image(coffee / coffee.max() * scale + offset)


def test_a_file_whose_values_are_no_image_is_named(tmp_path):
    Image.fromarray(np.full((4, 6), np.nan, np.float32)).save(tmp_path / "nan.tif")
    with pytest.raises(ValueError, match=rf"nan\.tif: {WRONG_UNITS}.*, got NaN or infinite ones"):
        read_image(tmp_path / "nan.tif")
    empty = io.BytesIO()
    Image.new("RGB", (1, 1)).save(empty, "PNG")
    size = struct.pack(">II", 0, 0)
    (tmp_path / "empty.png").write_bytes(empty.getvalue()[:16] + size + empty.getvalue()[24:])
    with pytest.raises(ValueError, match=r"empty\.png: cannot be read as an image: it has no pixels, or is damaged"):
        read_image(tmp_path / "empty.png")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_twelve_and_eight_bits_in_files_of_sixteen(coffee, channels, tmp_path):
    image = np.dstack([coffee, np.full(coffee.shape[:2], 255, np.uint8)])[..., :channels]
    expected = read_image(image)
    for white, bits in ((65535, 16), (4095, 12), (255, 8)):
        deep = np.rint(image / 255 * white).astype(np.uint16)
        (tmp_path / "deep.png").write_bytes(png(deep))
        for source in (tmp_path / "deep.png", deep):
            with warnings_of(bits < 16) as caught:
                np.testing.assert_array_equal(read_image(source), expected)
            assert all(f"read as {bits} bits" in str(item.message) for item in caught)
    np.testing.assert_array_equal(read_image(deep.astype(np.int64)), expected)


def test_sixteen_bits_of_colour_are_rounded_not_cut(tmp_path):
    deep = np.arange(65536, dtype=np.uint16).reshape(128, 512)
    colour = np.dstack([deep, deep[::-1], deep.T.reshape(128, 512)])
    (tmp_path / "deep.png").write_bytes(png(colour))
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), np.rint(colour / 257))


@contextmanager
def warnings_of(expected: bool):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught
    assert bool(caught) == expected, [str(item.message) for item in caught]


def damaged_files(coffee: np.ndarray) -> dict[str, tuple[bytes, str]]:
    content = COFFEE.read_bytes()
    text = b"Comment\0" + b"x" * 50
    bomb = b"Comment\0\0" + zlib.compress(bytes(10**8))
    return {
        "junk.png": (png(coffee, chunk(b"eXIf", b"hello world")), "its EXIF data is damaged"),
        "text.png": (png(coffee, chunk(b"tEXt", text, damage=1)), "its metadata is damaged and left out"),
        "profile.png": (png(coffee, chunk(b"iCCP", text, damage=1)), "its metadata is damaged and left out"),
        "bomb.png": (png(coffee, chunk(b"zTXt", bomb)), "its metadata is damaged and left out"),
        "end.jpg": (content[:-2], "its end mark is missing"),
    }


def test_an_image_whose_pixels_are_whole_is_read_with_a_warning(coffee, tmp_path):
    for name, (content, message) in damaged_files(coffee).items():
        (tmp_path / name).write_bytes(content)
        with pytest.warns(ImageWarning, match=f"{name}: {message}"):
            np.testing.assert_array_equal(read_image(tmp_path / name), coffee)


def test_a_data_set_holds_what_the_reader_reads(coffee, tmp_path):
    data = write_folder(tmp_path / "data")
    damaged = damaged_files(np.ascontiguousarray(coffee[:48, :64]))
    for index, name in enumerate(["junk.png", "text.png"]):
        (data / "images" / f"{index:03d}.png").write_bytes(damaged[name][0])
    with pytest.warns(ImageWarning):
        rows = load(f"folder:{data}")
    assert len(rows) == 12
    for index in (0, 1):
        np.testing.assert_array_equal(np.asarray(rows[index]["image"]), coffee[:48, :64])


def test_a_damaged_text_does_not_cost_the_orientation(coffee):
    exif = Image.Exif()
    exif[0x0112] = 6
    content = png(coffee, chunk(b"eXIf", exif.tobytes()[6:]), chunk(b"tEXt", b"Comment\0x", damage=1))
    with pytest.warns(ImageWarning):
        np.testing.assert_array_equal(read_image(content), coffee.transpose(1, 0, 2)[:, ::-1])


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str)
@pytest.mark.parametrize("missing", [4, 300, 10_000])
def test_a_jpeg_that_lacks_pixels_is_refused(coffee, options, missing):
    file = io.BytesIO()
    Image.fromarray(coffee).save(file, "JPEG", **options)
    with pytest.raises(ValueError, match="image file is truncated"):
        read_image(file.getvalue()[:-missing])
    whole = read_image(file)
    with pytest.warns(ImageWarning, match="its end mark is missing"):
        np.testing.assert_array_equal(read_image(file.getvalue()[:-2]), whole)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_once(orientation, tmp_path):
    stored = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    upright = {  # EXIF 2.32, 4.6.5: where the first row and column of the stored image belong
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: stored.transpose(1, 0, 2)[:, ::-1],
        7: stored.transpose(1, 0, 2)[::-1, ::-1],
        8: stored.transpose(1, 0, 2)[::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("a.png", "a.tif", "a.webp"):
        Image.fromarray(stored).save(tmp_path / name, exif=exif, lossless=True)
        np.testing.assert_array_equal(read_image(tmp_path / name), upright)
        np.testing.assert_array_equal(read_image(open_image(tmp_path / name)), upright)


def test_heic_is_explained_and_read_with_its_extra(coffee, tmp_path, monkeypatch):
    heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "phone.jpg"  # as it is often called
    heif.from_pillow(Image.fromarray(coffee)).save(path, format="HEIF", quality=95)
    assert np.abs(read_image(path).astype(int) - coffee).mean() < 3
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"phone\.jpg: .*it is a HEIC image and damaged"):
        read_image(path)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ValueError, match=r"save it as JPEG, or install what reads it: .*mlnet-saliency\[heic\]"):
        read_image(path)


def test_too_many_pixels_name_the_option(coffee, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", coffee.shape[0] * coffee.shape[1] // 2 - 1)
    with pytest.raises(ValueError, match=r"240000 pixels.*--max-megapixels"):
        read_image(COFFEE)


def test_grey_is_luma_and_keeps_its_depth(coffee, tmp_path):
    np.testing.assert_array_equal(read_grey(coffee), np.asarray(Image.fromarray(coffee).convert("L")))
    density = np.random.default_rng(0).random((8, 9)) * 1e-4
    np.testing.assert_allclose(read_grey(density), density * 255, rtol=1e-6)
    image = Image.open(COFFEE)
    image.draft("L", image.size)
    np.testing.assert_array_equal(read_grey(COFFEE), np.asarray(image))  # stored luma, without a detour over RGB


def test_a_batch_is_refused(coffee):
    with pytest.raises(ValueError, match="a batch is given as a list of images"):
        read_image(coffee[None])
