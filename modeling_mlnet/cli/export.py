"""`mlnet export`."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[str, typer.Argument(help="mini, vgg16, a checkpoint's folder or a Hub id.", metavar="MODEL")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A new folder.", metavar="DIR")] = None,
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Write the graph beside the checkpoint, whose weights it uses."),
    ] = False,
    web: Annotated[
        Path | None, typer.Option(help="New folder for a web page that predicts in the browser.", metavar="DIR")
    ] = None,
    onnxruntime_web: Annotated[
        Path | None,
        typer.Option(
            help="File of the npm package onnxruntime-web, from `npm pack`; npm is called if it is not given.",
            metavar="TGZ",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    format: Annotated[str, typer.Option(help="Format of the graph; onnx is the only one.")] = "onnx",
) -> None:
    """Export a checkpoint to ONNX: for any batch and image size, beside its weights, or with a page for the browser.

    Examples: mlnet export mini -o mini-onnx; mlnet export my-checkpoint --in-place; mlnet export mini --web site
    """
    if format != "onnx":
        raise typer.BadParameter(f"must be onnx, got {format!r}", param_hint="--format")
    if [output is not None, in_place, web is not None].count(True) != 1:
        raise typer.BadParameter("give one of --output, --in-place and --web", param_hint="--output")
    if onnxruntime_web is not None and web is None:
        raise typer.BadParameter("is for --web only", param_hint="--onnxruntime-web")

    if web is not None:
        from ..inference.web import export_web

        page, graph = export_web(model, web, onnxruntime_web)
        agreement = f"correlation with float32 at least {graph.correlation:.5f} on the examples"
        print(f"{page}: network of {len(graph.content) / 1e6:.1f} MB, weights in {graph.dtype}, {agreement}")
        return

    from ..inference.export import export_in_place, export_onnx

    path, difference = export_in_place(model) if output is None else export_onnx(model, output)
    print(f"{path}: at most {difference:.0e} of the maximum away from PyTorch")
