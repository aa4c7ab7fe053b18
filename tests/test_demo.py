"""The web page: shares, words, comparison, clips, what it refuses, and its API as gradio_client and curl see it."""

import csv
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.demo import about, comparing, limits, regions, serving, video, words
from modeling_mlnet.demo.pictures import save_overlay
from modeling_mlnet.demo.store import Store, sweep

ROOT = Path(__file__).parent.parent
COFFEE = ROOT / "tests" / "fixtures" / "images" / "coffee.jpg"
ROCKET = ROOT / "tests" / "fixtures" / "images" / "rocket.jpg"


def write_clip(path, seconds=1.0, size=(96, 64), rate=8, rotate=False):
    """A bright square that wanders over black."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(round(seconds * rate)):
            frame = np.zeros((size[1], size[0], 3), dtype=np.uint8)
            frame[16:48, (4 * index) % (size[0] - 32) : (4 * index) % (size[0] - 32) + 32] = 255
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode())
    return path


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


# --- two designs


def test_two_designs_share_one_scale():
    wide, narrow = np.ones((20, 20), np.float32), np.zeros((20, 20), np.float32)
    narrow[:10, :10] = 1  # four times as much attention per area, though both maps' maximum is 1
    first, second = comparing.densities(wide, narrow)
    assert first.max() == pytest.approx(0.25) and second.max() == 1
    dead, _ = comparing.densities(np.zeros((4, 4)), narrow)
    assert dead.max() == 0


# --- the model card's figures


def test_the_three_lines_have_the_card_s_figures():
    card = about.read_card("mini")
    assert not card.startswith("---") and "![" not in card
    scores = about.correlations(card)
    assert set(scores["OSIE"]) >= {"mini", "centre", "half-observers"}
    assert "| OSIE | 49 | mini | " in card and f"{scores['OSIE']['mini']:.3f} (" in card
    text = about.three_lines("mini", card)
    assert about.NOT_A_PERSON in text and f"{scores['OSIE']['mini']:.3f} on OSIE" in text and "MIT" in text
    assert "huggingface.co/someone/else" in about.three_lines("someone/else", "")
    rows = "| mine | 9 | my-run | 0.700 (0.6..0.8) |\n"
    table = "| data set | pictures | | CC |\n|---|---|---|---|\n" + rows
    assert "by 0.700 on mine. 1 would be perfect" in about.three_lines("mini", table)
    assert "by 0.700 on mine; guessing the centre gives 0.400 to" in about.three_lines(
        "mini", table + "|  |  | centre | 0.400 (0.3..0.5) |\n"
    )


# --- clips


def test_effective_area():
    assert video.effective_area(np.ones((30, 40))) == pytest.approx(1)
    assert video.effective_area(np.zeros((30, 40))) == 0
    one = np.zeros((30, 40))
    one[3, 4] = 1
    assert video.effective_area(one) == pytest.approx(1 / 1200)
    half = np.zeros((30, 40))
    half[:15] = 0.3
    assert video.effective_area(half) == pytest.approx(0.5)


@pytest.fixture
def small_predictor(small_checkpoint):
    return SaliencyPredictor(small_checkpoint)


def upload(path):
    return limits.Upload(Path(path), Path(path).name)


def test_a_clip_becomes_h264_of_the_same_length_and_every_frame_is_its_own(small_predictor, tmp_path):
    clip = video.Clip(upload(write_clip(tmp_path / "in.mp4", seconds=2, rate=16)))
    assert clip.expected == 16
    moments = list(video.render_clip(small_predictor, clip, tmp_path / "out.mp4", 0.7, "inferno"))
    assert [one.time for one in moments] == pytest.approx(np.arange(16) / 8)
    with av.open(str(tmp_path / "out.mp4")) as result:
        stream = result.streams.video[0]
        assert stream.codec_context.name == "h264" and (stream.width, stream.height) == (96, 64)
        assert float(result.duration) / av.time_base == pytest.approx(2, abs=0.2)
        assert sum(1 for _ in result.decode(stream)) == 16
    again = video.Clip(upload(tmp_path / "in.mp4"))
    maps = [small_predictor(picture) for _, picture in again.frames()]
    again.close()
    assert [one.effective_area for one in moments] == pytest.approx(
        [video.effective_area(one) for one in maps], rel=1e-3
    )


def test_a_clip_that_is_stopped_leaves_no_file(small_predictor, tmp_path):
    clip = video.Clip(upload(write_clip(tmp_path / "in.mp4", seconds=3)))
    rendering = video.render_clip(small_predictor, clip, tmp_path / "out.mp4", 0.7, "inferno")
    next(rendering)
    rendering.close()
    assert not (tmp_path / "out.mp4").exists()


def test_clips_that_are_refused(tmp_path):
    write_clip(tmp_path / "long.mp4", seconds=70, rate=2)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no film")
    # a playlist names other files; read as one, it would show what this server has
    write_clip(tmp_path / "secret.mp4")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{tmp_path}/secret.mp4\n#EXT-X-ENDLIST\n"
    (tmp_path / "playlist.mp4").write_text(playlist)
    concat = f"ffconcat version 1.0\nfile {tmp_path}/secret.mp4\n"
    (tmp_path / "concat.mp4").write_text(concat)
    for name, message in {
        "long.mp4": "lasts 70 seconds; clips may last up to 60",
        "empty.mp4": "empty",
        "text.mp4": "cannot be read as a video",
        "playlist.mp4": "cannot be read as a video",
        "concat.mp4": "cannot be read as a video",
    }.items():
        with pytest.raises(ValueError, match=message):
            video.Clip(upload(tmp_path / name))


def test_a_clip_that_breaks_off_still_counts(small_predictor, tmp_path):
    write_clip(tmp_path / "whole.mkv", seconds=4, rate=8)
    content = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) * 2 // 3])
    clip = video.Clip(upload(tmp_path / "cut.mkv"))
    moments = list(video.render_clip(small_predictor, clip, tmp_path / "out.mp4", 0.7, "inferno"))
    assert 0 < len(moments) < 32 and (tmp_path / "out.mp4").exists()


# --- pictures that are refused, and pictures that are odd


def bomb(path, width=20_000, height=20_000):
    """A PNG of 400 megapixels in a few kilobytes."""
    import struct
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    row = b"\0" * (width // 8 + 1)
    packed = zlib.compress(row * height, 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
    return path


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> dict[Path, str]:
    """Files and what is said about them."""
    folder = tmp_path_factory.mktemp("hostile")
    content = COFFEE.read_bytes()
    files = {
        "cut.jpg": (content[: len(content) // 2], "damaged or cut off"),
        "renamed.png": (b"MZ\x90 this is a program", "its content is no picture"),
        "drawing.png": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG drawing"),
        "drawing.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "SVG drawing"),
        "page.jpg": (b"%PDF-1.7 ...", "it is a PDF"),
        "phone.jpg": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 64, "HEIC"),
        "nothing.jpg": (b"", "0 bytes"),
        "script.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "its content is no picture"),
    }
    found = {}
    for name, (written, message) in files.items():
        (folder / name).write_bytes(written)
        found[folder / name] = message
    found[bomb(folder / "bomb.png")] = "more than 50 megapixels"
    return found


def test_hostile_pictures_are_named_before_they_are_decoded(hostile):
    for path, message in hostile.items():
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
    predictor = SaliencyPredictor("mini")
    large = Image.open(COFFEE).resize((3000, 2000), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[274] = 6  # the camera was held upright
    large.rotate(90, expand=True).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    result = Store(predictor, tmp_path).predict(upload(tmp_path / "phone.jpg"), True)
    assert result.size == (3000, 2000) and result.saliency_map.shape == (1067, 1600)
    [whole] = predictor.maps([str(tmp_path / "phone.jpg")])
    smaller = np.asarray(Image.fromarray(whole).resize((1600, 1067), Image.Resampling.BOX))
    assert np.abs(smaller - result.saliency_map).max() < 0.02


# --- what is kept


def test_a_map_is_the_predictor_s_own_and_a_picture_passes_the_network_once(small_predictor, tmp_path, pictures):
    passes = []
    small_predictor.model.register_forward_hook(lambda *_: passes.append(1))
    store = Store(small_predictor, tmp_path / "store")
    results = [store.predict(upload(pictures[0]), prior) for prior in (True, True, False)]
    assert len(passes) == 2
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


# --- the server


@pytest.fixture(scope="module")
def server(small_checkpoint, tmp_path_factory):
    """The page on this machine, with a small network; results are kept for four seconds only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("HF_HUB_OFFLINE", "1")
        with serving(str(small_checkpoint), keep=600, quiet=True) as address:
            yield address


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    return Client(server, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


def test_predict_endpoint(client, small_predictor):
    overlay, grey, values, found = client.predict(handle_file(COFFEE), api_name="/predict")
    expected = small_predictor(str(COFFEE))
    got = np.load(values)
    assert got.dtype == np.float32 and got.shape == (400, 600)
    np.testing.assert_allclose(got, expected, atol=1e-5)  # the server computes with another number of threads
    assert (found["width"], found["height"], found["picture"]) == (600, 400, "coffee.jpg")
    with Image.open(overlay) as one, Image.open(grey) as other:
        assert (one.format, one.size, other.format, other.mode) == ("PNG", (600, 400), "PNG", "L")
        assert np.abs(np.asarray(other) / 255.0 - got).max() <= 0.5 / 255 + 1e-6
    before = np.load(client.predict(handle_file(COFFEE), apply_prior=False, api_name="/predict")[2])
    assert not np.array_equal(before, got)
    for wrong in ({"colormap": "jet"}, {"opacity": 7}):
        with pytest.raises(AppError, match=r"colour map must be|opacity must be"):
            client.predict(handle_file(COFFEE), **wrong, api_name="/predict")


def test_regions_endpoint(client):
    found, table, picture = client.predict(
        handle_file(COFFEE), "cup: 100,50,300,250\n0,0,600,400", api_name="/regions"
    )
    cup, whole = found["regions"]
    assert cup["region"] == "cup" and whole["share"] == pytest.approx(1) and whole["rank"] == 1 and cup["rank"] == 2
    values = np.load(client.predict(handle_file(COFFEE), api_name="/predict")[2])
    assert cup["share"] == pytest.approx(values[50:300, 100:400].sum() / values.sum(), rel=1e-4)
    rows = list(csv.DictReader(Path(table).read_text(encoding="utf-8").splitlines()))
    assert [row["region"] for row in rows] == ["cup", "2"]
    assert Image.open(picture).size == (600, 400)
    with pytest.raises(AppError, match="Line 1: expected"):
        client.predict(handle_file(COFFEE), "here", api_name="/regions")


def test_compare_endpoint(client):
    same, *_ = client.predict(handle_file(COFFEE), handle_file(COFFEE), api_name="/compare")
    assert len(same["regions"]) == 9 and all(row["difference"] == 0 for row in same["regions"])
    assert sum(row["first"] for row in same["regions"]) == pytest.approx(1)
    other, _, first, second = client.predict(
        handle_file(COFFEE), handle_file(ROCKET), "1,1,99,99", api_name="/compare"
    )
    [row] = other["regions"]
    assert row["difference"] == pytest.approx(row["second"] - row["first"]) and row["difference"] != 0
    assert Image.open(first).size == (600, 400) and Image.open(second).size == Image.open(ROCKET).size


def test_video_endpoint(client, tmp_path):
    job = client.submit(handle_file(write_clip(tmp_path / "in.mp4", seconds=3)), api_name="/video")
    clip, found = job.result(timeout=60)
    assert found["frames"] == 24 and found["moments"][8]["time"] == pytest.approx(1)
    assert [one[1]["frames"] for one in job.outputs()] == [1, 9, 17, 24]  # its progress
    with av.open(clip) as result:
        assert result.streams.video[0].codec_context.name == "h264"


def test_every_parameter_is_named_and_typed(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert set(endpoints) == {"/predict", "/regions", "/compare", "/video"}
    for endpoint in endpoints.values():
        assert len(endpoint["description"]) > 60
        for one in endpoint["parameters"]:
            assert (
                one["label"] and one["python_type"]["type"] in ("filepath", "bool", "str", "float")
            ) or "Literal" in str(one["python_type"])


def test_hostile_pictures_through_the_api(client, hostile):
    for path, message in hostile.items():
        with pytest.raises(AppError, match=message) as raised:
            client.predict(handle_file(path), api_name="/predict")
        assert "Traceback" not in str(raised.value) and "/tmp" not in str(raised.value)


def post(server, endpoint, data):
    """As curl would: the whole stream of answers."""
    begun = httpx.post(f"{server}gradio_api/call/{endpoint}", json={"data": data})
    if begun.status_code != 200:
        return begun.text
    with httpx.stream("GET", f"{server}gradio_api/call/{endpoint}/{begun.json()['event_id']}", timeout=60) as answer:
        return answer.read().decode()


def test_no_file_of_the_host_and_no_address_is_read(server, tmp_path):
    import http.server
    import threading

    asked = []

    class Spy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(COFFEE.read_bytes())

        def log_message(self, *_):
            pass

    spy = http.server.HTTPServer(("127.0.0.1", 0), Spy)
    threading.Thread(target=spy.serve_forever, daemon=True).start()
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(COFFEE.read_bytes())
    address = f"http://127.0.0.1:{spy.server_port}/private.jpg"
    meta = {"_type": "gradio.FileData"}
    attempts = [
        {"path": str(secret)},
        {"path": "/etc/passwd"},
        {"path": f"file://{secret}"},
        {"path": address},
        {"path": f"https://127.0.0.1:{spy.server_port}/x.jpg"},
        {"path": "http://169.254.169.254/latest/meta-data"},
        {"path": "x.jpg", "url": address},
        {"path": "../../../../etc/passwd"},
        {"path": f"//127.0.0.1:{spy.server_port}/x"},
    ]
    for attempt in attempts:
        for payload in ({**attempt, "meta": meta}, attempt):
            for endpoint, data in (
                ("predict", [payload, True, 0.7, "inferno"]),
                ("video", [payload, True, 0.7, "grey"]),
            ):
                answer = post(server, endpoint, data)
                assert "event: complete" not in answer and "root:" not in answer, (payload, answer)
                assert "Traceback" not in answer and (
                    "Only files sent" in answer or "does not have the form" in answer
                )
    for path in (secret, "/etc/passwd", ROOT / "pyproject.toml"):
        assert httpx.get(f"{server}gradio_api/file={path}").status_code in (403, 404)
    assert httpx.get(f"{server}gradio_api/proxy={address}").status_code >= 400
    spy.shutdown()
    assert not asked


def test_malformed_requests_get_one_line(server):
    for data in ([7, True, 0.7, "inferno"], ["x", None, None, None], [{"path": {}}, True, 0.7, "grey"], [[], 1, 1, 1]):
        answer = post(server, "predict", data)
        assert "event: error" in answer and "Traceback" not in answer and "site-packages" not in answer


def test_an_upload_above_the_limit_is_refused_and_leaves_nothing(server):
    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    before = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    def parts():
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="big.jpg"\r\n\r\n'
        for _ in range(200):
            yield b"\0" * 2**20
        yield b"\r\n--x--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    try:
        answer = httpx.post(f"{server}gradio_api/upload", content=parts(), headers=headers, timeout=60)
        assert answer.status_code == 413 and "Traceback" not in answer.text
    except httpx.WriteError:
        pass  # the server hung up before everything was sent
    after = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert after - before < 2**20


def test_a_full_queue_is_told(small_checkpoint, monkeypatch, pictures):
    from concurrent.futures import ThreadPoolExecutor

    from modeling_mlnet.demo import page

    monkeypatch.setattr(page, "QUEUE", 1)
    with serving(str(small_checkpoint), quiet=True) as address:

        def ask(_):
            try:
                return Client(address, verbose=False).predict(handle_file(pictures[0]), api_name="/predict")
            except Exception as error:
                return str(error)

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(ask, range(12)))
    full = [one for one in answers if isinstance(one, str)]
    assert len(full) < 12 and all("full" in one.lower() for one in full)


def test_temporary_files_go_while_it_runs_and_when_it_ends(small_checkpoint, pictures):
    with serving(str(small_checkpoint), ROOT / "demo" / "examples", keep=1, quiet=True) as address:
        folder = Path(os.environ["GRADIO_TEMP_DIR"])

        def files():
            return {path.name for path in folder.rglob("*") if path.is_file()}

        examples = {path.name for path in (ROOT / "demo" / "examples").glob("*.jpg")}
        assert files() == examples
        Client(address, verbose=False).predict(handle_file(pictures[0]), api_name="/predict")
        assert files() > examples
        until = time.monotonic() + 20
        while files() != examples:
            assert time.monotonic() < until
            time.sleep(0.2)
        # and it still works
        Client(address, verbose=False).predict(handle_file(pictures[0]), api_name="/predict")
    assert not folder.exists()


# --- the command, and the Space's folder


def test_the_space_s_folder_works_alone_and_ends_clean(tmp_path):
    import shutil
    import signal

    shutil.copytree(ROOT / "demo", tmp_path / "space")
    (tmp_path / "tmp").mkdir()
    environment = {
        **os.environ,
        **{"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"},
        **{"TMPDIR": str(tmp_path / "tmp"), "MODEL_ID": "mini", "GRADIO_SERVER_PORT": "0"},
    }
    environment.pop("GRADIO_SERVER_PORT")
    process = subprocess.Popen(
        [sys.executable, "-u", "app.py"],
        cwd=tmp_path / "space",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        line = next(line for line in process.stdout if "http://" in line)
        address = "http://" + line.split("http://")[1].strip() + "/"
        answer = Client(address, verbose=False).predict(handle_file(COFFEE), api_name="/predict")
        np.testing.assert_allclose(np.load(answer[2]), SaliencyPredictor("mini")(str(COFFEE)), atol=1e-4)
        assert "Astronaut" in httpx.get(address).text
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert not list((tmp_path / "tmp").glob("mlnet-demo-*"))


def test_the_front_matter_is_complete():
    import yaml

    text = (ROOT / "demo" / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(text.split("---")[1])
    keys = "title emoji colorFrom colorTo sdk sdk_version python_version app_file models tags short_description"
    assert set(front) >= {*keys.split(), "suggested_hardware", "license"}
    assert front["sdk"] == "gradio" and (ROOT / "demo" / front["app_file"]).is_file()
    assert len(front["short_description"]) <= 60  # the Hub's limit
    assert tuple(map(int, front["sdk_version"].split("."))) >= (6, 31)


def test_the_command_says_what_is_missing_and_what_is_wrong(tmp_path):
    blocked = (
        "import sys; sys.modules['gradio'] = None; sys.argv[1:] = ['demo']; from modeling_mlnet import cli; cli.main()"
    )
    result = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 2 and "mlnet-saliency[demo]" in result.stderr and "Traceback" not in result.stderr
    command = [sys.executable, "-m", "modeling_mlnet.cli", "demo", "--model", str(tmp_path / "none")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 2 and "no such checkpoint" in result.stderr and "Traceback" not in result.stderr


def test_a_port_that_is_taken_is_named(monkeypatch):
    import socket

    from typer.testing import CliRunner

    from modeling_mlnet.cli import app

    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["demo", "--port", str(port)])
    assert isinstance(result.exception, ValueError) and f"port {port} is taken" in str(result.exception)
