"""The web page in a real browser: what a visitor does with it."""

import json
import os
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from browsing import IMAGES, choose, download, draw, open_tab, predicted, shown
from demo_files import write_clip, write_hostile
from PIL import Image

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.analysis import find_spots


def test_the_page_opens_answered_and_looks_change_without_the_network(open_page, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network ran")

    monkeypatch.setattr(SaliencyPredictor, "stream", refuse)
    page = open_page()
    values = np.load(download(page, "get-npy").path())
    assert values.shape == (512, 512) and values.dtype == np.float32
    spots = find_spots(values, 3)
    assert page.locator("#viewer .mlnet-spot").count() == page.locator("#viewer li").count() == len(spots)
    assert page.locator("#viewer li").first.inner_text().endswith("of the image")
    alts = []
    for view in ("Spotlight", "Map", "Heat"):
        before = shown(page)
        page.get_by_label(view, exact=True).check()
        predicted(page, before)
        alts.append(page.locator("#viewer img").get_attribute("alt"))
    assert len(set(alts)) == 3 and alts[1].startswith("The saliency map alone. Most predicted attention: ")
    page.click("#advanced button")
    before = shown(page)
    page.locator("#opacity input[type=number]").fill("0")
    page.keyboard.press("Tab")
    predicted(page, before)
    image = np.asarray(Image.open(IMAGES / "astronaut.jpg").convert("RGB")).astype(int)
    is_image = lambda file: np.abs(np.asarray(Image.open(file.path())) - image).max() <= 1  # noqa: E731
    assert is_image(download(page, "get-overlay", is_image))


def test_an_image_is_chosen_dropped_pasted_or_taken_by_the_webcam(open_page):
    page = open_page()
    before = shown(page)
    choose(page, "choose", IMAGES / "coffee.jpg")
    predicted(page, before)
    of_coffee = download(page, "get-npy", lambda file: file.suggested_filename == "coffee.npy")
    assert of_coffee.suggested_filename == "coffee.npy"
    files = """async () => {
        const canvas = Object.assign(document.createElement('canvas'), {width: 90, height: 60});
        canvas.getContext('2d').fillRect(20, 20, 30, 30);
        const image = await new Promise(done => canvas.toBlob(done, 'image/png'));
        const data = new DataTransfer();
        data.items.add(new File([image], 'drawn.png', {type: 'image/png'}));
        return data; }"""
    for target, event, field in (("#image button", "drop", "dataTransfer"), ("body", "paste", "clipboardData")):
        page.locator("#image").get_by_label("Remove Image").click()
        page.wait_for_selector("#viewer p:has-text('Choose an image')")
        page.wait_for_function("document.querySelector('#get-npy').disabled")
        assert page.locator("#viewer img").is_hidden()
        data = page.evaluate_handle(files)
        page.evaluate(
            """([selector, type, field, data]) => {
            const options = {[field]: data, bubbles: true, cancelable: true};
            const made = new (type === 'drop' ? DragEvent : ClipboardEvent)(type, options);
            document.querySelector(selector).dispatchEvent(made); }""",
            [target, event, field, data],
        )
        page.wait_for_selector("#viewer p:not(:has-text('Choose an image'))")
        page.wait_for_selector("#viewer img")
    page.locator("#image").get_by_label("Remove Image").click()
    page.wait_for_selector("#viewer p:has-text('Choose an image')")
    page.get_by_label("Capture from camera").first.click()  # Chromium's own test camera
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('#image video')?.currentTime > 0.2")
    page.get_by_label("capture photo").click()
    page.wait_for_selector("#viewer img")
    # gradio may ask for the progress of an upload that has ended already
    open_page.said[:] = [line for line in open_page.said if not line.startswith(("Failed to load", "Response"))]


def test_boxes_are_drawn_named_measured_and_removed(open_page):
    page = open_page()
    open_tab(page, "Regions")
    assert page.locator("#regions .mlnet-hint").inner_text().startswith("Drag over a part of the image")
    draw(page, "regions", (0.3, 0.1), (0.7, 0.5), "face: <b>")
    draw(page, "regions", (0.9, 0.98), (0.02, 0.9))  # from any corner, without a name
    rows = page.locator("#regions .mlnet-bars li")
    page.wait_for_function("[...document.querySelectorAll('#regions li')].every(e => e.innerText.includes('%'))")
    first, second = rows.all_inner_texts()
    assert "face <b>" in first and "2 " in second and page.locator("#regions b").count() == 0
    document = json.loads(download(page, "regions-get-json").path().read_text())
    face = document["regions"][0]
    assert (face["x"], face["y"]) == pytest.approx((0.3 * 512, 0.1 * 512), abs=4)
    assert f"{100 * face['share']:.0f} %" in first and f"{face['ratio']:.1f} x" in first
    page.click("#regions-type button")
    assert len(page.input_value("#regions-boxes textarea").splitlines()) == 2
    page.get_by_label("Remove face").click()
    page.wait_for_function("document.querySelectorAll('#regions .mlnet-box').length === 1")
    page.wait_for_function("!document.querySelector('#regions-boxes textarea').value.includes('face')")
    page.fill("#regions-boxes textarea", "all: 0, 0, 512, 512\n0, 0, 9, 9")
    page.click("#regions-button")
    page.wait_for_selector("#regions li:has-text('100 %, 1.0 x')")
    page.fill("#regions-boxes textarea", "all: 0, 0, 999, 512")
    page.click("#regions-button")
    page.wait_for_selector("#notice :text('reaches beyond the image of 512 x 512 px')")
    before = shown(page)
    page.get_by_role("button", name="Chelsea").click()  # no box of one image stays on another
    page.wait_for_selector("#regions .mlnet-box", state="detached")
    page.wait_for_selector("#notice", state="hidden")
    open_tab(page, "Map")
    predicted(page, before)


def test_crops_are_shown_and_written(open_page):
    page = open_page()
    open_tab(page, "Crop")
    assert page.locator("#crops figure").count() == 4
    page.get_by_label("21:9").check()
    page.wait_for_selector("#crops figcaption:has-text('21:9 keeps')")
    page.click("#crop-button")
    page.wait_for_selector("#crop-get")
    with ZipFile(download(page, "crop-get").path()) as archive:
        assert len(archive.namelist()) == 6 and "crops.json" in archive.namelist()


def test_two_designs_are_compared_with_boxes_on_each(open_page):
    page = open_page()
    open_tab(page, "Compare")
    choose(page, "compare-choose", IMAGES / "coffee.jpg")
    page.wait_for_selector("#compare-words li")
    assert page.locator("#compare-words li").count() == 9
    assert page.locator("#compare-second .mlnet-hint").inner_text().startswith("Drag over the same part of design B")
    draw(page, "compare-first", (0.1, 0.1), (0.6, 0.6), "button")
    page.wait_for_selector("#compare-words p:has-text('the same places are measured')")
    draw(page, "compare-second", (0.4, 0.3), (0.8, 0.8))  # its name is proposed
    page.wait_for_selector("#compare-words p:has-text('the same places')", state="detached")
    assert page.locator("#compare-words p").first.inner_text().startswith("The button gets")
    is_new = lambda file: not json.loads(file.path().read_text())["same_place"]  # noqa: E731
    document = json.loads(download(page, "compare-get-json", is_new).path().read_text())
    assert not document["same_place"] and [row["name"] for row in document["regions"]] == ["button"]
    assert download(page, "compare-get-csv").path().read_text().startswith("name,first,second")


def test_a_folder_gives_a_report(open_page, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    page = open_page()
    open_tab(page, "Folder")
    choose(page, "folder-multiple", *sorted(IMAGES.glob("*.jpg")), tmp_path / "broken.jpg")
    report = page.frame_locator("#folder-report iframe")
    report.locator("tbody tr").nth(3).wait_for()
    report.locator("th button:has-text('Focus')").click()  # its script runs in the frame
    page.wait_for_selector("#folder-words:has-text('4 of 5 images.')")
    assert "<table" in download(page, "folder-get-html").path().read_text()


def test_why(open_page):
    page = open_page()
    open_tab(page, "Why")
    page.click("#why-button")
    page.wait_for_selector("#why-words p:has-text('decide')")
    assert "The prior multiplies the map" in page.inner_text("#why-words")
    page.wait_for_function("document.querySelectorAll('#why-panels img').length >= 4")
    assert not page.locator("#why-figures td").first.is_visible()
    page.click("#why-figures button")
    page.locator("#why-figures td").first.wait_for()


def test_a_clip_is_rendered_with_its_regions_and_can_be_cancelled(open_page, tmp_path):
    page = open_page()
    open_tab(page, "Video")
    page.locator("#image").wait_for(state="hidden")
    assert page.is_disabled("#video-cancel")
    clip = write_clip(tmp_path / "long.mp4", seconds=50, size=(480, 320))
    page.set_input_files("#video-clip input[type=file]", clip)
    page.locator("#video-boxes img").wait_for()
    for _ in range(2):  # at once: nothing of the cancelled run may hold the next one up
        page.click("#video-button")
        page.wait_for_selector("#video-words:has-text('of about 400')")
        page.click("#video-cancel")
        page.wait_for_selector("#video-words:has-text('Cancelled')")
    page.wait_for_timeout(1000)
    assert page.locator("#video-words").inner_text().strip() == "Cancelled."
    (tmp_path / "text.mp4").write_text("no film")
    for path in (tmp_path / "text.mp4", write_clip(tmp_path / "short.mp4", seconds=1)):
        page.locator("#video-clip").get_by_label("Clear").or_(
            page.locator("#video-clip button[title='Clear']")
        ).first.click()
        page.set_input_files("#video-clip input[type=file]", path)
        if path.name == "text.mp4":
            page.wait_for_selector("#notice :text('cannot be read as a video')")
    page.locator("#video-boxes img").wait_for()
    draw(page, "video-boxes", (0, 0), (0.5, 1), "left half")
    page.click("#video-button")
    page.wait_for_selector("#video-words p:has-text('Attention is most concentrated')")
    assert "left half:" in page.inner_text("#video-words")
    page.wait_for_selector("#video-shown video")
    page.wait_for_selector("#video-curve canvas, #video-curve svg.marks")
    left = [path.name for path in Path(os.environ["GRADIO_TEMP_DIR"]).rglob("*.saliency.mp4")]
    assert "short.saliency.mp4" in left and "long.saliency.mp4" not in left


def test_what_goes_wrong_stays_on_the_page_in_one_line(open_page, tmp_path):
    page = open_page()
    bad = tmp_path / "<img src=x onerror=alert(1)>.jpg"
    bad.write_bytes(b"%PDF-1.7")
    (tmp_path / "heavy.jpg").write_bytes(b"")
    os.truncate(tmp_path / "heavy.jpg", 41 * 2**20)
    hostile = {bad: "it is a PDF; save the page as an image", tmp_path / "heavy.jpg": "images may have up to 40 MB"}
    for path, message in {**hostile, **write_hostile(tmp_path)}.items():
        choose(page, "choose", path)
        page.wait_for_selector(f"#notice [role=alert]:has-text('{message}')")
        page.wait_for_selector("#viewer img", state="hidden")
        page.wait_for_selector("#image img", state="detached")
    (tmp_path / "huge.jpg").write_bytes(b"")
    os.truncate(tmp_path / "huge.jpg", 101 * 2**20)
    choose(page, "choose", tmp_path / "huge.jpg")
    page.wait_for_selector("#notice [role=alert]:has-text('files may have up to 100 MB')")
    page.wait_for_timeout(11_000)  # as long as gradio's own messages stay
    assert page.locator("#notice [role=alert]").is_visible() and "Traceback" not in page.content()
    page.click("#notice button")
    assert page.locator("#notice [role=alert]").is_hidden() and page.locator("img[src=x]").count() == 0


def test_an_address_reproduces_a_view(open_page):
    page = open_page()
    before = shown(page)
    page.get_by_role("button", name="Design").click()
    predicted(page, before)
    page.get_by_label("Spotlight").check()
    page.click("#advanced button")
    page.get_by_label("grey").check()
    open_tab(page, "Regions")
    draw(page, "regions", (0.05, 0.2), (0.4, 0.4), "headline")
    page.wait_for_selector("#regions li:has-text('%')")
    page.wait_for_function("window.location.search.includes('headline')")
    query = page.evaluate("window.location.search")
    again = open_page(query=query)
    again.wait_for_selector("#regions li:has-text('headline')")
    for here in (page, again):
        open_tab(here, "Map")
    again.wait_for_function("document.querySelector('#viewer img').alt.startsWith('The image, dark')")
    assert again.locator("#viewer img").get_attribute("alt") == page.locator("#viewer img").get_attribute("alt")
    assert again.evaluate("window.location.search") == query.replace("tab=regions&", "")
    messages = {
        "?opacity=x": "must be a number from 0 to 1",
        "?example=Nobody": "is not offered here",
        "?prior=maybe": "prior=maybe, not one of true, false",
        "?tab=maps": "tab=maps, not one of map, regions",
    }
    for query, message in messages.items():
        wrong = open_page(query=query)
        wrong.wait_for_selector(f"#notice :text('{message}')")
        assert wrong.evaluate("window.location.search") == ""


def test_the_card_opens_from_below(open_page):
    page = open_page()
    assert not page.locator("#model-card table").first.is_visible()
    page.click("#model-card button")
    page.locator("#model-card table").first.wait_for()
