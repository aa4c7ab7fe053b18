"""The web page without its server: shares, words, comparison, what it refuses, what it keeps."""

import csv
import io
import os
import time

import numpy as np
import pytest
from demo_files import COFFEE, upload, write_hostile
from PIL import Image

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.demo import about, comparing, front, limits, page, regions, words
from modeling_mlnet.demo.pictures import save_overlay
from modeling_mlnet.demo.store import EXPIRED, Store, sweep

# --- shares and ranks


def test_shares_of_a_partition_add_up_and_edges_count_in_part():
    saliency_map = np.random.default_rng(0).random((30, 40)).astype(np.float32)
    parts = [regions.Box("", x, y, 400 / 3, 300 / 7) for x in (0, 400 / 3, 800 / 3) for y in np.arange(7) * 300 / 7]
    rows = regions.measure(saliency_map, parts, (400, 300))
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    even = regions.measure(np.ones((30, 40)), [regions.Box("", 5, 5, 7, 3)], (400, 300))
    assert even[0]["relative"] == pytest.approx(1)


def test_share_of_whole_pixels_is_their_sum():
    saliency_map = np.random.default_rng(1).random((30, 40))
    box = regions.Box("", 10, 4, 8, 6)
    expected = saliency_map[4:10, 10:18].sum() / saliency_map.sum()
    assert regions.box_share(saliency_map, box, (40, 30)) == pytest.approx(expected)
    assert regions.box_share(np.zeros((3, 3)), box, (40, 30)) == 0


def test_equal_shares_have_equal_ranks():
    assert regions.ranks([0.2, 0.5, 0.2, 0.1]) == [2, 1, 2, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3", "Line 1: expected x, y, width, height"),
        ("0,0,5,5\nfour: a,b,c,d", "Line 2: expected"),
        ("0,0,0,5", "Line 1: the box 0,0,0,5 must lie inside the picture of 60 x 40 px"),
        ("50,0,20,5", "must lie inside"),
        ("-1,0,5,5", "must lie inside"),
        ("nan,0,5,5", "must lie inside"),
        ("0,0,inf,5", "must lie inside"),
        ("\n".join(["0,0,1,1"] * 51), "At most 50 boxes"),
    ],
)
def test_a_line_that_is_no_box_is_named(text, message):
    with pytest.raises(ValueError, match=message):
        regions.parse_boxes(text, (60, 40))


def test_boxes_have_names_or_numbers():
    boxes = regions.parse_boxes("title: 0, 0, 60, 10\n\n 1;2;3;4.5 \n", (60, 40))
    assert boxes == [regions.Box("title", 0, 0, 60, 10), regions.Box("2", 1, 2, 3, 4.5)]


def test_a_spreadsheet_takes_no_name_for_a_formula():
    rows = regions.measure(np.ones((4, 4)), [regions.Box("=1+1", 0, 0, 2, 2)], (4, 4))
    [row] = csv.DictReader(io.StringIO(regions.as_csv(rows)))
    assert row["region"] == "'=1+1" and float(row["share"]) == 0.25


def peak(height, width, y, x, sigma):
    rows, columns = np.mgrid[:height, :width]
    return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))


def test_the_strongest_regions_are_the_peaks_in_words():
    saliency_map = peak(300, 400, 60, 70, 20) + 0.6 * peak(300, 400, 250, 350, 15)
    first, second = regions.strongest(saliency_map)
    assert (first["where"], second["where"]) == ("top left", "bottom right")
    assert first["x"] == pytest.approx(70 / 400, abs=0.01) and first["y"] == pytest.approx(60 / 300, abs=0.01)
    # of a Gaussian, half lies where it is above half of its peak
    whole = 2 * np.pi * 20**2
    assert first["share"] == pytest.approx(0.5 * whole / saliency_map.sum(), rel=0.1)
    assert regions.strongest(np.zeros((30, 40))) == []
    five = sum(peak(300, 400, 50 + 50 * (k % 2), 50 + 75 * k, 12) for k in range(5))
    assert len(regions.strongest(five)) == 3


def test_a_ripple_on_a_peak_is_no_region_of_its_own():
    near = peak(300, 400, 150, 180, 20) + peak(300, 400, 150, 205, 20)
    assert len(regions.strongest(near)) == 1
    far = peak(300, 400, 150, 100, 20) + peak(300, 400, 150, 300, 20)
    assert len(regions.strongest(far)) == 2


def test_the_grid_keeps_the_sum_at_any_size():
    for shape in ((1, 1), (1, 500), (333, 77), (30, 40)):
        saliency_map = np.random.default_rng(2).random(shape)
        grid = regions.to_grid(saliency_map)
        assert grid.sum() == pytest.approx(saliency_map.sum()) and max(grid.shape) <= regions.GRID


def test_words():
    assert (
        words.place(0, 0) == "top left" and words.place(0.5, 0.5) == "middle" and words.place(1, 1) == "bottom right"
    )
    shown = [words.percent(one) for one in (0, 0.0001, 0.004, 0.0994, 0.0996, 0.34, 1)]
    assert shown == ["0 %", "< 0.1 %", "0.4 %", "9.9 %", "10 %", "34 %", "100 %"]
    assert "empty" in words.strongest_in_words([])
    one = {"where": "top left", "share": 0.34, "area": 0.1, "x": 0.2, "y": 0.3}
    assert "Only one region stands out" in words.strongest_in_words([one])
    assert "Only two regions stand out" in words.strongest_in_words([one] * 2)
    assert "stand" not in words.strongest_in_words([one] * 3)
    assert words.strongest_in_short([one]) == "Strongest: top left, 34 % of the predicted attention."
    assert words.alt_text([one]) == "The saliency map alone. Most predicted attention: top left 34 %"


# --- two designs


def test_two_designs_share_one_scale():
    wide, narrow = np.ones((20, 20), np.float32), np.zeros((20, 20), np.float32)
    narrow[:10, :10] = 1  # four times as much attention per area, though both maps' maximum is 1
    first, second = comparing.densities(wide, narrow)
    assert first.max() == pytest.approx(0.25) and second.max() == 1
    dead, _ = comparing.densities(np.zeros((4, 4)), narrow)
    assert dead.max() == 0


# --- the model card's figures


def test_the_three_lines_have_the_card_s_figures(small_checkpoint):
    card = about.read_card("mini")
    assert not card.text.startswith("---") and "![" not in card.text and card.licence == "mit"
    scores = about.correlations(card.text)
    assert set(scores["OSIE"]) >= {"mini", "centre", "inter-observer"}
    assert "| OSIE | 49 | mini | " in card.text and f"{scores['OSIE']['mini']:.3f} (" in card.text
    text = about.three_lines(card)
    assert about.NOT_A_PERSON in text and f"{scores['OSIE']['mini']:.3f} on OSIE" in text
    assert "Checkpoint: MIT licence" in text and "(#model-card)" in text
    nothing = about.three_lines(about.read_card(str(small_checkpoint)))  # a folder without a card
    assert "#model-card" not in nothing and "Checkpoint" not in nothing and "Code: MIT licence" in nothing
    rows = "| mine | 9 | my-run | 0.700 (0.6..0.8) |\n"
    table = "| data set | pictures | | CC |\n|---|---|---|---|\n" + rows
    assert "by 0.700 on mine. 1 would be perfect" in about.three_lines(about.Card(table))
    assert "by 0.700 on mine; guessing the centre gives 0.400 to" in about.three_lines(
        about.Card(table + "|  |  | centre | 0.400 (0.3..0.5) |\n")
    )


# --- pictures that are refused, and pictures that are odd


def test_hostile_pictures_are_named_before_they_are_decoded(tmp_path):
    for path, message in write_hostile(tmp_path).items():
        started = time.monotonic()
        with pytest.raises(ValueError, match=message) as raised:
            limits.open_picture(upload(path))
        assert time.monotonic() - started < 5
        assert str(path.parent) not in str(raised.value) and "\n" not in str(raised.value)


def test_odd_pictures_are_taken(small_predictor, tmp_path):
    store = Store(small_predictor, tmp_path)
    frames = [Image.new("RGB", (40, 30), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    result = store.predict(upload(tmp_path / "moving.gif"), True)
    assert result.size == (40, 30) and (result.image == (255, 0, 0)).all()  # the first frame
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    assert store.predict(upload(tmp_path / "dot.png"), True).saliency_map.shape == (1, 1)
    Image.new("L", (1, 3000), 7).save(tmp_path / "thread.png")
    assert store.predict(upload(tmp_path / "thread.png"), True).size == (1, 3000)
    for mode in ("1", "P", "LA", "CMYK", "I;16"):
        large = Image.new(mode, (2000, 1000))
        large.save(tmp_path / "large.tiff")
        result = store.predict(upload(tmp_path / "large.tiff"), True)
        assert result.image.shape == (800, 1600, 3) and result.size == (2000, 1000), mode
        (tmp_path / "large.tiff").unlink()


def test_large_pictures_are_shrunk_and_turned_and_give_nearly_the_same_map(tmp_path):
    predictor = SaliencyPredictor("mini", dtype="float32")  # bfloat16's rounding is as large as what is looked at here
    large = Image.open(COFFEE).resize((3000, 2000), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[274] = 6  # the camera was held upright
    large.rotate(90, expand=True).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    result = Store(predictor, tmp_path).predict(upload(tmp_path / "phone.jpg"), True)
    assert result.size == (3000, 2000) and result.saliency_map.shape == (1067, 1600)
    [whole] = predictor.maps([str(tmp_path / "phone.jpg")])
    smaller = np.asarray(Image.fromarray(whole).resize((1600, 1067), Image.Resampling.BOX))
    assert np.abs(smaller - result.saliency_map).max() < 0.02
    assert np.corrcoef(smaller.ravel(), result.saliency_map.ravel())[0, 1] > 0.9995


# --- what is kept


def test_a_map_is_the_predictor_s_own_and_a_picture_passes_the_network_once(
    small_predictor, tmp_path, pictures, monkeypatch
):
    passes, pass_on = [], SaliencyPredictor._pass
    monkeypatch.setattr(SaliencyPredictor, "_pass", lambda *given: passes.append(1) or pass_on(*given))
    store = Store(small_predictor, tmp_path / "store")
    assert len(passes) == 1  # of its own picture, so that nobody's first one decides about precision
    assert store.predictors[True].network is store.predictors[False].network  # loaded and chosen once
    results = [store.predict(upload(pictures[0]), prior) for prior in (True, True, False)]
    assert len(passes) == 3
    np.testing.assert_array_equal(results[0].saliency_map, small_predictor(str(pictures[0])))
    assert not np.array_equal(results[0].saliency_map, results[2].saliency_map)
    passes.clear()
    for colormap in ("viridis", "grey"):
        save_overlay(store.load(results[0].key), store, 0.4, colormap)
    assert not passes


def test_only_uploads_are_received(tmp_path):
    folder, outside = tmp_path / "uploads", tmp_path / "secret.jpg"
    folder.mkdir()
    outside.write_bytes(b"secret")
    (folder / "link.jpg").symlink_to(outside)
    (folder / "mine.jpg").write_bytes(b"mine")
    for path in (
        outside,
        "/etc/passwd",
        folder / ".." / "secret.jpg",
        folder / "link.jpg",
        "http://127.0.0.1/",
        "a\0b",
        7,
    ):
        with pytest.raises(ValueError, match="Only files sent to this page"):
            limits.receive({"path": path if isinstance(path, int) else str(path)}, folder)
    with pytest.raises(ValueError, match="Choose a picture first"):
        limits.receive(None, folder)
    assert limits.receive({"path": str(folder / "mine.jpg"), "orig_name": "../../x.jpg"}, folder).name == "x.jpg"
    with pytest.raises(ValueError, match=r"no longer kept\. Choose it again"):
        limits.receive({"path": str(folder / "swept.jpg")}, folder)


def test_old_files_are_swept_and_new_ones_kept(tmp_path):
    for name in ("old/a.png", "new/b.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
    for _ in range(2):  # a folder counts as written when something in it is removed
        for path in (tmp_path / "old").glob("*"):
            os.utime(path, (0, 0))
        os.utime(tmp_path / "old", (0, 0))
        sweep(tmp_path, 60)
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["new", "new/b.png"]


def test_of_too_much_the_oldest_goes_first(tmp_path):
    for age, name in enumerate(("newest", "middle", "oldest")):
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))
    (tmp_path / "example").write_bytes(b"x" * 1000)
    sweep(tmp_path, spared=frozenset([tmp_path / "example"]), largest=250)
    assert {path.name for path in tmp_path.iterdir()} == {"newest", "middle", "example"}


def test_a_result_that_is_no_longer_kept_is_named(small_predictor, tmp_path):
    store = Store(small_predictor, tmp_path)
    with pytest.raises(ValueError, match=EXPIRED):
        store.load("0" * 32 + "-1")


# --- in front of the server


def test_links_to_the_page_are_previewed_with_its_own_words():
    theirs = b'<head><meta property="og:title" content="Gradio" />\n<meta\n name="twitter:card" content="x"></head>'
    page_of_ours = front.with_preview(theirs).decode()
    assert "Gradio" not in page_of_ours and page_of_ours.count("og:title") == 1
    assert f'content="{front.TITLE}"' in page_of_ours and page_of_ours.endswith("</head>")


def test_what_asks_for_an_address():
    for path in ("/gradio_api/file=https://example.com/a", "/file=HTTP://10.0.0.1/", "/gradio_api/file= http://x"):
        assert front.asks_for_address(path)
    for path in ("/gradio_api/file=/tmp/mlnet-demo-x/a.png", "/gradio_api/file=C:/x.png", "/", "/gradio_api/upload"):
        assert not front.asks_for_address(path)


def test_cores_are_shared_among_the_workers(monkeypatch, tmp_path):
    import torch

    from modeling_mlnet import threads

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    quota, before = tmp_path / "cpu.max", torch.get_num_threads()
    monkeypatch.setattr(threads, "QUOTA", quota)
    try:
        for content, expected in ((None, 4), ("max 100000", 4), ("200000 100000", 1), ("50000 100000", 1)):
            if content is not None:
                quota.write_text(content)
            page.set_threads()
            assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)
