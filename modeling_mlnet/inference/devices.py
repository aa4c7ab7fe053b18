"""The cores and the GPU that this process may use."""

import os
import sys
from contextlib import suppress
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container
CPU_INFO = Path("/proc/cpuinfo")  # of Linux
ACCELERATORS = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "/dev/accel")  # of NVIDIA, WSL, AMD, Intel


def usable_cores() -> int:
    """Cores that this process may use: those it is bound to, or fewer by a container's quota or OMP_NUM_THREADS."""
    limits = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():  # as torchrun sets it
        limits.append(int(threads))
    with suppress(OSError, ValueError):  # no such file, or "max" in it
        quota, period = QUOTA.read_text(encoding="ascii").split()
        limits.append(int(quota) // int(period))
    return max(1, min(limits))


def has_amx() -> bool:
    """Whether the processor multiplies matrices of bfloat16 (AMX); only Linux tells."""
    with suppress(OSError):
        return "amx_bf16" in CPU_INFO.read_text(encoding="utf-8", errors="replace").split()
    return False


def default_device() -> str:
    """The GPU that PyTorch can use, `cpu` if there is none; PyTorch is not imported where there cannot be one."""
    if "torch" not in sys.modules and sys.platform != "win32" and not any(map(os.path.exists, ACCELERATORS)):
        return "cpu"
    import torch

    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None or accelerator.type == "mps":  # nobody has measured Apple's
        return "cpu"
    rank = int(os.environ.get("LOCAL_RANK", "0"))  # of the processes that torchrun starts, which share the GPUs
    return f"{accelerator.type}:{rank % torch.accelerator.device_count()}" if rank else accelerator.type
