"""The web page in a real browser: on a phone, with the keyboard alone, by a screen reader, in both schemes."""

import pytest
from browsing import AXE, IMAGES, choose, draw, fits, open_tab, predicted, serious_findings, shown
from demo_files import write_clip

SMALL = """() => [...document.querySelectorAll('main button, main input, main select, main textarea, main summary')]
    .filter(e => e.checkVisibility() && !e.closest('[aria-hidden=true]'))
    .map(e => e.matches('input') && e.closest('label') ? e.closest('label') : e)
    .filter(e => e.getBoundingClientRect().height < 43.5 && e.type !== 'range' && e.type !== 'file' &&
                 e.getBoundingClientRect().height > 1)
    .map(e => e.outerHTML.slice(0, 160))"""


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", seconds=1)


def states(page, clip):
    """Brings the page from one state to the next and names it."""
    yield "Map"
    page.click("#advanced button")
    yield "Advanced"
    open_tab(page, "Regions")
    draw(page, "regions", (0.1, 0.1), (0.9, 0.6), "a rather long name of a region")
    page.wait_for_selector("#regions li:has-text('%')")
    page.click("#regions-type button")
    yield "Regions"
    open_tab(page, "Crop")
    yield "Crop"
    open_tab(page, "Why")
    page.click("#why-button")
    page.wait_for_selector("#why-panels img")
    yield "Why"
    open_tab(page, "Compare")
    choose(page, "compare-choose", IMAGES / "rocket.jpg")
    page.wait_for_selector("#compare-words li")
    yield "Compare"
    open_tab(page, "Folder")
    choose(page, "folder-multiple", IMAGES / "rocket.jpg", IMAGES / "coffee.jpg")
    page.wait_for_selector("#folder-report iframe")
    yield "Folder"
    open_tab(page, "Video")
    page.set_input_files("#video-clip input[type=file]", clip)
    page.wait_for_selector("#video-boxes img")
    page.click("#video-button")
    page.wait_for_selector("#video-shown video")
    yield "Video"
    page.click("#model-card button")
    yield "card"


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_every_tab_with_its_result_fits_has_large_controls_and_no_serious_finding_of_axe(
    open_page, width, scheme, clip
):
    page = open_page(width, 844, scheme)
    for state in states(page, clip):
        page.wait_for_timeout(500)
        assert fits(page), state
        assert not page.evaluate(SMALL), (state, page.evaluate(SMALL))
        findings = serious_findings(page)
        assert not findings, (state, findings)
    if not AXE.is_file():
        pytest.skip("no axe-core: name its axe.min.js in MLNET_AXE (npm pack axe-core@4.14.1 brings it)")


def test_on_a_phone_image_result_words_options_and_examples_follow_and_the_result_is_scrolled_to(open_page):
    page = open_page(390, 844, touch=True)
    order = ["image", "choose", "tabs", "view", "viewer", "get-overlay", "advanced", "examples", "credits", "about"]
    tops = [page.locator(f"#{name}").bounding_box()["y"] for name in order]
    assert tops == sorted(tops)
    before = shown(page)
    page.get_by_role("button", name="Rocket").tap()
    predicted(page, before)
    page.wait_for_function("Math.abs(document.querySelector('#view').getBoundingClientRect().top) < 60")


def test_a_box_is_drawn_by_touch(open_page):
    page = open_page(390, 844, touch=True)
    open_tab(page, "Regions")
    layer = page.locator("#regions .mlnet-layer")
    layer.scroll_into_view_if_needed()
    bounds = layer.bounding_box()
    touch = page.context.new_cdp_session(page)
    for kind, part in (("touchStart", 0.2), ("touchMove", 0.3), ("touchMove", 0.6), ("touchEnd", None)):
        point = [] if part is None else [{axis: bounds[axis] + part * bounds["width"] for axis in ("x", "y")}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": point})
    page.fill("#regions .mlnet-ask input", "by finger")
    page.get_by_role("button", name="Keep").tap()
    page.wait_for_selector("#regions li:has-text('by finger')")
    page.wait_for_selector("#regions li:has-text('%')")


def test_what_changes_by_itself_is_announced(open_page):
    page = open_page()
    names = {
        "Map": "viewer",
        "Regions": "regions",
        "Compare": "compare-words",
        "Why": "why-words",
        "Folder": "folder-words",
        "Video": "video-words",
    }
    for tab, name in names.items():  # gradio renders a tab when it is opened
        open_tab(page, tab)
        page.locator(f"#{name} [role=status]").wait_for(state="attached")
        assert page.locator(f"#{name} [role=status]").count() == 1, name
    assert page.locator("#notice [role=alert]").count() == 1


def test_the_keyboard_alone_is_enough(open_page):
    page = open_page()

    def tab_to(check, limit=80):
        for _ in range(limit):
            page.keyboard.press("Tab")
            if page.evaluate(f"(() => {{ const e = document.activeElement; return {check}; }})()"):
                return page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        raise AssertionError(f"never reached: {check}")

    before = shown(page)
    assert tab_to("e.ariaLabel === 'Coffee'") == "solid"  # one sees where one is
    page.keyboard.press("Enter")
    predicted(page, before)
    page.keyboard.press("Control+Home")
    page.locator("[role=tab]").first.focus()
    tab_to("e.value === 'Spotlight'")  # each of gradio's radio buttons is a stop of its own
    before = shown(page)
    page.keyboard.press("Space")
    predicted(page, before)
    page.locator("[role=tab]").first.focus()
    tab_to("e.innerText.trim() === 'Regions'")
    page.keyboard.press("Enter")
    page.wait_for_selector("#regions-type button")
    tab_to("e.innerText.trim().startsWith('Type boxes')")
    page.keyboard.press("Enter")
    page.wait_for_selector("#regions-boxes textarea")
    tab_to("e.tagName === 'TEXTAREA'")
    page.keyboard.type("cup: 10, 10, 200, 200")
    tab_to("e.innerText.trim() === 'Measure'")
    page.keyboard.press("Enter")
    page.wait_for_selector("#regions li:has-text('%')")
    page.wait_for_selector("#regions [aria-label='Remove cup']")
    page.locator("[role=tab]").first.focus()
    tab_to("e.ariaLabel === 'Remove cup'")
    page.keyboard.press("Enter")
    page.wait_for_selector("#regions li", state="detached")
