"""`mlnet figure`."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import DATASET, PROTOCOL


def figure(
    dataset: Annotated[str, typer.Option(help=DATASET)],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The sheet; the suffix decides its form.", metavar="FILE.png|FILE.pdf"),
    ],
    model: Annotated[
        list[str] | None, typer.Option(help="mini, a checkpoint's folder or a Hub id; may be repeated.")
    ] = None,
    maps: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of another model's maps (IMAGE_ID.npy or .png); may be repeated.", metavar="DIR"),
    ] = None,
    log_maps: Annotated[bool, typer.Option("--log-maps", help="The maps of --maps are log densities.")] = False,
    rule: Annotated[str, typer.Option(help="random, or best or worst by --metric of the first model.")] = "random",
    metric: Annotated[str, typer.Option(help="Score to choose by, one of the protocol's.")] = "CC",
    count: Annotated[int, typer.Option(min=1, help="How many images.")] = 6,
    seed: Annotated[int, typer.Option(help="Seed of the rule random.")] = 0,
    photos: Annotated[bool, typer.Option(help="Show the photographs, not only the maps.")] = True,
    protocol: Annotated[str, typer.Option(help=PROTOCOL)] = "tuebingen",
    split: Annotated[str | None, typer.Option(help="train or validation, where there are splits.")] = None,
    held_out: Annotated[
        float | None, typer.Option(help="Only the fraction that `mlnet train` with this held_out leaves out.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, ...")] = "auto",
) -> None:
    """Draw images, truth and predictions side by side, chosen by a rule (the paper's Fig. 4 and 5).

    `--rule worst` shows what a model cannot do. Without --model and --maps the sheet is mini's.

    Example: mlnet figure --dataset osie:/data/osie --held-out 0.1 --rule worst --model mini -o worst.png
    """
    from ..io.figures import check_format, save_figure

    check_format(output)

    from ..data import load
    from ..evaluation.evaluate import predicted_by
    from ..evaluation.example_sheet import choose_images, draw_sheet, sheet_table
    from ..evaluation.map_folder import MapFolder
    from ..prediction import SaliencyPredictor
    from .progress import quiet_libraries, tracked

    quiet_libraries()

    models = model or ([] if maps else ["mini"])
    sources: dict[str, Callable[[Any], Iterable[Any]]] = {
        name: predicted_by(SaliencyPredictor(name, device=device, dtype="float32")) for name in models
    }
    sources |= {str(folder): MapFolder(folder, log_maps) for folder in maps or []}
    last = [Path(name).name for name in sources]
    if len(set(last)) == len(last):  # headings are narrow
        sources = dict(zip(last, sources.values(), strict=True))
    rows = load(dataset, split, held_out)
    sheet = choose_images(rows, sources, rule, metric, count, seed, protocol, partial(tracked, total=len(rows)))
    save_figure(draw_sheet(sheet, photos), output)
    print(sheet_table(sheet))
