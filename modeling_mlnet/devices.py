"""What the machine at hand can do, as PyTorch sees it."""

import torch


def default_device(index: int = 0) -> str:
    """The accelerator there is, `cpu` if there is none.

    Args:
        index: Of one of several processes on a machine, which share its accelerators.
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        return "cpu"
    return f"{accelerator.type}:{index % torch.accelerator.device_count()}" if index else accelerator.type


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether a CPU multiplies bfloat16 in hardware; other devices keep float32 until somebody measures them."""
    return device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def wants_float32(dtype: str, device: torch.device) -> bool:
    """Whether a `dtype` of `SaliencyPredictor` means float32 there without a look at a map."""
    return dtype == "float32" or (dtype == "auto" and not has_fast_bfloat16(device))
