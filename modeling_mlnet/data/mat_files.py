"""Reading Matlab's files. scipy trusts every byte of them, so that a damaged one could end the process."""

import math
import struct
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from scipy.io import loadmat
from scipy.io.matlab import matfile_version

from ..io.json_types import JsonObject

# Numbers of "MAT-File Format" (MathWorks), tables 1-1 to 1-3
HEADER = 128  # bytes
MATRIX, COMPRESSED = 14, 15
KINDS = frozenset({*range(1, 8), 9, *range(12, 19)})  # of elements
CELLS, STRUCTURE, SPARSE = 1, 2, 5  # classes of matrices
PARTS = {4: 4, SPARSE: 6, **dict.fromkeys(range(6, 16), 4)}  # elements of a matrix: of text, a sparse one, of numbers
COMPLEX = 0x800  # of a matrix' flags, beside its class; such numbers have an imaginary part as one element more
DEEPEST = 64  # matrices within matrices


def read_mat(path: Path, names: Sequence[str], **options: Any) -> JsonObject:
    """The variables of those names that a `.mat` file holds.

    Args:
        names: The variables that are read.
        options: Further arguments of `scipy.io.loadmat`.

    Raises:
        ValueError: If the file is damaged, or holds none of them. (scipy raises many other types as well.)
    """
    data = path.read_bytes()
    if matfile_version(BytesIO(data))[0] == 1:
        _check(memoryview(data)[HEADER:], "<" if data[126:128] == b"IM" else ">", 0)
    content = loadmat(BytesIO(data), variable_names=list(names), **options)
    if not any(name in content for name in names):
        raise ValueError(f"it holds none of the variables {', '.join(names)}")
    return content


def _check(elements: memoryview, order: str, depth: int) -> list[int]:
    """The kinds of elements, one behind another; a ValueError if one is of no known kind or longer than the file.

    What is compressed is not looked at: it has a checksum.
    """
    position, kinds = 0, []
    while position < len(elements):
        if len(elements) - position < 8 or depth > DEEPEST:
            raise ValueError("it is cut off")
        kind, size = struct.unpack_from(order + "II", elements, position)
        small = kind >> 16  # up to four bytes lie within the tag
        start, kind, size = (position + 4, kind & 0xFFFF, small) if small else (position + 8, kind, size)
        if kind not in KINDS or small > 4 or size > len(elements) - start:
            raise ValueError(f"an element of kind {kind} and {size} bytes cannot be in it")
        if kind == MATRIX:
            _check_matrix(elements[start : start + size], order, depth + 1)
        kinds.append(kind)
        position = position + 8 if small else start + size
        if kind != COMPRESSED and not small:  # all others are filled up
            position += -size % 8
    return kinds


def _check_matrix(elements: memoryview, order: str, depth: int) -> None:
    kinds = _check(elements, order, depth)
    if not kinds:  # an empty one
        return
    if len(elements) < 24:
        raise ValueError("a matrix in it is not whole")
    flags = struct.unpack_from(order + "I", elements, 8)[0]
    kind = flags & 0xFF
    if kind not in (CELLS, STRUCTURE, *PARTS):  # objects and functions, which no data set has
        return
    parts = PARTS[kind] + bool(flags & COMPLEX) if kind in PARTS else len(kinds)
    size = struct.unpack_from(order + "I", elements, 20)[0]  # of the shape, in bytes
    if len(kinds) != parts or (kind in PARTS and MATRIX in kinds) or len(elements) < 24 + size:
        raise ValueError("a matrix in it is not whole")
    shape = struct.unpack_from(f"{order}{size // 4}I", elements, 24)
    if kind != SPARSE and math.prod(shape) > len(elements):  # scipy takes as much memory as the shape says
        raise ValueError(f"a matrix of {'x'.join(map(str, shape))} values cannot be in it")
