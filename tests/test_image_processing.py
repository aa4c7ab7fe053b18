import numpy as np
import pytest
import release
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modeling_mlnet import MLNetImageProcessor
from modeling_mlnet.letterbox_mlnet import inverse_positions, letterbox_size

PLAIN = {"do_normalize": False, "return_tensors": "pt"}


@pytest.fixture(scope="module")
def image_processor():
    return MLNetImageProcessor(size={"height": 240, "width": 320})


def test_canvas_is_the_release_s_to_the_byte(image_processor, golden):
    canvas = image_processor(release.IMAGES, **PLAIN)["pixel_values"]
    bgr = canvas.permute(0, 2, 3, 1).numpy()[..., ::-1]
    difference = np.abs(bgr - golden["input_bgr_uint8"].astype(np.float32))
    assert difference.max() <= 1 and difference.mean() < 0.02  # 0 with the JPEG decoder this was written with


def test_pixel_values_are_rgb_minus_the_means_on_a_black_canvas(image_processor, golden):
    pixel_values = image_processor(release.IMAGES, return_tensors="pt")["pixel_values"]
    assert (pixel_values - release.network_input(golden)).abs().max() <= 1.0001
    corner = pixel_values[0, :, 0, 0]  # the astronaut is square: its borders are black
    torch.testing.assert_close(corner, -torch.tensor([123.68, 116.779, 103.939]))


def test_post_processing_equals_the_release(image_processor, golden):
    sizes = [tuple(golden[f"post_{index}_shape"]) for index in range(4)]
    maps = image_processor.post_process_saliency(torch.from_numpy(golden["output"][:, 0]), sizes)
    for index, (saliency_map, size) in enumerate(zip(maps, sizes, strict=True)):
        assert saliency_map.shape == size and saliency_map.dtype == torch.float32
        assert np.abs(saliency_map.numpy()[::5, ::5] * 255 - golden[f"post_{index}"]).max() < 1e-5 * 255


def test_labels_equal_the_release(image_processor, golden):
    labels = image_processor(release.IMAGES, saliency_maps=release.IMAGES, return_tensors="pt")["labels"]
    assert labels.shape == (4, 30, 40)
    assert np.abs(labels.numpy() - golden["maps_from_imgs"][:, 0]).max() < 1 / 255


sides = st.integers(1, 4000)


@st.composite
def picture_sizes(draw):
    """Up to 4000x3000 in either orientation, aspect ratio up to 50:1."""
    width = draw(sides)
    height = draw(st.integers(max(1, -(-width // 50)), min(3000, width * 50)))
    return (height, width) if draw(st.booleans()) or width > 3000 else (width, min(height, 4000))


@settings(max_examples=25, deadline=None)
@given(picture_sizes())
def test_map_comes_back_at_the_pictures_own_size(size):
    image_processor = MLNetImageProcessor()
    [saliency_map] = image_processor.post_process_saliency(torch.rand(1, 60, 80), [size])
    assert saliency_map.shape == size
    assert saliency_map.min() >= 0 and saliency_map.max() == 1


@settings(max_examples=25, deadline=None)
@given(picture_sizes(), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_a_bright_square_comes_back_under_itself(size, down, right, do_resize):
    """The picture's own brightness, averaged over map cells, stands in for the network."""
    height, width = size
    if not do_resize:
        height, width = min(height, 500), min(width, 500)
    side = max(1, min(height, width) // 4)
    top, left = round(down * (height - side)), round(right * (width - side))
    image = np.zeros((height, width), dtype=np.uint8)
    image[top : top + side, left : left + side] = 255
    image_processor = MLNetImageProcessor(do_resize=do_resize, antialias=True)
    canvas = image_processor(image, **PLAIN)["pixel_values"][:, 0]
    cells = torch.nn.functional.avg_pool2d(canvas, 8)
    if cells.max() == 0:
        return  # smaller than a pixel of the canvas
    [saliency_map] = image_processor.post_process_saliency(cells, [(height, width)])
    mass = saliency_map.double() / saliency_map.double().sum()
    centre_y = (mass.sum(1) * torch.arange(height)).sum().item()
    centre_x = (mass.sum(0) * torch.arange(width)).sum().item()
    # A cell in picture pixels; bilinear enlargement moves mass at the picture's edge by less than one.
    cell = 8 * max(height / canvas.shape[1], width / canvas.shape[2]) if do_resize else 8
    assert abs(centre_y - (top + (side - 1) / 2)) < cell + 0.5
    assert abs(centre_x - (left + (side - 1) / 2)) < cell + 0.5


@settings(max_examples=100, deadline=None)
@given(picture_sizes())
def test_inverse_reads_where_the_letterbox_wrote_within_a_pixel(size):
    inner = letterbox_size(*size, (480, 640))
    for axis, positions in enumerate(inverse_positions(size, (60, 80), do_resize=True)):
        offset = ((480, 640)[axis] - inner[axis]) // 2
        written = offset + (np.arange(size[axis]) + 0.5) * inner[axis] / size[axis]
        read = 8 * positions + 4
        # the release rounds size and offset, on the canvas on the way in and on the picture on the way back
        assert np.abs(read - written).max() <= 1.5 + inner[axis] / size[axis], axis


def test_small_pictures_are_inverted_at_exact_positions():
    image_processor = MLNetImageProcessor()
    for size in [(1, 1), (1, 3), (3, 1), (2, 50), (7, 5)]:
        image = np.full(size, 255, dtype=np.uint8)
        canvas = image_processor(image, **PLAIN)["pixel_values"][:, 0]
        [saliency_map] = image_processor.post_process_saliency(torch.nn.functional.avg_pool2d(canvas, 8), [size])
        assert saliency_map.min() > 0.5, size


def test_a_dead_map_stays_zero(image_processor):
    [saliency_map] = image_processor.post_process_saliency(torch.zeros(1, 30, 40), [(100, 100)])
    assert saliency_map.isfinite().all() and saliency_map.max() == 0


def test_number_of_sizes_must_be_the_number_of_maps(image_processor):
    with pytest.raises(ValueError, match="got 1 for 2"):
        image_processor.post_process_saliency(torch.rand(2, 30, 40), [(10, 10)])


def colours() -> Image.Image:
    pixels = np.zeros((24, 32, 3), dtype=np.uint8)
    pixels[:12, :16], pixels[:12, 16:], pixels[12:, :16] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    pixels[12:, 16:] = 128
    return Image.fromarray(pixels)


def reference(image_processor, image=None) -> torch.Tensor:
    return image_processor(image or colours(), **PLAIN)["pixel_values"]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "HSV", "YCbCr", "P"])
def test_colour_modes_of_pil_become_the_same_rgb(image_processor, mode):
    image = colours().quantize(16) if mode == "P" else colours().convert(mode)
    assert image.mode == mode
    difference = (reference(image_processor, image) - reference(image_processor)).abs()
    assert difference.mean() < 3


@pytest.mark.parametrize("mode", ["L", "LA", "1", "I", "F", "I;16"])
def test_grey_modes_of_pil_become_equal_channels(image_processor, mode):
    grey = Image.fromarray(np.repeat(np.array([[0, 255]], dtype=np.uint8), 16, axis=1).repeat(24, axis=0))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
        assert image.mode == mode
    else:
        image = grey.convert(mode)
    pixel_values = reference(image_processor, image)
    assert torch.equal(pixel_values, reference(image_processor, grey))
    assert torch.equal(pixel_values[:, 0], pixel_values[:, 2])


def test_arrays_and_tensors_of_every_layout_are_the_same_picture(image_processor):
    pixels = np.asarray(colours())
    first = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    same = [
        pixels,
        pixels.astype(np.float64) / 255,
        pixels.astype(np.float32),
        pixels.astype(np.uint16) * 257,
        pixels.astype(np.int64),
        pixels[::-1][::-1],
        np.dstack([pixels, np.full((24, 32), 255, dtype=np.uint8)]),
        first,
        first.float() / 255,
        first.to(torch.float64),
        torch.from_numpy(pixels.copy()),
    ]
    for item in same:
        assert torch.equal(reference(image_processor, [item]), reference(image_processor))


def test_grey_arrays_are_grey_pictures(image_processor):
    grey = np.arange(24 * 32, dtype=np.uint8).reshape(24, 32)
    expected = reference(image_processor, [np.dstack([grey] * 3)])
    for item in (grey, grey[..., None], torch.from_numpy(grey), torch.from_numpy(grey)[None]):
        assert torch.equal(reference(image_processor, [item]), expected)


def test_transparency_is_laid_over_white(image_processor):
    clear = Image.new("RGBA", (32, 24), (255, 0, 0, 0))
    assert reference(image_processor, clear)[0, :, 120, 160].tolist() == [255, 255, 255]
    palette = clear.quantize(4)
    palette.info["transparency"] = palette.getpixel((0, 0))
    assert reference(image_processor, palette)[0, :, 120, 160].tolist() == [255, 255, 255]


def test_exif_rotation_is_applied_to_objects_and_files(image_processor, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    upright = colours()
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    expected = reference(image_processor, upright)
    assert torch.equal(image_processor(tmp_path / "turned.png", **PLAIN)["pixel_values"], expected)
    with Image.open(tmp_path / "turned.png") as opened:
        assert torch.equal(reference(image_processor, opened), expected)


def test_a_list_may_mix_sizes_and_kinds(image_processor, pictures):
    items = [pictures[0], str(pictures[1]), Image.open(pictures[2]), np.zeros((10, 20), np.uint8), torch.rand(3, 9, 9)]
    together = image_processor(items, return_tensors="pt")["pixel_values"]
    assert together.shape == (5, 3, 240, 320)
    for index, item in enumerate(items):
        assert torch.equal(image_processor(item, return_tensors="pt")["pixel_values"][0], together[index])


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("missing.jpg", "missing.jpg: no such file"),
        ("text.jpg", "text.jpg: cannot be read as an image: its content is not an image"),
        ("short.jpg", "short.jpg: cannot be read as an image"),
        (np.zeros((5, 5, 2), np.uint8), "1, 3 or 4 channels"),
        (np.zeros((0, 4), np.uint8), "empty"),
        (np.zeros(4, np.uint8), "2 or 3 dimensions"),
        (np.full((4, 4), np.nan), "0..1 or 0..255"),
        (np.full((4, 4), -1.0), "0..1 or 0..255"),
        (np.full((4, 4), 300.0), "0..1 or 0..255"),
        (np.array([["a", "b"]]), "an array of <U1 is not an image"),
        (object(), "expected a path, bytes, a PIL image, an array or a tensor, got object"),
        (None, "expected a path, bytes, a PIL image, an array or a tensor, got NoneType"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_reason(image_processor, pictures, item, reason):
    folder = pictures[0].parent
    (folder / "text.jpg").write_text("not a picture")
    (folder / "short.jpg").write_bytes(pictures[0].read_bytes()[:200])
    if isinstance(item, str):
        item = folder / item
    with pytest.raises(ValueError, match="image 1: ") as caught:
        image_processor([pictures[0], item])
    assert reason in str(caught.value)


def test_misspelt_key_of_the_constructor_is_refused():
    with pytest.raises(ValueError, match="'antialiasing'; the nearest valid key is 'antialias'"):
        MLNetImageProcessor(antialiasing=True)


def test_a_truncated_picture_that_was_opened_lazily_is_named(image_processor, pictures, tmp_path):
    (tmp_path / "short.jpg").write_bytes(pictures[0].read_bytes()[:-300])
    with (
        Image.open(tmp_path / "short.jpg") as lazy,
        pytest.raises(ValueError, match=r"image 1: \S+short.jpg: cannot be read"),
    ):
        image_processor([pictures[0], lazy])


def test_deep_grey_with_a_transparent_value_keeps_its_greys(image_processor, tmp_path):
    ramp = np.linspace(0, 65535, 24 * 32).astype(np.uint16).reshape(24, 32)
    Image.fromarray(ramp).save(tmp_path / "deep.png", transparency=7)
    plain = reference(image_processor, [ramp])
    assert torch.equal(image_processor(tmp_path / "deep.png", **PLAIN)["pixel_values"], plain)
    assert 100 < plain[0, 0, 120, 160] < 155


def test_unknown_keyword_is_a_type_error(image_processor):
    with pytest.raises(TypeError, match="antialiasing"):
        image_processor(colours(), antialiasing=True)


def test_size_that_does_not_fit_the_grid_is_refused():
    with pytest.raises(ValueError, match="multiples of 8"):
        MLNetImageProcessor(size={"height": 250, "width": 320})


def test_numbers_of_images_and_maps_must_agree(image_processor):
    with pytest.raises(ValueError, match="2 images but 1 saliency maps"):
        image_processor([colours()] * 2, saliency_maps=[colours()])


def test_labels_follow_the_picture_s_letterbox(image_processor):
    image = Image.new("RGB", (300, 100), "white")
    batch = image_processor(image, saliency_maps=image.convert("L"), return_tensors="pt", do_normalize=False)
    covered = torch.nn.functional.avg_pool2d(batch["pixel_values"][:, 0], 8) / 255
    assert (batch["labels"] - covered).abs().max() <= 0.7  # only cells the picture's edge cuts may differ
    assert batch["labels"][0, 15].min() == 1 and batch["labels"][0, 0].max() == 0


def test_labels_lie_on_the_picture_without_resizing(image_processor):
    image = Image.new("RGB", (40, 56), "white")
    grey = image.convert("L").resize((20, 28))
    batch = image_processor(image, saliency_maps=grey, do_resize=False, **PLAIN)
    covered = torch.nn.functional.avg_pool2d(batch["pixel_values"][:, 0], 8) / 255
    assert batch["labels"].shape == (1, 8, 8)
    torch.testing.assert_close(batch["labels"], covered)


def test_picture_keeps_its_size_without_resizing(image_processor):
    pixel_values = image_processor(colours(), do_resize=False, **PLAIN)["pixel_values"]
    assert pixel_values.shape == (1, 3, 32, 32)
    assert torch.equal(pixel_values[0, :, 4:28], torch.from_numpy(np.asarray(colours())).permute(2, 0, 1).float())


def test_statistics_and_canvas_travel_with_the_checkpoint(tmp_path):
    saved = MLNetImageProcessor(size={"height": 64, "width": 96}, image_mean=[1, 2, 3], antialias=True)
    saved.save_pretrained(tmp_path)
    loaded = MLNetImageProcessor.from_pretrained(tmp_path)
    assert dict(loaded.size) == {"height": 64, "width": 96}
    assert list(loaded.image_mean) == [1, 2, 3] and loaded.antialias is True
    assert torch.equal(reference(loaded), reference(saved))


def test_resizing_a_channel_constant_picture_changes_no_value(image_processor):
    flat = np.full((300, 500, 3), (7, 130, 250), dtype=np.uint8)
    centre = reference(image_processor, [flat])[0, :, 60:180, 5:315]
    assert (centre == torch.tensor([7.0, 130.0, 250.0])[:, None, None]).all()
