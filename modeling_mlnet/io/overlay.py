"""Images under their saliency maps."""

import io
import math
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

OPACITY = 0.8  # of the heat map where the saliency map is 1
RISE = 0.75  # exponent of the map: low values are seen too, and the contrast still rises everywhere
# Parts of matplotlib's colour maps: neither as dark as a dark image nor as light as a light one, so that the contrast
# to both rises with the map (CIEDE2000; see tests/test_overlay.py).
PALETTES = {"inferno": (0.35, 0.75), "viridis": (0.2, 0.75), "grey": (0.35, 0.55), "gray": (0.35, 0.55)}
STYLES = ("heat", "contour", "spotlight")
CONTOURS = (0.75, 0.5, 0.25)  # parts of all attention that the lines enclose
DIMMED = 0.2  # brightness of `spotlight` where the map is 0


def to_bytes(saliency_map: np.ndarray) -> np.ndarray:
    """Values in 0..1 as uint8."""
    scaled = np.multiply(saliency_map, 255.0)
    return np.rint(scaled, out=scaled).astype(np.uint8)


def grey_image(saliency_map: np.ndarray) -> Image.Image:
    """A map `(height, width)` in 0..1 as an 8-bit grey image."""
    return Image.fromarray(to_bytes(saliency_map))


def to_png(image: Image.Image) -> bytes:
    """An image as the content of a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def overlay(
    image: np.ndarray,
    saliency_map: np.ndarray,
    colormap: str = "inferno",
    opacity: float = OPACITY,
    style: str = "heat",
    colorbar: bool = False,
) -> Image.Image:
    """The image with its saliency map.

    Args:
        image: uint8 `(height, width, 3)`.
        saliency_map: `(height, width)` in 0..1.
        colormap: Colour map of `heat` and `contour`: `"inferno"`, `"viridis"` or `"grey"`.
        opacity: Opacity of `heat` where the saliency map is 1, in 0..1; it rises with the map, to the power of `RISE`.
        style: `"heat"` lays colours over the image, `"contour"` draws lines that enclose 25, 50 and 75 % of all
            predicted attention, `"spotlight"` dims the image where the map is low.
        colorbar: Whether a scale is added below the image.

    Raises:
        ValueError: If the colour map or the style is unknown, the image is of another type, the map has values outside
            0..1, or they differ in size.
    """
    if colormap not in PALETTES:
        raise ValueError(f"colormap must be one of {', '.join(PALETTES)}, got {colormap!r}")
    if style not in STYLES:
        raise ValueError(f"style must be one of {', '.join(STYLES)}, got {style!r}")
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape[2:] != (3,):
        kind = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f"image must be a uint8 array (height, width, 3), got {kind}")
    if image.shape[:2] != saliency_map.shape:
        raise ValueError(f"image and saliency_map must have one size, got {image.shape[:2]} and {saliency_map.shape}")
    low, high = saliency_map.min(), saliency_map.max()
    if not (low >= 0 and high <= 1):  # NaN, too
        raise ValueError(f"saliency_map must be scaled to 0..1, got {low:g}..{high:g}")
    if style == "heat":
        shown = _heat(image, saliency_map, colormap, opacity)
    elif style == "spotlight":
        shown = _spotlight(image, saliency_map)
    else:
        shown = _contours(image, saliency_map, colormap)
    return _with_scale(shown, style, colormap, opacity) if colorbar else shown


def palette(colormap: str) -> np.ndarray:
    """The colours of the overlay from the lowest to the highest value, uint8 `(256, 3)`."""
    import matplotlib  # half a second that only overlays need

    low, high = PALETTES[colormap]
    return to_bytes(matplotlib.colormaps[colormap](np.linspace(low, high, 256))[:, :3])  # bytes=True does not round


def _heat(image: np.ndarray, saliency_map: np.ndarray, colormap: str, opacity: float) -> Image.Image:
    levels = to_bytes(saliency_map)
    weights = to_bytes(opacity * np.linspace(0, 1, 256) ** RISE)
    colors = Image.fromarray(palette(colormap)[levels])
    return Image.composite(colors, Image.fromarray(image), Image.fromarray(weights[levels]))


def _spotlight(image: np.ndarray, saliency_map: np.ndarray) -> Image.Image:
    light = DIMMED + (1 - DIMMED) * np.sqrt(saliency_map[..., None])
    return Image.fromarray(np.rint(image * light).astype(np.uint8))


def contour_levels(saliency_map: np.ndarray) -> list[float]:
    """The values above which `CONTOURS` of all attention lie; none for an empty map."""
    values = np.sort(saliency_map, axis=None)[::-1].astype(np.float64)
    running = values.cumsum()
    if not running[-1] > 0:
        return []
    return [float(values[np.searchsorted(running, part * running[-1])]) for part in CONTOURS]


def _contours(image: np.ndarray, saliency_map: np.ndarray, colormap: str) -> Image.Image:
    import contourpy  # comes with matplotlib

    shown = Image.fromarray(image)
    draw = ImageDraw.Draw(shown)
    width = line_width(shown.size)
    if min(saliency_map.shape) < 2:
        return shown
    lines: Any = contourpy.contour_generator(z=saliency_map)
    for level, position in zip(contour_levels(saliency_map), (0, 128, 255), strict=False):
        color = tuple(int(value) for value in palette(colormap)[position])
        for line in lines.lines(level):
            points = [(float(x), float(y)) for x, y in line]
            draw.line(points, fill="white", width=3 * width, joint="curve")
            draw.line(points, fill=color, width=2 * width, joint="curve")
    return shown


def line_width(size: tuple[int, int]) -> int:
    """Width in pixels of lines that can be seen in an image of this size."""
    return max(1, round(math.sqrt(size[0] * size[1]) / 420))


def text_font(size: tuple[int, int]) -> Any:
    """A font that can be read in an image of this size."""
    return ImageFont.load_default(size=max(12, round(math.sqrt(size[0] * size[1]) / 36)))


def _with_scale(shown: Image.Image, style: str, colormap: str, opacity: float) -> Image.Image:
    """The image above a bar of the style's colours from 0 to 1; contours are explained in words."""
    font = text_font(shown.size)
    margin, height = round(font.size / 2), round(2.5 * font.size)
    result = Image.new("RGB", (shown.width, shown.height + height), "white")
    result.paste(shown)
    draw = ImageDraw.Draw(result)
    middle = shown.height + height // 2
    if style == "contour":
        parts = ", ".join(f"{part:.0%}" for part in CONTOURS)
        draw.text((margin, middle), f"lines enclose {parts} of attention", font=font, fill="black", anchor="lm")
        return result
    left, right = (margin + round(draw.textlength(text, font=font)) for text in ("0 ", " 1"))
    ramp = np.tile(np.linspace(0, 1, max(1, shown.width - left - right), dtype=np.float32), (font.size, 1))
    background = np.full((*ramp.shape, 3), 200, np.uint8)
    bar = _heat(background, ramp, colormap, opacity) if style == "heat" else _spotlight(background, ramp)
    result.paste(bar, (left, middle - font.size // 2))
    draw.text((margin, middle), "0", font=font, fill="black", anchor="lm")
    draw.text((shown.width - margin, middle), "1", font=font, fill="black", anchor="rm")
    return result
