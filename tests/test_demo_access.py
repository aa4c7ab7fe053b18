"""The web page in a real browser: on a phone, with the keyboard alone, by a screen reader, in both schemes."""

import time

import pytest
from browsing import CONTRAST, PICTURES, fits, give, open_tab, overlay_of, predicted
from demo_files import write_clip

from modeling_mlnet import SaliencyPredictor

# Controls and pictures in sight without a name that a screen reader could say.
NAMELESS = """() => [...document.querySelectorAll('main button, main input, main textarea, main img, main progress')]
    .filter(e => e.offsetParent !== null && e.type !== 'file')
    .filter(e => !(e.innerText || e.getAttribute('aria-label') || e.alt || e.title || e.labels?.length ||
                   e.getAttribute('aria-labelledby') || e.closest('label') ||
                   e.querySelector('img[alt]:not([alt=""])')))
    .map(e => e.outerHTML.slice(0, 200))"""


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", seconds=1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_tab_with_its_result_fits_a_phone_is_legible_and_has_names(open_page, scheme, clip):
    page = open_page(360, 740, scheme)

    def check(where):
        page.wait_for_timeout(300)
        assert fits(page), where
        assert not page.evaluate(CONTRAST), (where, page.evaluate(CONTRAST))
        assert not page.evaluate(NAMELESS), (where, page.evaluate(NAMELESS))

    check("empty")
    give(page, "predict-picture", "chelsea.jpg")
    predicted(page)
    check("Predict")
    for name in ("Regions", "Compare", "Why", "Video"):
        open_tab(page, name)
        if name == "Regions":
            page.fill("#regions-boxes textarea", "a rather long name of a region: 1,1,90,90")
        if name == "Compare":
            give(page, "compare-first", "coffee.jpg")
            give(page, "compare-second", "rocket.jpg")
            page.locator("#compare-second img").wait_for()
        if name == "Video":
            page.set_input_files("#video-clip input[type=file]", clip)
            page.locator("#video-clip video").wait_for()
        page.click(f"#{name.lower()}-button")
        page.wait_for_selector(
            {"Why": "#why-words td", "Video": "#video-status:has-text('most concentrated')"}.get(
                name, f"#{name.lower()}-table td"
            )
        )
        check(name)
    page.click("#about a:has-text('Model card')")
    page.locator("#model-card .prose.card").wait_for()
    check("card")


def test_on_a_phone_waiting_and_the_result_show_beside_the_picture(open_page, monkeypatch):
    pass_on = SaliencyPredictor._predict
    monkeypatch.setattr(
        SaliencyPredictor, "_predict", lambda *given, **options: time.sleep(4) or pass_on(*given, **options)
    )
    page = open_page(360, 740, touch=True)
    give(page, "predict-picture", "rocket.jpg")
    page.wait_for_selector("#predict-status:has-text('Looking at the picture')", timeout=3000)  # and not the result
    status = page.locator("#predict-status")
    assert status.bounding_box()["y"] + status.bounding_box()["height"] < 740
    predicted(page)
    assert "Done. Strongest:" in status.inner_text()
    status.get_by_role("link", name="To the result").tap()
    page.wait_for_function("Math.abs(document.querySelector('#predict-slider').getBoundingClientRect().top) < 50")
    handle = page.get_by_role("slider", name="Divider")
    before = handle.bounding_box()
    x, y = before["x"] + before["width"] / 2, before["y"] + before["height"] / 2
    touch = page.context.new_cdp_session(page)
    for kind, at in (("touchStart", x), ("touchMove", x + 30), ("touchMove", x + 90), ("touchEnd", None)):
        points = [] if at is None else [{"x": at, "y": y}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert handle.bounding_box()["x"] > before["x"] + 60


def test_what_changes_by_itself_is_announced(open_page):
    page = open_page()
    for name in ("predict-status", "predict-words"):
        page.locator(f"#{name}[role=status][aria-live=polite]").wait_for()
    give(page, "predict-picture", "coffee.jpg")
    predicted(page)
    page.locator("[aria-live]", has_text="Done. Strongest:").first.wait_for()
    page.wait_for_timeout(500)
    said = page.evaluate("[...document.querySelectorAll('[aria-live]')].map(e => e.textContent.trim())")
    assert "common.complete" not in said
    alt = page.get_attribute("#predict-map img", "alt")
    assert alt.startswith("The saliency map alone. Most predicted attention: middle")
    open_tab(page, "Regions")
    for name in ("regions-hint", "regions-table"):
        page.locator(f"#{name}[role=status][aria-live=polite]").wait_for(state="attached")


def test_the_keyboard_alone_is_enough(open_page, clip):
    page = open_page()
    choosers = []  # from the start, as one that opens before the browser is told so is lost
    page.on("filechooser", lambda chooser: choosers.append(chooser))

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
    page.keyboard.press("Escape")

    def choose(place, path, label="Drop a picture"):
        tab_to(f"e.closest('#{place}') && e.innerText.includes('{label}')")
        page.keyboard.press("Enter")
        for _ in range(300):
            if choosers:
                return choosers.pop().set_files(path)
            page.wait_for_timeout(100)
        raise AssertionError(f"no file can be chosen for {place}")

    def tab(name):
        page.locator("#predict-button, [role=tab]").first.focus()
        tab_to(f"e.innerText.trim() === '{name}'")
        page.keyboard.press("Enter")

    tab_to("e.closest('#regions-get-csv')")
    with page.expect_download():
        page.keyboard.press("Enter")
    tab("Compare")
    choose("compare-first", PICTURES / "coffee.jpg")
    page.locator("#compare-first img").wait_for()
    choose("compare-second", PICTURES / "rocket.jpg")
    page.locator("#compare-second img").wait_for()
    tab_to("e.innerText.trim() === 'Compare' && e.id === 'compare-button'")
    page.keyboard.press("Enter")
    page.wait_for_selector("#compare-table td")
    tab("Why")
    tab_to("e.innerText.trim() === 'Explain'")
    page.keyboard.press("Enter")
    page.wait_for_selector("#why-words td")
    tab("Video")
    choose("video-clip", clip, "Drop")
    page.locator("#video-clip video").wait_for()
    tab_to("e.innerText.trim() === 'Render'")
    page.keyboard.press("Enter")
    page.wait_for_selector("#video-status:has-text('most concentrated')")
    tab_to("e.closest('#model-card')")
    page.keyboard.press("Enter")
    page.locator("#model-card .prose.card").wait_for()
