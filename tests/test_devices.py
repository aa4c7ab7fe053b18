"""The processor and the GPU that are used, and the precision that is taken on them."""

from types import SimpleNamespace

import pytest
import torch

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.inference import devices, network


def test_cores_are_those_of_affinity_quota_and_environment(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda pid: set(range(12)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for content, cores in ((None, 12), ("max 100000", 12), ("600000 100000", 6), ("50000 100000", 1)):
        if content is not None:
            (tmp_path / "cpu.max").write_text(content)
        assert devices.usable_cores() == cores
    (tmp_path / "cpu.max").write_text("max 100000")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert devices.usable_cores() == 3


@pytest.mark.parametrize(
    ("name", "flags", "has_it", "is_fast"),
    [
        ("Intel(R) Xeon(R) Processor", "avx512_bf16 amx_bf16 amx_tile", True, True),
        ("Intel(R) Xeon(R) Processor", "avx512_bf16 avx512_fp16", True, False),
        ("AMD EPYC 9R14", "avx512_bf16", True, True),
        ("AMD EPYC 7R32", "avx2", False, False),
        ("ARM Neoverse-V1", None, True, False),
    ],
)
def test_where_bfloat16_is_faster_than_float32(name, flags, has_it, is_fast, tmp_path, monkeypatch):
    properties = {"FULL_DEVICE_NAME": name, "OPTIMIZATION_CAPABILITIES": ["FP32", *["BF16"] * has_it]}
    core = SimpleNamespace(get_property=lambda device, key: properties[key])
    monkeypatch.setattr(network, "_core", lambda: core)
    monkeypatch.setattr(devices, "CPU_INFO", tmp_path / "cpuinfo")
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"model name\t: {name}\nflags\t\t: fpu {flags}\n")
    assert network.is_bfloat16_fast() is is_fast


def test_auto_is_what_is_faster(monkeypatch):
    for is_fast, dtype in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr("modeling_mlnet.inference.predictor.is_bfloat16_fast", lambda is_fast=is_fast: is_fast)
        assert SaliencyPredictor("mini", device="cpu").dtype == dtype


def test_a_gpu_is_taken_if_pytorch_has_one(monkeypatch):
    assert devices.default_device() == ("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    assert devices.default_device() == "cuda"
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert devices.default_device() == "cuda:1"
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device("mps"))
    assert devices.default_device() == "cpu"
