"""Makes docs/images/demo.png, the image of the web page in docs/analysis.md: python experiments/make_screenshot.py

Serves the page with the embedded checkpoint and looks at it with Chromium (apt-get install chromium, or
python -m playwright install chromium).
"""

import os
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from modeling_mlnet.demo import serving

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "docs" / "images" / "demo.png"


def main() -> None:
    """Writes the image."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    system = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with serving("mini", ROOT / "demo" / "examples", quiet=True) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=system, args=["--headless", "--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        page.goto(f"{address}?example=Design")
        page.wait_for_selector("#viewer img[src*='design']")
        page.wait_for_timeout(2000)
        page.mouse.move(0, 0)
        page.screenshot(path=OUTPUT)
        browser.close()
    with Image.open(OUTPUT) as image:
        image.convert("RGB").save(OUTPUT, optimize=True)


if __name__ == "__main__":
    main()
