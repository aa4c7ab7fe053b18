"""`mlnet export`."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[str, typer.Argument(help="mini, a checkpoint's folder or a Hub id.", metavar="MODEL")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder.", metavar="DIR")],
    format: Annotated[str, typer.Option(help="onnx is the only one.")] = "onnx",
) -> None:
    """Write a checkpoint as an ONNX model for any batch and size, checked against PyTorch.

    Example: mlnet export mini -o mini-onnx
    """
    if format != "onnx":
        raise typer.BadParameter(f"must be onnx, got {format!r}", param_hint="--format")

    from ..onnx_export import export_onnx
    from .progress import quiet_libraries

    quiet_libraries()
    difference = export_onnx(model, output)
    print(f"{output / 'model.onnx'}: at most {difference:.0e} of the maximum away from PyTorch")
