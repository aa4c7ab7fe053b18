"""Maps as PNG files."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from modeling_mlnet.grey_png import write_grey


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (37, 53)], ids=str)
def test_others_read_what_was_written(size):
    picture = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    file = BytesIO()
    write_grey(file, picture)
    Image.open(file).verify()  # the checksums as well
    with Image.open(file) as found:
        found.load()
        assert found.format == "PNG" and found.mode == "L"
        np.testing.assert_array_equal(np.asarray(found), picture)


def test_a_smooth_map_is_hardly_larger_than_pillow_s():
    rows, columns = np.mgrid[:200, :300] / 40
    picture = np.rint(127 * (1 + np.sin(rows) * np.cos(columns))).astype(np.uint8)
    file, other = BytesIO(), BytesIO()
    write_grey(file, picture)
    Image.fromarray(picture).save(other, format="PNG")
    assert len(file.getvalue()) < 1.5 * len(other.getvalue())
