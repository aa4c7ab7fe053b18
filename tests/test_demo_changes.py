"""The web page in a real browser: what a visitor changes, or asks for, before the answer before has come."""

import json
from time import sleep
from zipfile import ZipFile

import numpy as np
from browsing import IMAGES, choose, download, draw, open_tab, predicted, shown
from demo_files import ROOT
from PIL import Image

from modeling_mlnet import SaliencyPredictor


def slow_down(page):
    """Lets every message take 600 ms."""
    options = {"offline": False, "latency": 600, "downloadThroughput": -1, "uploadThroughput": -1}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", options)


def test_boxes_outlive_answers_to_other_settings_also_those_drawn_while_they_are_awaited(open_page):
    page = open_page()
    open_tab(page, "Compare")
    choose(page, "compare-choose", IMAGES / "coffee.jpg")
    page.wait_for_selector("#compare-words li")
    open_tab(page, "Regions")
    draw(page, "regions", (0.1, 0.1), (0.4, 0.4), "early")
    page.wait_for_selector("#regions li:has-text('%')")
    before = shown(page)
    page.click("#advanced button")
    page.get_by_label("Apply the prior").uncheck()
    draw(page, "regions", (0.5, 0.5), (0.9, 0.9), "late")
    predicted(page, before)
    page.wait_for_function(
        """() => { const rows = [...document.querySelectorAll('#regions li')].map(row => row.innerText);
        return rows.length === 2 && rows.every(row => row.includes('%')); }"""
    )
    open_tab(page, "Compare")
    draw(page, "compare-first", (0.1, 0.1), (0.6, 0.6), "button")
    page.wait_for_selector("#compare-words li:has-text('button')")
    page.get_by_label("Apply the prior").check()
    draw(page, "compare-first", (0.7, 0.7), (0.9, 0.9), "logo")
    page.wait_for_selector("#compare-words li:has-text('logo')")
    page.wait_for_selector("#compare-first li:nth-child(2):has-text('%')")
    assert page.locator("#compare-words li").count() == 2
    first = page.locator("#compare-first img").evaluate("image => image.src")
    page.get_by_label("Apply the prior").uncheck()
    page.wait_for_function("first => document.querySelector('#compare-first img').src !== first", arg=first)
    page.wait_for_function(
        """() => { const rows = [...document.querySelectorAll('#compare-first li')].map(row => row.innerText);
        return rows.length === 2 && rows.every(row => row.includes('%'))
            && document.querySelectorAll('#compare-words li').length === 2; }"""
    )


def test_of_images_and_settings_that_change_while_an_answer_is_awaited_the_last_are_shown(
    open_page, monkeypatch, tmp_path
):
    stream, rocket = SaliencyPredictor.stream, ROOT / "demo" / "examples" / "rocket.jpg"
    [expected] = SaliencyPredictor("mini").maps([str(rocket)], False)
    monkeypatch.setattr(SaliencyPredictor, "stream", lambda *given, **options: sleep(1.5) or stream(*given, **options))
    Image.effect_noise((300, 200), 90).save(tmp_path / "first.png")
    page = open_page()
    page.click("#advanced button")
    choose(page, "choose", tmp_path / "first.png")
    page.wait_for_timeout(400)
    page.get_by_label("Apply the prior").uncheck()
    page.get_by_label("Spotlight").check()
    page.wait_for_timeout(400)
    page.get_by_role("button", name="Rocket").click()
    open_tab(page, "Crop")
    page.click("#crop-button")
    page.wait_for_selector("#notice :text('Wait for the new image')")
    open_tab(page, "Map")
    page.wait_for_function("document.querySelector('#viewer img').src.endsWith('rocket.spotlight.jpg')")
    page.wait_for_timeout(4000)  # for whatever is still under way
    assert shown(page).endswith("rocket.spotlight.jpg")
    assert page.locator("#image img").evaluate("image => image.src").endswith("rocket.jpg")
    values = download(page, "get-npy", lambda file: np.array_equal(np.load(file.path()), expected))
    assert values.suggested_filename == "rocket.npy" and np.array_equal(np.load(values.path()), expected)


def test_a_removed_image_stays_removed_although_an_answer_was_awaited(open_page):
    page = open_page()
    page.click("#advanced button")
    page.get_by_label("Apply the prior").uncheck()
    page.locator("#image").get_by_label("Remove Image").click()
    page.wait_for_selector("#viewer p:has-text('Choose an image')")
    page.wait_for_timeout(3000)
    assert page.locator("#viewer img").is_hidden()
    assert page.evaluate("document.querySelector('#get-npy').disabled")


def test_of_two_images_chosen_one_after_the_other_the_second_is_shown(open_page):
    page = open_page()
    slow_down(page)
    page.get_by_role("button", name="Rocket").click()
    page.wait_for_timeout(250)
    page.get_by_role("button", name="Chelsea").click()
    page.wait_for_function("document.querySelector('#viewer img').src.includes('chelsea')")
    open_tab(page, "Compare")
    choose(page, "compare-choose", IMAGES / "coffee.jpg")
    page.wait_for_timeout(1000)
    choose(page, "compare-choose", ROOT / "demo" / "examples" / "crowd.jpg")
    page.wait_for_function("document.querySelector('#compare-second img').src.includes('crowd')")
    page.wait_for_timeout(3000)
    assert "chelsea" in shown(page)
    assert page.locator("#compare-second img").evaluate("image => image.src.includes('crowd')")


def test_what_is_cancelled_leaves_no_message(open_page):
    page = open_page()
    open_tab(page, "Why")
    page.click("#why-button")
    page.wait_for_timeout(500)
    page.locator("#image").get_by_label("Remove Image").click()
    page.wait_for_selector("#viewer p:has-text('Choose an image')", state="attached")
    page.wait_for_timeout(6000)
    assert page.locator("#notice [role=alert]").is_hidden() and page.locator("#why-words").inner_text().strip() == ""
    assert not any(badge.is_visible() for badge in page.get_by_text("Error", exact=True).all())


def test_files_of_crops_have_the_shapes_that_are_shown(open_page, tmp_path):
    Image.effect_noise((4000, 3000), 90).save(tmp_path / "large.jpg")
    page = open_page()
    before = shown(page)
    choose(page, "choose", tmp_path / "large.jpg")
    predicted(page, before)
    open_tab(page, "Crop")
    page.click("#crop-button")
    page.get_by_label("21:9").check()
    page.wait_for_selector("#crops :text('21:9')")
    page.wait_for_timeout(3000)
    assert page.locator("#crop-get").is_hidden()
    page.click("#crop-button")
    page.locator("#crop-get").wait_for()
    with ZipFile(download(page, "crop-get").path()) as archive:
        assert len(json.loads(archive.read("crops.json"))["crops"]) == 5


def test_boxes_of_an_image_of_one_s_own_are_not_in_the_address(open_page):
    page = open_page()
    open_tab(page, "Regions")
    draw(page, "regions", (0.1, 0.1), (0.4, 0.4), "face")
    page.wait_for_function("window.location.search.includes('face')")
    before = shown(page)
    choose(page, "choose", IMAGES / "coffee.jpg")
    predicted(page, before)
    draw(page, "regions", (0.1, 0.1), (0.4, 0.4), "cup")
    page.wait_for_selector("#regions li:has-text('cup'):has-text('%')")
    assert "boxes" not in page.evaluate("window.location.search")


def test_a_message_comes_into_sight_again(open_page):
    page = open_page(390, 844)
    open_tab(page, "Crop")
    for label in ("1:1", "4:5", "9:16", "16:9"):
        page.get_by_label(label, exact=True).uncheck()
    for _ in range(2):
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        page.click("#crop-button")
        page.wait_for_selector("#notice :text('Choose a shape first.')")
        page.wait_for_function("document.querySelector('#notice').getBoundingClientRect().top >= 0")


def test_a_file_that_is_no_image_does_not_replace_the_page_when_it_is_dropped(open_page):
    page = open_page()
    page.evaluate(
        """() => { const data = new DataTransfer();
        data.items.add(new File(['%PDF-1.7'], 'page.pdf', { type: 'application/pdf' }));
        const event = new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
        document.body.dispatchEvent(event);
        window.prevented = event.defaultPrevented; }"""
    )
    page.wait_for_selector("#notice :text('it is a PDF')")
    assert page.evaluate("window.prevented")
