"""The web page in a real browser: what a visitor does, on a desk, on a phone, and with the keyboard alone.

Screenshots of failures are kept in the folder MLNET_SCREENSHOTS, or in `test-results/`.
"""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright import sync_api as playwright

from modeling_mlnet.demo import serving
from modeling_mlnet.demo.regions import strongest

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "tests" / "fixtures" / "images"
EXAMPLES = ROOT / "demo" / "examples"
RESULTS = Path(os.environ.get("MLNET_SCREENSHOTS", ROOT / "test-results"))
INSTALL = "no Chromium: apt-get install chromium, or python -m playwright install chromium"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        system = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        try:
            started = driver.chromium.launch(executable_path=system, args=FLAGS.split())
        except playwright.Error:
            pytest.skip(INSTALL)
        yield started
        started.close()


@pytest.fixture(scope="module")
def server():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("HF_HUB_OFFLINE", "1")
        with serving("mini", EXAMPLES, quiet=True) as address:
            yield address


@pytest.fixture
def open_page(browser, server, request):
    """Opens the page; at the end nothing may stand in the console, and a failed test leaves a picture."""
    opened, said = [], []

    def go(width=1280, height=900, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(server)
        page.wait_for_selector("#predict-button")
        opened.append(page)
        return page

    yield go
    report = getattr(request.node, "report_call", None)  # of conftest.py
    if report is None or report.failed or said:
        RESULTS.mkdir(parents=True, exist_ok=True)
        for number, page in enumerate(opened):
            name = re.sub(r"\W+", "_", request.node.name)
            page.screenshot(path=RESULTS / f"{name}-{number}.png", full_page=True)
    for page in opened:
        page.context.close()
    assert not said


def give(page, place, name):
    page.set_input_files(f"#{place} input[type=file]", PICTURES / name)


def predicted(page):
    page.wait_for_selector("#predict-words ol")
    page.wait_for_selector("#predict-slider img >> nth=1")


def overlay_of(page):
    return page.get_attribute("#predict-slider img >> nth=1", "src")


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_picture_is_predicted_and_looked_at_without_the_network_again(open_page, server, monkeypatch):
    page = open_page()
    give(page, "predict-picture", "coffee.jpg")
    predicted(page)
    words = page.inner_text("#predict-words")
    with page.expect_download() as download:
        page.click("#predict-get-npy")
    values = np.load(download.value.path())
    assert words.startswith("Middle") and words.count("of the predicted attention") == len(strongest(values)) > 1
    assert (
        values.shape == (400, 600) and values.dtype == np.float32 and download.value.suggested_filename == "coffee.npy"
    )
    with page.expect_download() as download:
        page.click("#predict-get-overlay")
    assert Image.open(download.value.path()).size == (600, 400)

    from modeling_mlnet import MLNetModel

    def refuse(*_, **__):
        raise AssertionError("the network ran")

    monkeypatch.setattr(MLNetModel, "forward", refuse)
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
    page.get_by_role("tab", name="Regions").click()
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
    assert download.value.path().read_text().startswith("region,x,y,width,height,share")


def test_two_designs_are_compared(open_page):
    page = open_page()
    page.get_by_role("tab", name="Compare").click()
    give(page, "compare-first", "coffee.jpg")
    give(page, "compare-second", "rocket.jpg")
    page.locator("#compare-second img").wait_for()
    page.click("#compare-button")
    page.wait_for_selector("#compare-table td")
    rows = [row.split("\t") for row in page.locator("#compare-table tbody tr").all_inner_texts()]
    assert len(rows) == 9 and abs(sum(float(row[3]) for row in rows)) < 0.5
    page.wait_for_selector("#compare-shown-first img")
    page.wait_for_selector("#compare-shown-second img")


def test_why(open_page):
    page = open_page()
    page.get_by_role("tab", name="Why").click()
    give(page, "why-picture", "coffee.jpg")
    page.locator("#why-picture img").wait_for()
    page.click("#why-button")
    page.wait_for_selector("#why-words td")
    assert "stride 32" in page.inner_text("#why-words") and "The prior multiplies the map" in page.inner_text(
        "#why-words"
    )
    for number in range(4):
        page.wait_for_selector(f"#why-{number} img")


def test_a_clip_is_rendered_and_can_be_cancelled(open_page, tmp_path):
    from test_demo import write_clip

    page = open_page()
    page.get_by_role("tab", name="Video").click()
    assert "60 seconds" in page.inner_text("main")
    page.set_input_files(
        "#video-clip input[type=file]", write_clip(tmp_path / "long.mp4", seconds=50, size=(480, 320))
    )
    page.locator("#video-clip video").wait_for()
    page.click("#video-button")
    page.wait_for_selector("#video-status:has-text('of about 400')")
    page.click("#video-cancel")
    page.wait_for_selector("#video-cancelled:has-text('Cancelled')")
    page.wait_for_timeout(1000)
    assert page.locator("#video-cancelled").is_visible() and not page.locator("#video-status").is_visible()
    page.locator("#video-clip").get_by_label("Clear").or_(
        page.locator("#video-clip button[title='Clear']")
    ).first.click()
    page.set_input_files("#video-clip input[type=file]", write_clip(tmp_path / "short.mp4", seconds=1))
    page.locator("#video-clip video").wait_for()
    page.click("#video-button")
    page.wait_for_selector("#video-status:has-text('8 frames. Attention is most concentrated')")
    page.wait_for_selector("#video-shown video")
    page.wait_for_selector("#video-curve canvas, #video-curve svg.marks")
    left = [path.name for path in Path(os.environ["GRADIO_TEMP_DIR"]).rglob("*.saliency.mp4")]
    assert left == ["short.saliency.mp4"]


def test_errors_are_one_clear_line(open_page, tmp_path):
    page = open_page()
    page.click("#predict-button")
    page.wait_for_selector("text=Choose a picture first.")
    bad = tmp_path / "<img src=x onerror=alert(1)>.jpg"
    bad.write_bytes(b"%PDF-1.7")
    page.set_input_files("#predict-picture input[type=file]", bad)
    page.wait_for_selector("text=it is a PDF; save the page as a picture")
    assert "Traceback" not in page.content() and page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_every_tab_without_sideways_scrolling(open_page, scheme):
    page = open_page(360, 740, scheme)
    give(page, "predict-picture", "chelsea.jpg")
    predicted(page)
    assert fits(page)
    for name, button, done in (
        ("Regions", "#regions-button", "#regions-table td"),
        ("Compare", None, None),
        ("Why", "#why-button", "#why-words td"),
        ("Video", None, None),
    ):
        page.get_by_role("tab", name=name).click()
        if name == "Regions":
            page.fill("#regions-boxes textarea", "a rather long name of a region: 1,1,90,90")
        if button:
            page.click(button)
            page.wait_for_selector(done)
        assert fits(page), name
    too_low = page.evaluate(CONTRAST)
    assert not too_low, too_low


def test_the_keyboard_alone_is_enough(open_page):
    page = open_page()

    def tab_to(check, limit=60):
        for _ in range(limit):
            page.keyboard.press("Tab")
            if page.evaluate(f"(() => {{ const e = document.activeElement; return {check}; }})()"):
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                return outline
        raise AssertionError(f"never reached: {check}")

    tab_to("e.innerText.trim() === 'Coffee'")
    page.keyboard.press("Enter")
    predicted(page)
    before = overlay_of(page)
    assert tab_to("e.role === 'slider'") == "solid"
    tab_to("e.type === 'range'")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function("before => document.querySelectorAll('#predict-slider img')[1].src !== before", arg=before)
    tab_to("e.type === 'radio'")
    tab_to("e.innerText.trim() === 'Regions'")
    page.keyboard.press("Enter")
    tab_to("e.tagName === 'TEXTAREA'")
    page.keyboard.type("10, 10, 200, 200")
    assert tab_to("e.innerText.trim() === 'Measure'") == "solid"  # one sees where one is
    page.keyboard.press("Enter")
    page.wait_for_selector("#regions-table td")


def test_every_control_has_a_name(open_page):
    page = open_page()
    give(page, "predict-picture", "coffee.jpg")
    predicted(page)
    page.wait_for_timeout(300)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('main button, main input, main textarea, main img')]
        .filter(e => e.offsetParent !== null && e.type !== 'file')
        .filter(e => !(e.innerText || e.getAttribute('aria-label') || e.alt || e.title || e.labels?.length ||
                       e.getAttribute('aria-labelledby') || e.closest('label') ||
                       e.querySelector('img[alt]:not([alt=""])')))
        .map(e => e.outerHTML.slice(0, 200))"""
    )
    assert not nameless


# Every visible text against the first background behind it that is not transparent (WCAG 2, AA: 4.5, large 3 to 1).
CONTRAST = """() => {
  const parse = c => { const v = c.match(/[\\d.]+/g).map(Number); return v.length < 4 ? [...v, 1] : v; };
  const light = ([r, g, b]) => { const f = [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92
    : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c[3] > 0.9) return c; } return [255, 255, 255, 1]; };
  const low = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    const style = getComputedStyle(e);
    if (!own || !e.offsetParent || style.visibility === 'hidden' || e.disabled) continue;
    if (e.closest('[aria-hidden=true]')) continue;
    if (!/^rgb/.test(style.color) || +style.opacity < 1) continue;
    const [one, other] = [light(parse(style.color)), light(behind(e))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && +style.fontWeight >= 700);
    const text = e.textContent.trim().slice(0, 40);
    if (ratio < (large ? 3 : 4.5)) low.push(text + ' ' + ratio.toFixed(2) + ' ' + style.color);
  }
  return low;
}"""
