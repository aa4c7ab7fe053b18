"""From tables of gaze to a folder with images and `metadata.jsonl`."""

import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...io.atomic import require_new_folder, whole_folder
from ...io.progress import Progress, no_progress
from ..folder import METADATA
from ..maps import map_png
from ..plausibility import ImageFixations, find_implausible
from ..schema import SIGMA_FRACTION, fixation_density, inside
from ..tables import quoted
from .display import Size, screen_pixels
from .offsets import participant_offsets
from .placing import Display, Placing
from .presets import Position
from .reading import Track, read_gaze
from .rows import GazeFormat
from .samples import Detector, find_fixations
from .stimuli import Stimuli


@dataclass
class ImageGaze:
    """Fixations on one image, by participant: `(n, 2)` pixels and `(n,)` milliseconds."""

    fixations: dict[str, np.ndarray] = field(default_factory=dict)
    durations: dict[str, np.ndarray] = field(default_factory=dict)
    outside: int = 0

    def add(self, participant: str, fixations: np.ndarray, durations: np.ndarray) -> None:
        """Adds fixations on the image."""
        before = self.fixations.get(participant, np.zeros((0, 2)))
        self.fixations[participant] = np.concatenate([before, fixations])
        self.durations[participant] = np.concatenate([self.durations.get(participant, np.zeros(0)), durations])


@dataclass
class ImportReport:
    """Summary of an import.

    Args:
        images: How many images have fixations.
        participants: How many people made them.
        fixations: How many there are.
        left_out: How many rows and fixations are not among them, by reason.
        notes: One line for everything that was found rather than said, or that is unusual.
    """

    images: int
    participants: int
    fixations: int
    left_out: Counter[str]
    notes: list[str]


def import_gaze(
    tables: Sequence[Path],
    images: Path,
    output: Path,
    form: GazeFormat,
    display: Display,
    detector: Detector | None = None,
    sigma: float | None = None,
    weigh_durations: bool = False,
    progress: Progress = no_progress,
) -> ImportReport:
    """Writes tables of gaze as a folder that `load` reads, with copies of the images, whole or not at all.

    Args:
        tables: Fixation reports, or samples if there is a detector.
        images: A folder with the images that they name.
        output: The folder to write; it must not exist or be empty.
        form: How the tables are to be read.
        display: Position of the images on the screen.
        detector: Finds the fixations in samples.
        sigma: Standard deviation in pixels of the images of the Gaussian that makes densities.
        weigh_durations: Whether densities, written as maps, weigh every fixation by its duration.
        progress: Wraps an iteration, `(iterable, description)`, to show a bar.

    Raises:
        ValueError: If something that has to be known is not said, a table cannot be read, none of its fixations lies
            on an image, or the fixations cannot be right (see `plausibility`).
    """
    require_new_folder(output)
    twice = [path for path, count in Counter(path.resolve() for path in tables).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]}: is given twice, which would double its fixations")
    root = Path(os.path.commonpath([os.path.abspath(path.parent) for path in tables]))
    stimuli = Stimuli(images)
    placing = Placing(stimuli, display)
    gaze: dict[Path, ImageGaze] = {}
    left_out: Counter[str] = Counter()
    notes: list[str] = []
    for path in progress(tables, "reading gaze"):
        table = read_gaze(path, root, form, display.rect == "image")
        left_out += table.left_out
        notes += table.notes
        for track in table.tracks:
            image = stimuli.find(track.stimulus)
            if image is None:
                left_out[f"rows of {track.stimulus!r}, which is no image of {images}"] += len(track.points)
                continue
            try:
                fixations, durations, rects = _fixations(track, table.position, stimuli.size(image), display, detector)
                on_image = placing.on_image(image, table.position, fixations, rects)
            except ValueError as error:
                raise ValueError(f"{path}, {track.participant} on {track.stimulus}: {error}") from error
            is_inside = inside(on_image, *stimuli.size(image)[::-1])
            beside = int(np.count_nonzero(~is_inside))
            if beside:
                left_out["fixations beside their image"] += beside
            entry = gaze.setdefault(image, ImageGaze())
            entry.outside += beside
            entry.add(track.participant, on_image[is_inside], durations[is_inside])
    notes += placing.notes
    _require_usable(gaze, stimuli, tables, left_out, notes)
    gaze = {image: gaze[image] for image in sorted(gaze) if any(map(len, gaze[image].fixations.values()))}
    with whole_folder(output) as folder:
        lines = [
            _write_image(folder, images, image, entry, stimuli.size(image), sigma, weigh_durations)
            for image, entry in progress(gaze.items(), "writing images")
        ]
        (folder / METADATA).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    participants = {name for entry in gaze.values() for name in entry.fixations}
    count = sum(len(points) for entry in gaze.values() for points in entry.fixations.values())
    return ImportReport(len(gaze), len(participants), count, left_out, notes)


def _fixations(
    track: Track, position: Position, size: Size, display: Display, detector: Detector | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fixations in pixels of the screen or image, their durations, and where the image was shown."""
    frame: Size | None = size if position.on_image else display.screen
    needs_screen = position.units != "px" or position.origin != "upper-left" or detector is not None
    if frame is None and needs_screen:
        raise ValueError(
            f"{position.units} from the {position.origin} need the size of the screen: --screen WIDTHxHEIGHT"
        )
    if (position.units == "deg" or detector) and display.viewing is None:
        raise ValueError(
            "degrees of visual angle need the size of the screen in millimetres and the distance of the eyes from it: "
            "--screen-mm 530x300 --distance-mm 650"
        )
    points = screen_pixels(track.points, position.units or "px", position.origin, frame or (0, 0), display.viewing)
    if detector is None:
        return points, track.durations, track.rects
    assert display.viewing is not None and frame is not None
    fixations, durations = find_fixations(points, track.times, frame, display.viewing, detector)
    return fixations, durations, np.repeat(track.rects[:1], len(fixations), axis=0)


def _require_usable(
    gaze: Mapping[Path, ImageGaze],
    stimuli: Stimuli,
    tables: Sequence[Path],
    left_out: Counter[str],
    notes: list[str],
) -> None:
    """Adds notes on unusual data; raises a ValueError if nothing is usable or the fixations cannot be right."""
    name = str(tables[0]) if len(tables) == 1 else f"{tables[0]} and {len(tables) - 1} more"
    images = [
        ImageFixations(stimuli.size(image), np.concatenate(list(entry.fixations.values())), entry.outside)
        for image, entry in gaze.items()
    ]
    findings = find_implausible(images)
    certain = [finding.text for finding in findings if finding.is_certain]
    if certain:
        raise ValueError(f"{name}: these fixations cannot be right: {'; '.join(certain)}; {'; '.join(notes)}")
    if not any(len(image.fixations) for image in images):
        reasons = quoted([f"{count:,} {reason}" for reason, count in left_out.most_common()])
        raise ValueError(f"{name}: no fixation on an image of {stimuli.folder}; left out: {reasons}")
    notes += [finding.text for finding in findings]
    notes += participant_offsets([(stimuli.size(image), entry.fixations) for image, entry in gaze.items()])


def _write_image(
    folder: Path,
    images: Path,
    image: Path,
    entry: ImageGaze,
    size: tuple[int, int],
    sigma: float | None,
    weigh_durations: bool,
) -> dict[str, object]:
    """Copies an image and returns its line of `metadata.jsonl`."""
    relative = image.relative_to(images)
    target = folder / "images" / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(image, target)
    points, durations = list(entry.fixations.values()), list(entry.durations.values())
    line: dict[str, object] = {
        "file_name": f"images/{relative.as_posix()}",
        "observers": [np.round(pairs, 2).tolist() for pairs in points],
        "participants": list(entry.fixations),
        "recording": "eye",
    }
    if np.isfinite(np.concatenate(durations)).any():
        line["durations"] = [
            [ms if math.isfinite(ms) else None for ms in np.round(row, 1).tolist()] for row in durations
        ]
    if sigma is not None:
        line["sigma"] = sigma
    if weigh_durations:
        without = np.count_nonzero(~(np.concatenate(durations) > 0))
        if without:
            raise ValueError(f"{relative}: {without} of its fixations have no duration above 0 to be weighed by")
        width, height = size
        density = fixation_density(
            np.concatenate(points), height, width, sigma or SIGMA_FRACTION * max(size), np.concatenate(durations)
        )
        path = folder / "maps" / relative.with_name(f"{relative.name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(map_png(density))
        line["map_file_name"] = path.relative_to(folder).as_posix()
    return line
