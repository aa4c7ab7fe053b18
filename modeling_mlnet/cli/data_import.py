"""`mlnet data import`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from ..data.gaze.display import Rect
    from ..data.gaze.stimuli import Place

PRESET = "tobii, eyelink, gazepoint, pupil, smi or pymovements: names of columns and units of their exports."
COLUMNS = (
    'Columns by role, with commas: x="Fixation point X",y="Fixation point Y",stimulus=image; roles are x, y, '
    "stimulus, participant, recording, trial, index, kind, valid, eye, duration, time, left, top, width, height."
)
RECT = (
    "Where images were shown: X,Y,WIDTH,HEIGHT in pixels of the screen, a table (stimulus,left,top,width,height), fit "
    "(scaled to the screen), centre (own size) or image (positions count on the image)."
)
Choice = TypeVar("Choice", bound=str)


def import_tables(
    tables: Annotated[
        list[Path], typer.Argument(help="Tables exported by the eye tracker's software.", metavar="FILE...")
    ],
    images: Annotated[Path, typer.Option(help="Folder of the images that were shown.", metavar="DIR")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder.", metavar="DIR")],
    preset: Annotated[str | None, typer.Option(help=PRESET)] = None,
    columns: Annotated[str, typer.Option(help=COLUMNS, metavar="ROLE=NAME,...")] = "",
    separator: Annotated[
        str | None, typer.Option(help="Separator of values, tab for tabs; detected if not given.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of the tables, such as cp1252; UTF-8 and UTF-16 are detected.")
    ] = None,
    units: Annotated[str | None, typer.Option(help="px, fraction (of width and height) or deg.")] = None,
    origin: Annotated[
        str | None,
        typer.Option(help="upper-left, lower-left, centre (y counts down from it) or centre-up (y counts up)."),
    ] = None,
    screen: Annotated[str | None, typer.Option(help="Size of the screen in pixels.", metavar="WIDTHxHEIGHT")] = None,
    stimulus_rect: Annotated[str | None, typer.Option(help=RECT)] = None,
    screen_mm: Annotated[
        str | None, typer.Option(help="Size of the screen in mm, for degrees and detectors.", metavar="WIDTHxHEIGHT")
    ] = None,
    distance_mm: Annotated[
        float | None,
        typer.Option(min=1, help="Distance of the eyes from the screen in mm, for degrees and detectors."),
    ] = None,
    stimulus: Annotated[str | None, typer.Option(help="Image that all rows belong to, if no column names it.")] = None,
    eye: Annotated[str | None, typer.Option(help="left or right, if the tables have both.")] = None,
    detector: Annotated[
        str | None, typer.Option(help="idt or ivt, if the tables hold samples instead of fixations.")
    ] = None,
    time_unit: Annotated[str | None, typer.Option(help="Unit of times and durations: s, ms, us or ns.")] = None,
    sigma: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="Standard deviation of the density's Gaussian in image pixels; default: 3 % of the longer side.",
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="duration: densities, written as maps, weigh fixations by their durations.")
    ] = None,
) -> None:
    """Make a data set of an eye tracker's tables: fixations in pixels of the images, by participant, with durations.

    Example: mlnet data import study.tsv --preset tobii --images stimuli --screen 1920x1080 --stimulus-rect fit -o set
    """
    from ..data.gaze import Display, GazeFormat, Viewing, import_gaze
    from ..data.gaze.presets import ORIGINS, UNITS
    from ..data.gaze.samples import DETECTORS
    from .progress import tracked

    found_detector = _choice(detector, DETECTORS, "--detector")
    if (screen_mm is None) != (distance_mm is None):
        raise typer.BadParameter("--screen-mm and --distance-mm are needed together")
    viewing = pixels = None
    if screen_mm is not None and distance_mm is not None:
        viewing = Viewing(_size(screen_mm, "--screen-mm"), distance_mm)
    if screen is not None:
        width, height = _size(screen, "--screen")
        pixels = (round(width), round(height))
    display = Display(pixels, _rect(stimulus_rect), viewing)
    form = GazeFormat(
        preset,
        _roles(columns),
        {"tab": "\t", "\\t": "\t"}.get(separator or "", separator),
        encoding,
        _choice(units, UNITS, "--units"),
        _choice(origin, ORIGINS, "--origin"),
        stimulus,
        _choice(eye, ("left", "right"), "--eye"),
        found_detector is not None,
        time_unit,
    )
    is_weighed = _choice(weights, ("duration",), "--weights") is not None
    report = import_gaze(tables, images, output, form, display, found_detector, sigma, is_weighed, tracked)
    for note in [*report.notes, *_turned(output)]:
        print(f"note: {note}")
    for reason, count in report.left_out.most_common():
        print(f"left out: {count:,} {reason}")
    participants = f"{report.participants:,} participants"
    print(f"{report.fixations:,} fixations of {participants} on {report.images:,} images in {output}")


def _turned(folder: Path) -> list[str]:
    """Whether the fixations fit a model's maps better mirrored, turned or shifted."""
    from ..data import check
    from ..evaluation.orientation import find_turned
    from ..inference.predictor import SaliencyPredictor

    return find_turned(SaliencyPredictor("mini"), check(f"folder:{folder}").rows)


def _choice(value: str | None, choices: tuple[Choice, ...], option: str) -> Choice | None:
    if value is None:
        return None
    chosen = next((choice for choice in choices if choice == value), None)
    if chosen is None:
        raise typer.BadParameter(f"must be {' or '.join(choices)}, got {value!r}", param_hint=option)
    return chosen


def _numbers(value: str, separator: str) -> list[float]:
    try:
        return [float(part) for part in value.lower().split(separator)]
    except ValueError:
        return []


def _size(value: str, option: str) -> tuple[float, float]:
    numbers = _numbers(value, "x")
    if len(numbers) != 2 or not all(0 < number < float("inf") for number in numbers):
        raise typer.BadParameter(f"must be WIDTHxHEIGHT, such as 1920x1080, got {value!r}", param_hint=option)
    return numbers[0], numbers[1]


def _rect(value: str | None) -> "Rect | Path | Place | None":
    from ..data.gaze.stimuli import PLACES

    place = next((place for place in PLACES if place == value), None)
    if value is None or place:
        return place
    numbers = _numbers(value, ",")
    if len(numbers) == 4 and numbers[2] > 0 and numbers[3] > 0:
        left, top, width, height = numbers
        return left, top, width, height
    if Path(value).is_file():
        return Path(value)
    raise typer.BadParameter(
        f"must be X,Y,WIDTH,HEIGHT, a table or one of {', '.join(PLACES)}, got {value!r}", param_hint="--stimulus-rect"
    )


def _roles(value: str) -> dict[str, str]:
    """`x=Fixation point X,y=...`; a comma that no role follows belongs to a name."""
    roles: dict[str, str] = {}
    last = None
    for part in value.split(",") if value else []:
        role, separator, name = part.partition("=")
        if separator:
            last = role.strip()
            if last in roles:
                raise typer.BadParameter(f"{last} is named twice", param_hint="--columns")
            roles[last] = name.strip().strip("\"'")
        elif last is None:
            raise typer.BadParameter(f"must be ROLE=NAME, got {part!r}", param_hint="--columns")
        else:
            roles[last] += f",{part}"
    return roles
