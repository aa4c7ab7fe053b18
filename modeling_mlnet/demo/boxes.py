"""Boxes that a visitor draws or types."""

from ..analysis import Box, check_boxes, parse_box
from ..inference.uploads import MAX_BOXES


def parse_boxes(text: str, size: tuple[int, int]) -> list[Box]:
    """Boxes from text, one a line: `x, y, width, height` in pixels, a name and a colon before it if wanted.

    Args:
        text: For example `title: 10, 20, 300, 80`.
        size: Width and height of the image, in which every box must lie.

    Raises:
        ValueError: If a line is no box or a name is used twice, naming it, or if there are too many.
    """
    boxes: list[Box] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            box = parse_box(line)
        except ValueError:
            raise ValueError(f"Line {number}: expected x, y, width, height, got {line.strip()[:60]!r}.") from None
        if len(boxes) == MAX_BOXES:
            raise ValueError(f"At most {MAX_BOXES} boxes at once; this is box {MAX_BOXES + 1}.")
        boxes.append(Box(box.name[:40] or str(len(boxes) + 1), box.x, box.y, box.width, box.height))
        boxes, problems = check_boxes(boxes, size)
        if problems:
            raise ValueError(f"Line {number}: {problems[0]}.")
    return boxes
