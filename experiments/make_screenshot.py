"""Makes docs/images/demo.png and browser.jpg, the images of both web pages: python experiments/make_screenshot.py

Serves the page with the embedded checkpoint, writes the page that predicts in the browser (`npm pack` fetches
onnxruntime-web, unless MLNET_ONNXRUNTIME_WEB names its file), and looks at both with Chromium (apt-get install
chromium, or python -m playwright install chromium).
"""

import os
import shutil
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from modeling_mlnet.demo import serving
from modeling_mlnet.inference.web import export_web

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
OPTIONS = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}
BOXES = {"cup": ((0.27, 0.03), (0.71, 0.66)), "spoon": ((0.52, 0.55), (0.69, 0.83))}  # corners on coffee.jpg, in 0..1


def show_demo(browser: Browser, address: str) -> Image.Image:
    """The page of the demo with an example."""
    page = browser.new_page(**OPTIONS)
    page.goto(f"{address}?example=Design")
    page.wait_for_selector("#viewer img[src*='design']")
    page.wait_for_timeout(2000)
    page.mouse.move(0, 0)
    return screenshot(page)


def show_browser(browser: Browser, site: Path) -> Image.Image:
    """The page that predicts in the browser with regions and a crop of an example."""
    page = browser.new_page(**OPTIONS)
    page.goto((site / "offline.html").as_uri())
    page.get_by_role("button", name="Coffee").click()
    page.wait_for_selector("#status:has-text('600 x 400 pixels')", timeout=60_000)
    for name, corners in BOXES.items():
        canvas = page.locator("#canvas").bounding_box()
        points = [(canvas["x"] + x * canvas["width"], canvas["y"] + y * canvas["height"]) for x, y in corners]
        page.mouse.move(*points[0])
        page.mouse.down()
        page.mouse.move(*points[1], steps=4)
        page.mouse.up()
        page.fill("#name", name)
        page.keyboard.press("Enter")
    page.get_by_label("4:5", exact=True).check()
    page.mouse.move(0, 0)
    page.evaluate("window.scrollTo(0, 0)")
    return screenshot(page)


def screenshot(page) -> Image.Image:
    """What the page shows."""
    return Image.open(BytesIO(page.screenshot())).convert("RGB")


def main() -> None:
    """Writes the images."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    system = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    package = os.environ.get("MLNET_ONNXRUNTIME_WEB")
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=system, args=["--headless", "--no-sandbox", "--disable-gpu"])
        with serving("mini", ROOT / "demo" / "examples", quiet=True) as address:
            show_demo(browser, address).save(IMAGES / "demo.png", optimize=True)
        site = Path(folder) / "site"
        export_web("mini", site, Path(package) if package else None)
        show_browser(browser, site).save(IMAGES / "browser.jpg", quality=90, optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
