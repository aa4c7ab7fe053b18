"""Helpers for the tests of the web page in a real browser; its fixtures are in conftest.py."""

from demo_files import ROOT

PICTURES = ROOT / "tests" / "fixtures" / "images"


def give(page, place, name):
    page.set_input_files(f"#{place} input[type=file]", PICTURES / name)


def predicted(page):
    page.wait_for_selector("#predict-words ol")
    page.wait_for_selector("#predict-slider img >> nth=1")


def overlay_of(page):
    return page.get_attribute("#predict-slider img >> nth=1", "src")


def open_tab(page, name):
    page.get_by_role("tab", name=name).click()


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
    const [one, other] = [light(parse(style.color)), light(behind(e))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && +style.fontWeight >= 700);
    const text = e.textContent.trim().slice(0, 40);
    const icon = !/[\\p{L}\\p{N}]/u.test(text);
    if (ratio < (large || icon ? 3 : 4.5)) low.push(text + ' ' + ratio.toFixed(2) + ' ' + style.color);
  }
  return low;
}"""
