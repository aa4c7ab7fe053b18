"""Helpers for the tests of the web page in a real browser; its fixtures are in conftest.py."""

import os
from pathlib import Path

from demo_files import ROOT

IMAGES = ROOT / "tests" / "fixtures" / "images"
AXE = Path(os.environ.get("MLNET_AXE", "axe.min.js"))
SERIOUS = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
    .filter(({impact}) => impact === 'serious' || impact === 'critical')
    .map(({id, nodes}) => `${id}: ${nodes.map(({html}) => html.slice(0, 150)).slice(0, 3).join(' | ')}`)"""


def serious_findings(page):
    """What axe-core calls serious or critical; nothing where it is not at hand."""
    if not AXE.is_file():
        return []
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=AXE)
    return page.evaluate(SERIOUS)


def choose(page, button, *files):
    """Chooses files by a button."""
    with page.expect_file_chooser() as chooser:
        page.click(f"#{button}")
    chooser.value.set_files(list(files))


def predicted(page, before):
    """Waits for another result than that of `before`, the address of an image."""
    page.wait_for_function(
        "before => document.querySelector('#viewer img').src !== before && document.querySelector('#viewer li')",
        arg=before,
    )


def shown(page):
    """The address of the result."""
    return page.locator("#viewer img").evaluate("image => image.src")


def open_tab(page, name):
    page.get_by_role("tab", name=name, exact=True).click()


def draw(page, place, start, end, name=None):
    """Draws a box on an image, from a point to another, as parts of its width and height."""
    layer = page.locator(f"#{place} .mlnet-layer")
    layer.scroll_into_view_if_needed()
    bounds = layer.bounding_box()
    points = [(bounds["x"] + x * bounds["width"], bounds["y"] + y * bounds["height"]) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=4)
    page.mouse.up()
    page.wait_for_selector(f"#{place} .mlnet-ask input")
    if name is not None:
        page.fill(f"#{place} .mlnet-ask input", name)
    page.keyboard.press("Enter")


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


# Every visible text against the first background behind it that is not transparent (WCAG 2, AA: 4.5 to 1, large ones
# and icons 3 to 1).
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
    const [front, back] = [light(parse(style.color)), light(behind(e))];
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && +style.fontWeight >= 700);
    const text = e.textContent.trim().slice(0, 40);
    const icon = !/[\\p{L}\\p{N}]/u.test(text);
    if (ratio < (large || icon ? 3 : 4.5)) low.push(text + ' ' + ratio.toFixed(2) + ' ' + style.color);
  }
  return low;
}"""


def download(page, button, fits=lambda file: True):
    """The file behind a button, as soon as it fits: it may appear a moment after the result that it belongs to."""
    for _ in range(40):
        with page.expect_download() as download:
            page.click(f"#{button}")
        if fits(download.value):
            break
        page.wait_for_timeout(250)
    return download.value
