"""Clips and hostile pictures for the tests of the web page."""

import struct
import zlib
from pathlib import Path

import av
import numpy as np

from modeling_mlnet.demo.answers import Answers
from modeling_mlnet.demo.files import Files, Upload

ROOT = Path(__file__).parent.parent
COFFEE = ROOT / "tests" / "fixtures" / "images" / "coffee.jpg"
ROCKET = ROOT / "tests" / "fixtures" / "images" / "rocket.jpg"


def upload(path):
    return Upload(Path(path), Path(path).name)


class OneModel:
    """In the place of `Models`: a predictor that is there already."""

    default = "mini"

    def __init__(self, predictor):
        self.predictor = lambda _: predictor


def answers_of(predictor, folder):
    return Answers(OneModel(predictor), Files(folder))


def write_clip(path, seconds=1.0, size=(96, 64), rate=8, turned=0):
    """A bright square that wanders over black; `turned` by so many degrees when it is shown."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        if turned:
            stream.set_display_rotation(turned)
        for index in range(round(seconds * rate)):
            frame = np.zeros((size[1], size[0], 3), dtype=np.uint8)
            frame[16:48, (4 * index) % (size[0] - 32) : (4 * index) % (size[0] - 32) + 32] = 255
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode())
    return path


def bomb(path, width=20_000, height=20_000):
    """A PNG of 400 megapixels in a few kilobytes."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    row = b"\0" * (width // 8 + 1)
    packed = zlib.compress(row * height, 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
    return path


def write_hostile(folder: Path) -> dict[Path, str]:
    """Files and what is said about them."""
    content = COFFEE.read_bytes()
    files = {
        "cut.jpg": (content[: len(content) // 2], "damaged or cut off"),
        "renamed.png": (b"MZ\x90 this is a program", "its content is not an image"),
        "drawing.png": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG drawing"),
        "drawing.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "SVG drawing"),
        "page.jpg": (b"%PDF-1.7 ...", "it is a PDF"),
        "phone.jpg": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 64, "HEIC"),
        "nothing.jpg": (b"", "0 bytes"),
        "script.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "its content is not an image"),
    }
    result = {}
    for name, (written, message) in files.items():
        (folder / name).write_bytes(written)
        result[folder / name] = message
    result[bomb(folder / "bomb.png")] = "more than 50 megapixels"
    return result
