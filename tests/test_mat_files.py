"""Matlab's files: whole ones are read, and damaged ones are an error instead of the end of the process."""

import struct

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix

from modeling_mlnet.data.mat_files import read_mat

TAG = "<II"  # kind and size in bytes
NUMBERS = struct.pack(TAG, 9, 32)  # four doubles
FLAGS = struct.pack(TAG, 6, 8)
SHAPE = struct.pack(TAG, 5, 8) + struct.pack("<ii", 2, 2)
UNNAMED = struct.pack(TAG, 1, 0)


@pytest.mark.parametrize("compressed", [False, True])
def test_every_form_that_the_data_sets_have_is_read(tmp_path, compressed):
    cells = np.zeros((2, 1), dtype="O")
    cells[0, 0], cells[1, 0] = np.eye(3), np.zeros((0, 0))
    content = {
        "numbers": np.arange(6.0).reshape(2, 3),
        "mask": np.eye(3, dtype=bool),
        "complex": np.array([[1 + 2j, 3 - 1j]]),
        "deep": np.zeros((600, 800, 0)),
        "text": "COCO_train2014_000000000009",
        "cells": cells,
        "sparse": csc_matrix(np.eye(4)),
        "structure": {"x": [[1.5, 2.5]], "inner": {"y": np.uint16([[7]])}},
    }
    savemat(tmp_path / "a.mat", content, do_compression=compressed)
    result = read_mat(tmp_path / "a.mat", list(content))
    assert set(content) <= set(result)
    assert np.array_equal(result["numbers"], content["numbers"]) and result["text"] == content["text"]
    assert result["cells"][1, 0].size == 0 and result["structure"]["inner"][0, 0]["y"] == 7


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (NUMBERS, struct.pack(TAG, 92, 32)),  # of no kind
        (NUMBERS, struct.pack(TAG, 14, 32)),  # a matrix within numbers
        (NUMBERS, struct.pack(TAG, 9, 4096)),  # longer than the file
        (FLAGS + b"\6\0", FLAGS + b"\6\x08"),  # an imaginary part that is not there
        (UNNAMED, struct.pack(TAG, 1, 40)),  # a name that takes the numbers' place
        (SHAPE, struct.pack(TAG, 5, 8) + struct.pack("<ii", 2, 1 << 30)),  # more values than the file has bytes
    ],
)
def test_damage_that_scipy_would_follow_is_an_error(tmp_path, old, new):
    path = tmp_path / "a.mat"
    savemat(path, {"a": {"x": np.eye(2)}})
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    with pytest.raises(ValueError, match=r"cannot be in it|not whole|cut off"):
        read_mat(path, ["a"])


def test_no_file_cut_anywhere_or_with_any_byte_changed_ends_the_process(tmp_path):
    path, random = tmp_path / "a.mat", np.random.default_rng(2016)
    savemat(path, {"a": {"x": np.eye(2), "b": np.array([["c"]], dtype="O")}, "d": np.zeros((0, 0))})
    data = path.read_bytes()
    failed = 0
    for _ in range(600):
        damaged = bytearray(data)
        damaged[random.integers(len(data))] = random.integers(256)
        path.write_bytes(damaged[: random.choice([len(data), random.integers(128, len(data))])])
        try:
            read_mat(path, ["a", "d"])
        except Exception:  # of many types; what matters is that this line is reached
            failed += 1
    assert failed > 300
