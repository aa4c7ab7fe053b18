"""`mlnet export`."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[str, typer.Argument(help="mini, a checkpoint's folder or a Hub id.", metavar="MODEL")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A new folder.", metavar="DIR")] = None,
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Write the graph beside the checkpoint, whose weights it uses."),
    ] = False,
    format: Annotated[str, typer.Option(help="Only onnx.")] = "onnx",
) -> None:
    """Export a checkpoint to ONNX and compare it with PyTorch: in a new folder, for any batch and image size.

    Examples: mlnet export mini -o mini-onnx; mlnet export my-checkpoint --in-place
    """
    if format != "onnx":
        raise typer.BadParameter(f"must be onnx, got {format!r}", param_hint="--format")
    if (output is None) != in_place:
        raise typer.BadParameter("give one of --output and --in-place", param_hint="--output")

    from ..onnx_export import export_in_place, export_onnx
    from .progress import quiet_libraries

    quiet_libraries()
    path, difference = export_in_place(model) if output is None else export_onnx(model, output)
    print(f"{path}: at most {difference:.0e} of the maximum away from PyTorch")
