"""`mlnet submit`."""

from pathlib import Path
from typing import Annotated

import typer

from .options import ModelOption


def submit(
    benchmark: Annotated[str, typer.Argument(help="mit300, cat2000 or salicon.", metavar="BENCHMARK")],
    images: Annotated[Path, typer.Argument(help="The folder of its images, as distributed.", metavar="DIR")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help=".h5 (log densities; mit300, cat2000) or .zip (8-bit maps).", metavar="FILE"
        ),
    ],
    model: ModelOption = "mini",
    name: Annotated[str, typer.Option(help="Name of the model in SALICON's files.")] = "mlnet",
    device: Annotated[str, typer.Option(help="auto (a GPU if PyTorch can use one), cpu, cuda, mps, ...")] = "auto",
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Write the file even if images are missing, for a rehearsal.")
    ] = False,
) -> None:
    """Predict a benchmark's images and write the file that it takes, if all of them are there.

    Example: mlnet submit mit300 BenchmarkIMAGES -o mit300.h5
    """
    if not name.isidentifier():
        raise typer.BadParameter(f"must be letters, digits and underscores, got {name!r}", param_hint="--name")

    from ..evaluation.submission import write_submission
    from ..inference.predictor import SaliencyPredictor
    from .progress import tracked

    predictor = SaliencyPredictor(model, device=device, dtype="float32")
    count = write_submission(benchmark, images, output, predictor, name, incomplete, tracked)
    print(f"{count:,} images in {output}")
