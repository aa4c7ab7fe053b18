"""The report in a real browser: sorting, filtering, printing, no requests, on a desk and on a phone."""

import numpy as np
import pytest
from conftest import RESULTS
from playwright.sync_api import expect

from modeling_mlnet.analysis import Answer, Box, ImageFile, Model, ReportRow, focus, measure_regions, report_html


def peak(y, x, sigma):
    rows, columns = np.mgrid[:60, :80]
    return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Thirty images, from focused to spread, with a box in every second one."""
    rows = []
    for number in range(30):
        saliency_map = peak(10 + number, 60 - number, 2 + number)
        image = np.full((60, 80, 3), 8 * number, np.uint8)
        boxes = [Box("logo", 0, 0, 40, 30)] if number % 2 == 0 else []
        file = ImageFile(f"{number}.png", 80, 60, "0" * 64)
        answer = Answer(file, focus(saliency_map), measure_regions(saliency_map, boxes))
        rows.append(ReportRow.from_map(answer, f"<set> {number:02}.png", image, saliency_map))
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report_html(rows, "Thirty & more", Model("mini", "0" * 64), ["one.png: cannot be read"]), "utf-8")
    return path


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desk", "phone"])
def page(browser, report, request):
    context = browser.new_context(viewport={"width": request.param[0], "height": request.param[1]})
    page = context.new_page()
    requests, messages = [], []
    page.on("request", lambda made: requests.append(made.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(report.as_uri())
    yield page
    if request.node.report_call.failed:
        RESULTS.mkdir(exist_ok=True)
        page.screenshot(path=RESULTS / f"{request.node.name}.png", full_page=True)
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()] and messages == []
    context.close()


def names(page):
    return [text.split("\n")[0] for text in page.locator("tbody tr:visible th").all_inner_texts()]


def test_rows_are_sorted_and_those_without_a_value_come_last(page):
    header = page.get_by_role("button", name="Focus")
    header.click()
    assert names(page)[0] == "<set> 29.png" and names(page)[-1] == "<set> 00.png"
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    header.click()
    assert names(page)[0] == "<set> 00.png"
    for _ in range(2):
        page.get_by_role("button", name="logo").click()
        assert len(names(page)) == 30 and all(int(name[6:8]) % 2 for name in names(page)[15:])
    page.get_by_role("button", name="Name").click()
    assert names(page) == sorted(names(page), reverse=True)


def test_rows_are_filtered_by_name_place_and_value(page):
    page.fill("#name", "> 1")
    assert len(names(page)) == 10 and page.inner_text("#count") == "10 of 30 images"
    page.click("text=Show all")
    expect(page.locator("#count")).to_have_text("30 of 30 images")
    page.select_option("#place", "middle")
    assert 0 < len(names(page)) < 30
    page.select_option("#place", "")
    page.select_option("#column", label="logo")
    page.fill("#least", "0")
    assert len(names(page)) == 15  # those that have the box


def test_the_page_fits_and_its_images_are_there(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("[...document.images].every(image => image.loading === 'lazy' && image.alt)")
    page.locator("img").last.scroll_into_view_if_needed()
    page.evaluate("[...document.images].at(-1).decode()")


def test_it_prints_with_all_images_and_without_the_tools(page):
    page.emulate_media(media="print")
    assert not page.locator(".tools").is_visible() and page.locator("tbody tr:visible").count() == 30
    assert page.pdf()[:5] == b"%PDF-"
