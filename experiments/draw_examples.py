"""Draws two of the web page's examples, a design and a crowd: python experiments/draw_examples.py"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FOLDER = Path(__file__).parent.parent / "demo" / "examples"
FINE = 2  # drawn so many times larger, then shrunk
INK, PAPER, ACCENT = "#1f2937", "#fbf7f0", "#c2410c"
CUPS = (("Sand", 24, "#d6b98c", "#e6d0ad"), ("Lagoon", 26, "#2a7f8e", "#4ba0ae"), ("Night", 29, "#334155", "#52627a"))
SKINS = ("#f2d0b1", "#e0ac7e", "#c68642", "#8d5524", "#5c3a21", "#f7dfc8")
HAIRS = ("#2b1b12", "#0f0f0f", "#6b4423", "#a6783e", "#c9b28b", "#7a7a7a")
SHIRTS = ("#1d4e89", "#d1495b", "#edae49", "#00798c", "#5b8e7d", "#8e5572", "#f4f1de", "#3d405b", "#bc4b51", "#81b29a")


class Canvas:
    """Draws in pixels of the finished image."""

    def __init__(self, width: int, height: int, color: str):
        self.image = Image.new("RGB", (FINE * width, FINE * height), color)
        self.draw = ImageDraw.Draw(self.image)

    def box(self, x: float, y: float, width: float, height: float, color: str, radius: float = 0) -> None:
        """A filled rectangle."""
        corners = [FINE * value for value in (x, y, x + width, y + height)]
        self.draw.rounded_rectangle(corners, FINE * radius, fill=color)

    def oval(self, x: float, y: float, across: float, down: float, color: str) -> None:
        """A filled ellipse around a centre."""
        self.draw.ellipse([FINE * value for value in (x - across, y - down, x + across, y + down)], fill=color)

    def text(self, x: float, y: float, text: str, size: float, color: str = INK, anchor: str = "la") -> None:
        """A line of text."""
        font = ImageFont.load_default(size=FINE * size)
        self.draw.text((FINE * x, FINE * y), text, font=font, fill=color, anchor=anchor)

    def save(self, name: str) -> None:
        """Writes the image, shrunk."""
        size = (self.image.width // FINE, self.image.height // FINE)
        self.image.resize(size, Image.Resampling.LANCZOS).save(FOLDER / name, quality=88, optimize=True)


def cup(canvas: Canvas, x: float, y: float, size: float, color: str, rim: str) -> None:
    """A cup on a saucer, `size` px wide."""
    canvas.oval(x, y + 0.52 * size, 0.75 * size, 0.14 * size, "#e7ddcc")
    canvas.oval(x + 0.5 * size, y + 0.05 * size, 0.24 * size, 0.26 * size, color)
    canvas.oval(x + 0.5 * size, y + 0.05 * size, 0.14 * size, 0.16 * size, PAPER)
    canvas.box(x - 0.5 * size, y - 0.3 * size, size, 0.8 * size, color, 0.3 * size)
    canvas.oval(x, y - 0.28 * size, 0.5 * size, 0.13 * size, rim)
    canvas.oval(x, y - 0.27 * size, 0.43 * size, 0.1 * size, "#3b2416")


def draw_design() -> None:
    """The page of a shop."""
    page = Canvas(1200, 800, PAPER)
    page.box(0, 0, 1200, 72, "#ffffff")
    page.oval(60, 36, 18, 18, ACCENT)
    page.text(90, 36, "Morning & Co.", 24, anchor="lm")
    for x, word in ((620, "Coffee"), (730, "Cups"), (820, "Gifts"), (910, "About")):
        page.text(x, 36, word, 17, "#4b5563", "lm")
    page.box(1040, 16, 120, 40, INK, 20)
    page.text(1100, 36, "Basket 2", 16, "#ffffff", "mm")
    page.box(0, 72, 1200, 430, "#f3e6d3")
    page.text(70, 150, "Start slow.", 62)
    page.text(70, 222, "Drink warm.", 62)
    page.text(72, 315, "Hand-made cups that keep your coffee hot", 20, "#57534e")
    page.text(72, 342, "for an hour. Shipped in two days.", 20, "#57534e")
    page.box(70, 398, 200, 58, ACCENT, 10)
    page.text(170, 427, "Choose yours", 22, "#ffffff", "mm")
    page.text(300, 427, "See how it is made", 18, ACCENT, "lm")
    cup(page, 860, 290, 230, "#b5482a", "#cd6a4b")
    page.oval(1080, 150, 56, 56, "#facc15")
    page.text(1080, 138, "-20 %", 26, anchor="mm")
    page.text(1080, 166, "this week", 14, anchor="mm")
    for index, (name, price, color, rim) in enumerate(
        (
            ("Sand", "24", "#d6b98c", "#e6d0ad"),
            ("Lagoon", "26", "#2a7f8e", "#4ba0ae"),
            ("Night", "29", "#334155", "#52627a"),
        )
    ):
        left = 70 + 370 * index
        page.box(left, 530, 320, 240, "#ffffff", 12)
        cup(page, left + 150, 615, 100, color, rim)
        page.text(left + 20, 710, name, 22)
        page.text(left + 20, 740, f"{price}.00", 18, "#57534e")
        page.box(left + 220, 716, 80, 36, "#f3e6d3", 8)
        page.text(left + 260, 734, "Add", 16, anchor="mm")
    page.save("design.jpg")


def person(canvas: Canvas, x: float, y: float, size: float, random: np.random.Generator) -> None:
    """Head and shoulders, the head `size` px wide; some look away, some wave."""
    skin, hair, shirt = (random.choice(colors) for colors in (SKINS, HAIRS, SHIRTS))
    kind = random.random()
    if kind > 0.93:
        canvas.box(x + 0.85 * size, y - 1.1 * size, 0.3 * size, 2.2 * size, shirt, 0.15 * size)
        canvas.oval(x + size, y - 1.15 * size, 0.2 * size, 0.22 * size, skin)
    canvas.box(x - 1.15 * size, y + 0.75 * size, 2.3 * size, 3 * size, shirt, 0.7 * size)
    canvas.box(x - 0.22 * size, y + 0.4 * size, 0.44 * size, 0.5 * size, skin, 0.1 * size)
    if kind < 0.35:
        canvas.box(x - 0.62 * size, y - 0.5 * size, 1.24 * size, 1.4 * size, hair, 0.5 * size)
    canvas.oval(x, y - 0.1 * size, 0.56 * size, 0.68 * size, hair)
    if kind < 0.12:
        return  # seen from behind
    turn = random.uniform(-0.12, 0.12) * size
    canvas.oval(x + turn / 2, y + 0.05 * size, 0.47 * size, 0.58 * size, skin)
    for side in (-1, 1):
        canvas.oval(x + turn + 0.19 * side * size, y, 0.09 * size, 0.06 * size, "#ffffff")
        canvas.oval(x + turn + 0.19 * side * size, y, 0.05 * size, 0.055 * size, "#1b1b1b")
    canvas.oval(x + turn, y + 0.33 * size, 0.17 * size, 0.05 * size, "#8a3033")


def draw_crowd() -> None:
    """People in a square, those behind smaller."""
    random = np.random.default_rng(3)
    square = Canvas(1000, 700, "#bcd7ea")
    for x in range(-20, 1000, 125):
        height = int(random.integers(120, 210))
        square.box(x, 210 - height, 120, height + 40, str(random.choice(["#d9c3a5", "#c7b198", "#b79f86", "#cfc7bb"])))
        for row in range(3):
            for column in range(3):
                square.box(x + 16 + 34 * column, 225 - height + 45 * row, 18, 26, "#7b8794")
    square.box(0, 215, 1000, 485, "#a9a39a")
    for y in np.geomspace(1, 6.2, 9) * 40 + 185:
        size = 0.062 * (y - 60)
        for x in np.arange(-size, 1000 + size, 2.7 * size):
            if random.random() < 0.9:
                shift = random.uniform(-0.5, 0.5, 2) * size
                person(square, x + shift[0], y + shift[1], size, random)
    square.save("crowd.jpg")


if __name__ == "__main__":
    draw_design()
    draw_crowd()
