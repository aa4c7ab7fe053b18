"""Small tables of gaze in the forms of the trackers' software, made by showing fixations on a synthetic screen."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from layouts import write_image
from typer.testing import CliRunner, Result

from modeling_mlnet.cli import app

SCREEN = (1920, 1080)
SIZES = {"beach.png": (640, 480), "forest.png": (300, 600)}
Fixation = tuple[str, str, float, float, float]  # participant, image, x and y in pixels of the image, milliseconds


def write_stimuli(folder: Path) -> Path:
    for seed, (name, size) in enumerate(SIZES.items()):
        write_image(folder / name, size, seed)
    return folder


def fixations(seed: int = 0, count: int = 20) -> list[Fixation]:
    random = np.random.default_rng(seed)
    return [
        (
            participant,
            name,
            *np.round(np.clip(random.normal(0.5, 0.2, 2), 0.02, 0.98) * size, 1).tolist(),
            float(random.integers(80, 600)),
        )
        for participant in ("P01", "P02")
        for name, size in SIZES.items()
        for _ in range(count)
    ]


def fitted(name: str) -> tuple[float, float, float, float]:
    """Where an image is shown that is scaled to the screen."""
    width, height = SIZES[name]
    scale = min(SCREEN[0] / width, SCREEN[1] / height)
    shown = width * scale, height * scale
    return (SCREEN[0] - shown[0]) / 2, (SCREEN[1] - shown[1]) / 2, *shown


def on_screen(name: str, x: float, y: float) -> tuple[float, float]:
    """A pixel of an image as a pixel of the screen."""
    left, top, width, height = fitted(name)
    return (x + 0.5) * width / SIZES[name][0] + left - 0.5, (y + 0.5) * height / SIZES[name][1] + top - 0.5


def lines(header: Sequence[str], rows: Sequence[Sequence[object]], separator: str = "\t") -> str:
    return "\n".join(separator.join(map(str, row)) for row in [header, *rows]) + "\n"


def tobii(path: Path, made: Sequence[Fixation]) -> list[Path]:
    """One row a sample, a fixation over two of them, in UTF-16 with decimal commas."""
    header = ["Recording timestamp", "Participant name", "Recording name", "Presented Media name", "Eye movement type"]
    header += ["Eye movement type index", "Gaze event duration", "Fixation point X", "Fixation point Y", "Event"]
    rows: list[list[object]] = []
    for index, (participant, name, x, y, duration) in enumerate(made, start=1):
        x, y = on_screen(name, x, y)
        place = [f"{value:.4f}".replace(".", ",") for value in (x, y)]
        rows += [[index, participant, "R1", name, "Fixation", index, duration, *place, ""]] * 2
        rows.append([index, participant, "R1", name, "Saccade", index, 20, "", "", ""])
    rows += [
        [0, "P01", "R1", "beach.png", "EyesNotFound", 1, 100, "", "", ""],
        [0, "P01", "R1", "", "", "", "", "", "", "Key"],
    ]
    path = path / "tobii.tsv"
    path.write_bytes(lines(header, rows).encode("utf-16"))
    return [path]


def eyelink(path: Path, made: Sequence[Fixation]) -> list[Path]:
    """A fixation report, dots for missing values, with the header once more in the middle."""
    header = [
        "RECORDING_SESSION_LABEL",
        "TRIAL_INDEX",
        "CURRENT_FIX_X",
        "CURRENT_FIX_Y",
        "CURRENT_FIX_DURATION",
        "image",
    ]
    rows: list[Sequence[object]] = []
    for participant, name, x, y, duration in made:
        x, y = on_screen(name, x, y)
        rows.append([participant, 1, f"{x:.4f}", f"{y:.4f}", duration, name])
    rows[2:2] = [header, ["P01", 1, ".", ".", 90, "beach.png"]]
    path = path / "eyelink.txt"
    path.write_text(lines(header, rows), encoding="utf-8-sig")
    return [path]


def gazepoint(path: Path, made: Sequence[Fixation]) -> list[Path]:
    """Fractions of the screen, a fixation growing over samples, a file for each participant."""
    paths = []
    for participant in ("P01", "P02"):
        rows: list[Sequence[object]] = []
        for index, (_, name, x, y, duration) in enumerate(fixation for fixation in made if fixation[0] == participant):
            x, y = ((value + 0.5) / side for value, side in zip(on_screen(name, x, y), SCREEN, strict=True))
            rows.append([0, name, f"{x + 0.01:.7f}", f"{y:.7f}", duration / 4000, index, 1])
            rows.append([0, name, f"{x:.7f}", f"{y:.7f}", duration / 1000, index, 1])
            rows.append([0, name, 0, 0, duration / 1000, index, 0])
        paths.append(path / f"User {participant}_fixations.csv")
        header = ["MEDIA_ID", "MEDIA_NAME", "FPOGX", "FPOGY", "FPOGD", "FPOGID", "FPOGV"]
        paths[-1].write_text(lines(header, rows, ","), encoding="utf-8")
    return paths


def pupil(path: Path, made: Sequence[Fixation]) -> list[Path]:
    """Fractions of a surface from its lower left corner, a row for each video frame, a file for each surface."""
    header = ["world_index", "fixation_id", "duration", "norm_pos_x", "norm_pos_y", "on_surf"]
    paths = []
    for participant in ("P01", "P02"):
        for name, (width, height) in SIZES.items():
            rows: list[Sequence[object]] = []
            for index, fixation in enumerate(made):
                if fixation[:2] == (participant, name):
                    _, _, x, y, duration = fixation
                    place = (x + 0.5) / width, 1 - (y + 0.5) / height
                    rows += [[index, index, duration, place[0] + shift, place[1], True] for shift in (-0.01, 0.01)]
                    rows.append([index, index, duration, 1.2, 0.5, False])
            paths.append(path / participant / f"fixations_on_surface_{Path(name).stem}.csv")
            paths[-1].parent.mkdir(exist_ok=True)
            paths[-1].write_text(lines(header, rows, ","), encoding="utf-8")
    return paths


def smi(path: Path, made: Sequence[Fixation]) -> list[Path]:
    """BeGaze's event statistics, separated by semicolons, with decimal commas and hyphens for missing values."""
    header = ["Trial", "Stimulus", "Participant", "Eye L/R", "Category", "Event Duration [ms]", "Index"]
    header += ["Fixation Position X [px]", "Fixation Position Y [px]", "AOI Name"]
    rows: list[Sequence[object]] = []
    for index, (participant, name, x, y, duration) in enumerate(made):
        place = [f"{value:.4f}".replace(".", ",") for value in on_screen(name, x, y)]
        rows += [["T1", name, participant, "Right", "Fixation", duration, index, *place, area] for area in ("a", "b")]
        rows.append(["T1", name, participant, "Right", "Saccade", 20, index, "-", "-", "-"])
    path = path / "smi.txt"
    path.write_text(lines(header, rows, ";"), encoding="cp1252")
    return [path]


def pymovements(path: Path, made: Sequence[Fixation]) -> list[Path]:
    """Samples at 250 Hz, as `Gaze.save` writes them."""
    rows: list[Sequence[object]] = []
    time = 0
    for participant, name, x, y, duration in made:
        x, y = on_screen(name, x, y)
        for _ in range(round(duration / 4) + 40):
            rows.append([time, x, y, participant, name])
            time += 4
        rows += [[time + 4 * step, "", "", participant, name] for step in range(5)]  # a blink
        time += 20
    path = path / "samples.csv"
    path.write_text(lines(["time", "pixel_x", "pixel_y", "subject", "image"], rows, ","), encoding="utf-8")
    return [path]


WRITERS: dict[str, Callable[[Path, Sequence[Fixation]], list[Path]]] = {
    writer.__name__: writer for writer in (tobii, eyelink, gazepoint, pupil, smi, pymovements)
}
GENERIC = ["--columns", "x=gx,y=gy,stimulus=img,participant=who,duration=ms"]
VIEWING = ["--screen-mm", "530x300", "--distance-mm", "650"]
OPTIONS: dict[str, list[str]] = {
    "tobii": ["--screen", "1920x1080", "--stimulus-rect", "fit"],
    "eyelink": ["--screen", "1920x1080", "--stimulus-rect", "fit", "--columns", "stimulus=image"],
    "gazepoint": ["--screen", "1920x1080", "--stimulus-rect", "fit"],
    "pupil": [],
    "smi": ["--screen", "1920x1080", "--stimulus-rect", "fit", "--encoding", "cp1252"],
    "pymovements": [
        *("--detector", "idt", "--columns", "stimulus=image,participant=subject"),
        *("--screen", "1920x1080", "--stimulus-rect", "fit", *VIEWING),
    ],
}


def run_import(folder: Path, paths: Sequence[Path], *words: str) -> Result:
    """`mlnet data import` of files into the folder `set`, images being in `stimuli`."""
    folders = "--images", str(folder / "stimuli"), "-o", str(folder / "set")
    return CliRunner().invoke(app, ["data", "import", *map(str, paths), *folders, *words])


def written(folder: Path) -> dict[str, dict]:
    """The lines of `metadata.jsonl` by image."""
    entries = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    return {entry["file_name"].removeprefix("images/"): entry for entry in entries}
