"""Seconds to the first map of the page of `mlnet export --web`, and for another image, in headless Chromium."""

import argparse
import statistics
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from web_site import serve

FIRST = "performance.getEntriesByName('map')[0]?.startTime"


def measure(browser: Browser, address: str) -> tuple[float, float]:
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.goto(address)
    page.wait_for_function(FIRST)
    first = page.evaluate(FIRST) / 1000
    page.locator("#examples button").nth(1).click()
    page.wait_for_function("performance.getEntriesByName('map').length > 1")
    another = float(page.inner_text("#status").split(", ")[1].split(" s ")[0])
    page.close()
    return first, another


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path, help="folder of mlnet export --web")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    with sync_playwright() as driver, serve(options.site) as isolated, serve(options.site, False) as plain:
        browser = driver.chromium.launch(executable_path=options.chromium, args=["--no-sandbox", "--disable-gpu"])
        pages = {"threads": isolated, "one thread": plain, "offline.html": (options.site / "offline.html").as_uri()}
        for name, address in pages.items():
            firsts, others = zip(*(measure(browser, address) for _ in range(options.times)), strict=True)
            print(f"{name}: first map {statistics.median(firsts):.2f} s, another {statistics.median(others):.2f} s")


if __name__ == "__main__":
    main()
