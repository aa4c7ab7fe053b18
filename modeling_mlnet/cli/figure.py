"""`mlnet figure`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import DATASET, PROTOCOL, DeviceOption, HeldOutOption, SplitOption

if TYPE_CHECKING:
    from ..evaluation.example_sheet import MapSource


def figure(
    dataset: Annotated[str, typer.Option(help=DATASET)],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="File for the sheet; the suffix sets the format.", metavar="FILE.png|FILE.pdf"
        ),
    ],
    model: Annotated[
        list[str] | None, typer.Option(help="mini, vgg16, a checkpoint's folder or a Hub id; may be repeated.")
    ] = None,
    maps: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of another model's maps (IMAGE_ID.npy or .png); may be repeated.", metavar="DIR"),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="itti, gbvs, spectral-residual, bms or rare2012; may be repeated."),
    ] = None,
    log_maps: Annotated[bool, typer.Option("--log-maps", help="The maps of --maps are log densities.")] = False,
    rule: Annotated[str, typer.Option(help="random, or best or worst by --metric of the first model.")] = "random",
    metric: Annotated[str, typer.Option(help="Metric of the protocol to choose images by.")] = "CC",
    count: Annotated[int, typer.Option(min=1, help="Number of images.")] = 6,
    seed: Annotated[int, typer.Option(help="Seed of the rule random.")] = 0,
    photos: Annotated[bool, typer.Option(help="Show the photographs, not only the maps.")] = True,
    protocol: Annotated[str, typer.Option(help=PROTOCOL)] = "tuebingen",
    split: SplitOption = None,
    held_out: HeldOutOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Draw images, truth and predictions side by side, chosen by a rule (the paper's Fig. 4 and 5).

    `--rule worst` shows what a model cannot do. Without --model, --maps and --baseline the sheet is mini's.

    Example: mlnet figure --dataset osie:/data/osie --held-out 0.1 --rule worst --model mini -o worst.png
    """
    from ..io.figures import check_format, save_figure

    check_format(output)

    from ..baselines import BASELINES
    from ..data import load
    from ..evaluation.evaluate import baseline_maps, predicted_by
    from ..evaluation.example_sheet import choose_images, draw_sheet, sheet_table
    from ..evaluation.map_folder import MapFolder
    from ..inference.predictor import SaliencyPredictor
    from .progress import tracked

    if unknown := set(baseline or []) - set(BASELINES):
        raise typer.BadParameter(f"must be one of {list(BASELINES)}, got {min(unknown)!r}", param_hint="--baseline")
    models = model or ([] if maps or baseline else ["mini"])
    sources: dict[str, MapSource] = {
        name: predicted_by(SaliencyPredictor(name, device=device, dtype="float32")) for name in models
    }
    sources |= {str(folder): MapFolder(folder, log_maps) for folder in maps or []}
    sources |= {name: baseline_maps(name) for name in baseline or []}
    last = [Path(name).name for name in sources]
    if len(set(last)) == len(last):  # headings are narrow
        sources = dict(zip(last, sources.values(), strict=True))
    rows = load(dataset, split, held_out)
    sheet = choose_images(rows, sources, rule, metric, count, seed, protocol, partial(tracked, total=len(rows)))
    save_figure(draw_sheet(sheet, photos), output)
    print(sheet_table(sheet))
