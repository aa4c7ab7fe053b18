"""The page that predicts in the browser, in headless Chromium: its maps against Python's, and what a visitor does."""

import base64
import io
import json

import numpy as np
import pytest
from browsing import CONTRAST, IMAGES, fits, serious_findings
from conftest import RESULTS
from PIL import Image
from playwright.sync_api import expect
from typer.testing import CliRunner
from web_site import npm_package, serve

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.analysis import Box, best_crop, find_spots, measure_regions
from modeling_mlnet.cli import app
from modeling_mlnet.io.overlay import overlay, palette

EXAMPLES = ("astronaut.jpg", "chelsea.jpg", "coffee.jpg", "rocket.jpg")

# Bytes of image files in, maps out, through the module alone
MAPS = """async ([files, recording]) => {
  const {load, decode} = await import("/mlnet-saliency-web/index.js");
  const ort = await import("/onnxruntime-web/ort.wasm.bundle.min.mjs");
  const predictor = window.predictor ??= await load("/model", ort);
  const results = [];
  for (const file of files) {
    const bytes = Uint8Array.from(atob(file), (c) => c.charCodeAt(0));
    const image = await decode(new Blob([bytes]));
    const {map, spots} = await predictor.predict(image, {recording: recording ?? undefined});
    let text = "";
    for (const byte of new Uint8Array(map.data.buffer)) text += String.fromCharCode(byte);
    results.push({width: map.width, height: map.height, data: btoa(text), spots});
  }
  return results;
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the embedded checkpoint."""
    folder = tmp_path_factory.mktemp("web") / "site"
    words = ["export", "mini", "--web", str(folder), "--onnxruntime-web", str(npm_package())]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{folder / 'index.html'}: network of ") and "correlation with" in result.stdout
    return folder


@pytest.fixture(scope="module")
def address(site):
    with serve(site, is_isolated=False) as address:  # one thread: several wait in loops, which cores in use make long
        yield address


@pytest.fixture(scope="module")
def predictor():
    return SaliencyPredictor("mini", device="cpu", dtype="float32")


@pytest.fixture
def open_site(browser, address, request):
    """Opens the page with its first example answered; no other server may be asked."""
    pages, complaints, foreign = [], [], []

    def guard(route):
        is_own = route.request.url.startswith((address, "blob:"))
        foreign.extend([] if is_own else [route.request.url])
        route.continue_() if is_own else route.abort()

    def go(width=1280, height=900, scheme="light", **options):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **options)
        context.route("**/*", guard)
        page = context.new_page()
        pages.append(page)
        page.set_default_timeout(60_000)
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        answered(page)
        return page

    yield go
    if request.node.report_call.failed:
        RESULTS.mkdir(parents=True, exist_ok=True)
        for number, page in enumerate(pages):
            page.screenshot(path=RESULTS / f"{request.node.name}-{number}.png", full_page=True)
    for page in pages:
        page.context.close()
    assert not complaints and not foreign


def answered(page, width=None):
    expect(page.locator("#status")).to_contain_text(f"{width} x " if width else "pixels", timeout=120_000)


def downloaded(page, kind):
    with page.expect_download() as download:
        page.click(f"#downloads button[value={kind}]")
    return download.value


def encoded(image: Image.Image, name: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def variants() -> dict[str, bytes]:
    """The examples, one turned by its EXIF data, one transparent, one smaller than the map's grid."""
    files = {name: (IMAGES / name).read_bytes() for name in EXAMPLES}
    image = Image.open(IMAGES / "coffee.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    files["turned"] = encoded(image, "JPEG", exif=exif, quality=95)
    transparent = image.convert("RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize(image.size))
    files["transparent"] = encoded(transparent, "PNG")
    files["small"] = encoded(image.resize((40, 27)), "PNG")
    return files


def test_maps_and_colours_are_pythons(open_site, predictor):
    page, files = open_site(), variants()
    for recording in predictor.recordings or [None]:
        results = page.evaluate(MAPS, [[base64.b64encode(file).decode() for file in files.values()], recording])
        for (name, file), result in zip(files.items(), results, strict=True):
            expected = predictor(file, recording=recording)
            outcome = np.frombuffer(base64.b64decode(result["data"]), np.float32)
            assert (result["height"], result["width"]) == expected.shape, name
            assert np.corrcoef(outcome, expected.ravel())[0, 1] >= 0.9995, name
            spots = find_spots(outcome.reshape(expected.shape))
            assert [spot["where"] for spot in result["spots"]] == [spot.where for spot in spots], name
    colours = page.evaluate("import('/mlnet-saliency-web/overlay.js').then(({PALETTE}) => [...PALETTE])")
    assert np.abs(np.reshape(colours, (256, 3)) - palette("inferno")).max() < 2


def test_a_visitor_on_a_desk(open_site, predictor, tmp_path):
    page = open_site()
    page.set_input_files("#file", IMAGES / "coffee.jpg")
    answered(page, 600)
    expected = predictor(IMAGES / "coffee.jpg", recording=(predictor.recordings or [None])[0])
    assert page.locator("#spots li").count() == len(find_spots(expected))
    assert page.locator("#marks span").count() == page.locator("#spots li").count()

    canvas = page.locator("#canvas").bounding_box()
    left, top = canvas["x"] + canvas["width"] / 4, canvas["y"] + canvas["height"] / 4
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left + canvas["width"] / 2, top + canvas["height"] / 2, steps=4)
    page.mouse.up()
    page.fill("#name", "cup")
    page.keyboard.press("Enter")
    expect(page.locator("#regions li")).to_have_count(1)
    page.get_by_label("16:9", exact=True).check()
    numbers = json.loads(downloaded(page, "json").path().read_text(encoding="utf-8"))
    (region,) = numbers["regions"]
    box = Box(*(region[key] for key in ("name", "x", "y", "width", "height")))
    assert (region["name"], region["width"]) == ("cup", pytest.approx(300, abs=2))
    assert region["share"] == pytest.approx(measure_regions(expected, [box])[0].share, abs=0.01)
    crop = best_crop(expected, "16:9")
    assert numbers["crop"]["y"] == pytest.approx(crop.y, abs=8) and numbers["crop"]["height"] == crop.height
    assert Image.open(downloaded(page, "crop").path()).size == (crop.width, crop.height)

    for style in ("heat", "spotlight"):
        page.get_by_label(style.title(), exact=True).check()
        download = downloaded(page, "shown")
        shown = np.asarray(Image.open(download.path()).convert("RGB")).astype(int)
        wanted = np.asarray(overlay(np.asarray(Image.open(IMAGES / "coffee.jpg")), expected, style=style))
        assert download.suggested_filename == f"coffee.{style}.png" and np.abs(shown - wanted).mean() < 1
    saliency_map = np.asarray(Image.open(downloaded(page, "map").path()).convert("L")) / 255
    assert np.corrcoef(saliency_map.ravel(), expected.ravel())[0, 1] >= 0.999

    assert serious_findings(page) == []
    page.locator(".box").focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.get_by_role("button", name="Delete cup").click()
    expect(page.locator("#regions li")).to_have_count(0)
    assert page.evaluate(CONTRAST) == [] and fits(page)


def test_a_visitor_with_a_phone(open_site):
    page = open_site(390, 844, "dark", has_touch=True, is_mobile=True, permissions=["camera"])
    page.set_input_files("#file", {"name": "note.txt", "mimeType": "text/plain", "buffer": b"no image"})
    expect(page.get_by_role("alert")).to_contain_text("note.txt cannot be read as an image")
    page.evaluate(
        """bytes => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], 'rocket.jpg', {type: 'image/jpeg'}));
        document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true})); }""",
        list((IMAGES / "rocket.jpg").read_bytes()),
    )
    answered(page, 640)
    assert page.get_by_role("alert").inner_text()  # it stays until it is closed
    page.get_by_role("button", name="Close").click()
    page.click("#camera")
    page.wait_for_function("document.querySelector('video').videoWidth > 0")
    page.get_by_role("button", name="Take the image").click()
    expect(page.locator("#camera-dialog")).to_be_hidden()
    page.locator("#examples button").nth(1).click()
    answered(page, 451)
    assert page.locator("#examples [aria-current]").count() == 1
    page.click("#add")
    page.locator("#stage").press("Enter")
    page.keyboard.press("Enter")  # the proposed name
    expect(page.locator("#regions li")).to_contain_text("Region 1")
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, select, .button, .segments span, .check, summary")]
        .filter(e => e.offsetParent && (e.offsetHeight < 44 || e.offsetWidth < 44)).map(e => e.outerHTML)"""
    )
    assert small == [] and fits(page) and page.evaluate(CONTRAST) == []
    assert serious_findings(page) == []


def test_with_threads_and_kinds_of_recording(browser, site):
    """A server that isolates the page, and a choice where the checkpoint knows several kinds of recording."""
    config = json.loads((site / "model" / "model.json").read_text(encoding="utf-8"))
    config["recordings"] = ["eye", "mouse"]
    with serve(site) as address:
        page = browser.new_page()
        page.route("**/model.json", lambda route: route.fulfill(json=config))
        page.goto(address)
        answered(page)
        assert page.evaluate("crossOriginIsolated")
        assert page.get_by_label("Recorded with").locator("option").all_inner_texts() == ["an eye tracker", "a mouse"]
        page.close()


def test_the_page_in_one_file_opens_from_disk(browser, site):
    page, asked = browser.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "offline.html").as_uri())
    answered(page)
    own = ("blob:", "data:", (site / "offline.html").as_uri())
    assert [url for url in asked if not url.startswith(own)] == []
    page.close()
