"""The web page in a real browser: what a visitor does with it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from browsing import PICTURES, give, open_tab, overlay_of, predicted
from demo_files import write_clip, write_hostile
from PIL import Image

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.analysis import find_spots


def test_a_picture_is_predicted_and_looked_at_without_the_network_again(open_page, monkeypatch):
    page = open_page()
    give(page, "predict-picture", "coffee.jpg")
    predicted(page)
    words = page.inner_text("#predict-words")
    with page.expect_download() as download:
        page.click("#predict-get-npy")
    values = np.load(download.value.path())
    assert words.startswith("Middle") and words.count("% of the predicted attention") == len(find_spots(values, 3)) > 1
    assert (
        values.shape == (400, 600) and values.dtype == np.float32 and download.value.suggested_filename == "coffee.npy"
    )
    with page.expect_download() as download:
        page.click("#predict-get-overlay")
    assert Image.open(download.value.path()).size == (600, 400)

    def refuse(*_, **__):
        raise AssertionError("the network ran")

    monkeypatch.setattr(SaliencyPredictor, "_predict", refuse)
    before = overlay_of(page)
    page.get_by_label("viridis").first.check()
    page.wait_for_function("before => document.querySelectorAll('#predict-slider img')[1].src !== before", arg=before)
    before = overlay_of(page)
    page.locator("#predict-opacity input[type=number]").fill("0")
    page.keyboard.press("Tab")
    page.wait_for_function("before => document.querySelectorAll('#predict-slider img')[1].src !== before", arg=before)
    page.wait_for_timeout(500)
    with page.expect_download() as download:
        page.click("#predict-get-overlay")
    shown = np.asarray(Image.open(download.value.path())).astype(int)
    assert np.abs(shown - np.asarray(Image.open(PICTURES / "coffee.jpg").convert("RGB"))).max() <= 1


def test_the_slider_moves_between_picture_and_overlay(open_page):
    page = open_page()
    give(page, "predict-picture", "coffee.jpg")
    predicted(page)
    pictures = page.locator("#predict-slider img")
    assert "saliency map" in pictures.nth(1).get_attribute("alt") and pictures.nth(0).get_attribute("alt")
    handle = page.locator("#predict-slider .outer, #predict-slider [class*=outer]").first
    box = handle.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    assert handle.bounding_box()["x"] > box["x"] + 100
    slider = page.get_by_role("slider", name="Divider")
    slider.focus()
    shares = []
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowLeft", "End"):
        page.keyboard.press(key)
        page.wait_for_timeout(100)
        shares.append(int(slider.get_attribute("aria-valuenow")))
    assert shares == pytest.approx([0, 5, 10, 5, 100], abs=1)


def test_a_picture_is_dropped(open_page):
    page = open_page()
    dropped = page.evaluate_handle(
        """bytes => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], 'coffee.jpg', {type: 'image/jpeg'})); return data; }""",
        list((PICTURES / "coffee.jpg").read_bytes()),
    )
    page.locator("#predict-picture button").first.dispatch_event("drop", {"dataTransfer": dropped})
    predicted(page)


def test_a_picture_is_pasted(open_page):
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async () => {
        const canvas = Object.assign(document.createElement('canvas'), {width: 90, height: 60});
        canvas.getContext('2d').fillRect(20, 20, 30, 30);
        const picture = await new Promise(done => canvas.toBlob(done, 'image/png'));
        await navigator.clipboard.write([new ClipboardItem({'image/png': picture})]);
        }"""
    )
    page.get_by_label("Paste from clipboard").first.click()
    predicted(page)


def test_the_webcam_s_picture_is_predicted(open_page):
    page = open_page()  # Chromium's own test camera
    page.get_by_label("Capture from camera").first.click()
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('#predict-picture video').currentTime > 0.2")
    page.get_by_label("capture photo").click()
    predicted(page)


def test_the_prior_switch_predicts_anew_and_a_removed_picture_takes_its_result_along(open_page):
    page = open_page()
    page.get_by_role("button", name="Chelsea").click()
    predicted(page)
    before = overlay_of(page)
    page.get_by_label("Apply the prior").first.uncheck()
    page.wait_for_function("before => document.querySelectorAll('#predict-slider img')[1]?.src !== before", arg=before)
    predicted(page)
    page.locator("#predict-picture").get_by_label("Remove Image").click()
    page.wait_for_selector("#predict-words:has-text('The result appears here')")
    assert page.locator("#predict-slider img").count() == 0 and page.locator("#predict-get-npy").is_disabled()


def test_boxes_are_drawn_with_two_clicks_or_typed(open_page):
    page = open_page()
    open_tab(page, "Regions")

    def remove_and_give(name):
        page.locator("#regions-picture").get_by_label("Remove Image").click()
        give(page, "regions-picture", name)

    give(page, "regions-picture", "coffee.jpg")
    picture = page.locator("#regions-picture img")
    picture.wait_for()
    box = picture.bounding_box()
    scale = min(box["width"] / 600, box["height"] / 400)
    left, top = (box["width"] - 600 * scale) / 2, (box["height"] - 400 * scale) / 2
    for x, y in ((400, 300), (100, 60)):
        picture.click(position={"x": left + x * scale, "y": top + y * scale})
        page.wait_for_timeout(300)
        page.wait_for_selector(
            "#regions-hint:has-text('opposite corner')" if x == 400 else "#regions-hint:has-text('added')"
        )
    page.wait_for_selector("#regions-shown img")  # the box in the picture, before anything is measured
    x, y, width, height = (int(one) for one in page.input_value("#regions-boxes textarea").split(","))
    assert abs(x - 100) <= 3 and abs(y - 60) <= 3 and abs(width - 300) <= 5 and abs(height - 240) <= 5
    page.fill("#regions-boxes textarea", f"{x}, {y}, {width}, {height}\ncorner: 0, 0, 60, 40")
    page.click("#regions-button")
    page.wait_for_selector("#regions-table td")
    rows = page.locator("#regions-table tbody tr").all_inner_texts()
    assert (
        rows[0].split("\t")[0] == "1" and rows[1].split("\t")[0] == "corner" and rows[1].split("\t")[-1].strip() == "2"
    )
    with page.expect_download() as download:
        page.click("#regions-get-csv")
    assert download.value.path().read_text().startswith("name,x,y,width,height,share")
    with page.expect_download() as download:
        page.click("#regions-get-json")
    assert [row["name"] for row in json.loads(download.value.path().read_text())["regions"]] == ["1", "corner"]
    # no result stands beside another picture or another prior than its own
    for change in (lambda: page.locator("#regions-prior input").click(), lambda: remove_and_give("rocket.jpg")):
        page.wait_for_selector("#regions-table td")
        change()
        page.wait_for_selector("#regions-table td", state="detached")
        assert page.locator("#regions-shown img").count() == 0 and page.locator("#regions-get-csv").is_disabled()
        page.click("#regions-button")


def test_two_designs_are_compared(open_page):
    page = open_page()
    open_tab(page, "Compare")
    give(page, "compare-first", "coffee.jpg")
    give(page, "compare-second", "rocket.jpg")
    page.locator("#compare-second img").wait_for()
    page.click("#compare-button")
    page.wait_for_selector("#compare-table td")
    rows = [row.split("\t") for row in page.locator("#compare-table tbody tr").all_inner_texts()]
    assert len(rows) == 9 and abs(sum(float(row[3]) for row in rows)) < 0.5
    page.wait_for_selector("#compare-shown-first img")
    page.wait_for_selector("#compare-shown-second img")
    for name in ("csv", "json"):
        with page.expect_download() as download:
            page.click(f"#compare-get-{name}")
        assert "difference" in download.value.path().read_text()
    page.locator("#compare-prior input").click()
    page.wait_for_selector("#compare-table td", state="detached")
    assert page.locator("#compare-shown-first img").count() == 0


def test_why(open_page):
    page = open_page()
    open_tab(page, "Why")
    give(page, "why-picture", "coffee.jpg")
    page.locator("#why-picture img").wait_for()
    page.click("#why-button")
    page.wait_for_selector("#why-words td")
    assert "stride 32" in page.inner_text("#why-words") and "The prior multiplies the map" in page.inner_text(
        "#why-words"
    )
    assert "the coarsest level, moves this map most" in page.inner_text("#why-words")
    for number in range(4):
        page.wait_for_selector(f"#why-{number} img")
    page.locator("#why-prior input").click()
    page.wait_for_selector("#why-words td", state="detached")
    assert page.locator("#why-0 img").count() == 0


def test_a_clip_is_rendered_and_can_be_cancelled(open_page, tmp_path):
    page = open_page()
    open_tab(page, "Video")
    assert "60 seconds" in page.inner_text("main") and page.is_disabled("#video-cancel")
    page.set_input_files(
        "#video-clip input[type=file]", write_clip(tmp_path / "long.mp4", seconds=50, size=(480, 320))
    )
    page.locator("#video-clip video").wait_for()
    page.evaluate(
        """() => { const button = document.getElementById('video-button'); window.off = 0;
        new MutationObserver(() => { window.off += button.disabled; }).observe(button, {attributes: true}); }"""
    )
    for times in range(3):  # at once: nothing of the cancelled run may hold the next one up
        page.click("#video-button")
        page.wait_for_selector("#video-status:has-text('of about 400')")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "video-cancel"
        page.keyboard.press("Enter")
        page.wait_for_selector("#video-cancelled:has-text('Cancelled')")
        page.wait_for_selector("#video-cancel:disabled")
        assert page.evaluate("window.off") > times  # while the page would have dropped a press
    page.wait_for_timeout(1000)
    assert page.locator("#video-cancelled").is_visible() and not page.locator("#video-status").is_visible()
    page.locator("#video-clip").get_by_label("Clear").or_(
        page.locator("#video-clip button[title='Clear']")
    ).first.click()
    page.set_input_files("#video-clip input[type=file]", write_clip(tmp_path / "short.mp4", seconds=1))
    page.locator("#video-clip video").wait_for()
    page.click("#video-button")
    page.wait_for_selector("#video-status:has-text('8 frames. Attention is most concentrated')")
    page.wait_for_selector("#video-cancel:disabled")
    page.wait_for_selector("#video-shown video")
    page.wait_for_selector("#video-curve canvas, #video-curve svg.marks")
    (tmp_path / "text.mp4").write_text("no film")
    page.locator("#video-clip").get_by_label("Clear").or_(
        page.locator("#video-clip button[title='Clear']")
    ).first.click()
    page.wait_for_selector("#video-shown video", state="detached")
    page.set_input_files("#video-clip input[type=file]", tmp_path / "text.mp4")
    page.click("#video-button")
    page.wait_for_selector("text=cannot be read as a video")
    page.wait_for_selector("#video-status:has-text('No result.')")
    left = [path.name for path in Path(os.environ["GRADIO_TEMP_DIR"]).rglob("*.saliency.mp4")]
    assert left == ["short.saliency.mp4"]


def test_errors_are_one_clear_line(open_page, tmp_path):
    page = open_page()
    page.click("#predict-button")
    page.wait_for_selector("text=Choose a picture first.")
    bad = tmp_path / "<img src=x onerror=alert(1)>.jpg"
    bad.write_bytes(b"%PDF-1.7")
    (tmp_path / "heavy.jpg").write_bytes(b"")
    os.truncate(tmp_path / "heavy.jpg", 41 * 2**20)
    hostile = {bad: "it is a PDF; save the page as an image", tmp_path / "heavy.jpg": "pictures may have up to 40 MB"}
    for path, message in {**hostile, **write_hostile(tmp_path)}.items():
        page.set_input_files("#predict-picture input[type=file]", path)
        page.wait_for_selector(f"text={message}")
        page.wait_for_selector("#predict-status:has-text('No result.')")
        page.locator("#predict-picture").get_by_label("Remove Image").click()
        page.wait_for_selector("#predict-status:has-text('Choose a picture')")
    assert "Traceback" not in page.content() and page.locator("img[src=x]").count() == 0


def test_a_file_above_the_limit_is_refused_in_words(open_page, tmp_path):
    page = open_page()
    (tmp_path / "huge.jpg").write_bytes(b"")
    os.truncate(tmp_path / "huge.jpg", 101 * 2**20)
    page.set_input_files("#predict-picture input[type=file]", tmp_path / "huge.jpg")
    page.wait_for_selector("text=/maximum (allowed|file) size/i")
    open_page.said.clear()  # gradio's own code says it in the console as well


def test_the_card_opens_from_its_link(open_page):
    page = open_page()
    assert not page.locator("#model-card .prose.card").is_visible()
    page.click("#about a:has-text('Model card')")
    page.locator("#model-card .prose.card").wait_for()
    page.click("#about a:has-text('Model card')")  # and stays open
    assert page.locator("#model-card .prose.card").is_visible()
