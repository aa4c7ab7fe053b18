"""Images far from 4:3 in overlapping windows."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.analysis import first_screen, predict_tiled
from modeling_mlnet.analysis.tiles import TiledPredictor, Window, find_windows, join_windows

IMAGES = Path(__file__).parent / "fixtures" / "images"


def brightness(image):
    """A predictor whose map is the image's brightness, divided by its maximum as saliency maps are."""
    values = image.mean(axis=2, dtype=np.float32)
    return values / max(float(values.max()), 1e-9)


@pytest.mark.parametrize("size", [(400, 300), (600, 300), (300, 600), (1, 1), (1, 2)])
def test_auto_leaves_images_up_to_2_to_1_whole(size):
    assert find_windows(size) == [] and find_windows((9999, 10), "off") == []


@pytest.mark.parametrize(
    ("size", "tiles"), [((1280, 6000), "auto"), ((2000, 300), "auto"), ((500, 400), "200x150"), ((300, 2000), "auto")]
)
def test_windows_cover_the_image_and_overlap_by_half(size, tiles):
    windows = find_windows(size, tiles)
    covered = np.zeros(size[::-1], int)
    for window in windows:
        part = window.cut(covered)
        assert part.shape == (window.height, window.width)
        part += 1
    assert covered.min() >= 1
    for first, second in itertools.pairwise(windows):
        if first.y == second.y:
            assert second.x - first.x <= np.ceil(first.width / 2)


def test_auto_takes_windows_of_4_to_3_over_the_shorter_side():
    assert {(window.width, window.height) for window in find_windows((800, 3000))} == {(800, 600)}
    assert {(window.width, window.height) for window in find_windows((3000, 600))} == {(800, 600)}
    assert {(window.width, window.height) for window in find_windows((1456, 180))} == {(640, 180)}  # not enlarged
    assert {(window.width, window.height) for window in find_windows((300, 1250))} == {(300, 480)}
    assert find_windows((400, 300), "400x300") == [] and find_windows((400, 300), "9999x9999") == []


@pytest.mark.parametrize("tiles", ["", "on", "0x5", "5", "5x-5", "axb"])
def test_wrong_tiles_are_named(tiles):
    with pytest.raises(ValueError, match="tiles must be auto, off or WIDTHxHEIGHT in pixels, got"):
        find_windows((10, 10), tiles)


@pytest.mark.parametrize("shape", [(900, 120), (130, 1000)])
def test_a_predictor_that_sees_no_context_gives_the_same_map_in_windows(shape):
    """Every window's map is divided by its own maximum; joining has to bring them back to one scale."""
    image = np.random.default_rng(0).integers(1, 256, (*shape, 3), np.uint8)
    image[: shape[0] // 2] //= 4
    joined = predict_tiled(brightness, image)
    assert joined.dtype == np.float32 and joined.max() == 1
    np.testing.assert_allclose(joined, brightness(image), atol=1e-4)
    np.testing.assert_array_equal(predict_tiled(brightness, image, "off"), brightness(image))


def test_an_empty_window_and_an_empty_image_stay_empty():
    image = np.zeros((900, 120, 3), np.uint8)
    image[:100] = 255
    joined = predict_tiled(brightness, image)
    assert joined[300:].max() == 0 and joined[:50].min() > 0.9 and np.isfinite(joined).all()
    assert predict_tiled(brightness, np.zeros((90, 12, 3), np.uint8)).max() == 0
    whole = np.ones((4, 4), np.float32)
    assert join_windows(whole, [whole], [Window(0, 0, 4, 4)]).max() == 1


def test_the_stream_is_in_order_and_reports_what_cannot_be_read(small_predictor, tmp_path):
    sizes = [(90, 60), (60, 1200), (1500, 70), (80, 80)]
    paths = []
    for number, size in enumerate(sizes):
        paths.append(tmp_path / f"{number}.png")
        noise = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(noise).save(paths[-1])
    paths.insert(2, tmp_path / "broken.png")
    paths[2].write_bytes(b"nothing")
    results = list(TiledPredictor(small_predictor).stream(paths, keep_images=True))
    [alone] = TiledPredictor(small_predictor).stream(paths[0])
    assert alone.source == paths[0] and np.array_equal(alone.saliency_map, results[0].saliency_map)
    assert [str(result.source) for result in results] == [str(path) for path in paths]
    assert "broken.png" in results[2].error and [result.error is None for result in results].count(True) == 4
    for result, size in zip((item for item in results if item.error is None), sizes, strict=True):
        assert result.saliency_map.shape == result.image.shape[:2] == size[::-1]
    long_page = np.asarray(Image.open(paths[1]))
    np.testing.assert_allclose(results[1].saliency_map, predict_tiled(small_predictor, long_page), atol=1e-5)
    assert not np.array_equal(results[1].saliency_map, small_predictor(str(paths[1])))
    np.testing.assert_array_equal(results[0].saliency_map, small_predictor(str(paths[0])))


def test_a_window_that_fails_leaves_no_map(small_predictor):
    page = np.random.default_rng(0).integers(0, 256, (1200, 300, 3), dtype=np.uint8)
    network = small_predictor.network

    def failing(pixel_values, *options):
        cells = network(pixel_values, *options)
        return cells if np.allclose(pixel_values, whole) else np.full_like(cells, np.nan)

    whole = small_predictor.letterbox.pixel_values(page)
    small_predictor._network = failing
    failing.description = network.description
    try:
        [result] = TiledPredictor(small_predictor).stream_cut([(page, page, find_windows((300, 1200)))])
    finally:
        small_predictor._network = network
    assert result.saliency_map is None and "not finite" in result.error


def test_a_page_of_photographs_is_no_longer_a_blob():
    """Photographs above each other: in windows each is predicted nearly as by itself, squeezed it is not."""
    predictor = SaliencyPredictor("mini", dtype="float32")
    photos = [Image.open(path).convert("RGB").resize((600, 450)) for path in sorted(IMAGES.glob("*.jpg"))]
    page = np.vstack([np.asarray(photo) for photo in photos])
    tiled, squeezed = predict_tiled(predictor, page), predictor(page)
    correlations = []
    for number, photo in enumerate(photos):
        part = slice(450 * number, 450 * (number + 1))
        alone = predictor(np.asarray(photo)).ravel()
        correlations.append([np.corrcoef(alone, values[part].ravel())[0, 1] for values in (tiled, squeezed)])
    in_windows, at_once = np.mean(correlations, axis=0)
    assert in_windows > 0.9 and in_windows > at_once + 0.15, correlations


def test_the_first_screenful_of_a_page():
    assert first_screen((1280, 800)) is None and first_screen((1280, 2000)) is None
    assert first_screen((1280, 6000)) == Window(0, 0, 1280, 800)
    assert first_screen((390, 4000), (390, 844)) == Window(0, 0, 390, 844)
    assert first_screen((6000, 1280)) is None
