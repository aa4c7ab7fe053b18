"""SALICON in every form it was published in (Jiang et al., CVPR 2015; salicon.net)."""

from collections.abc import Mapping
from pathlib import Path

from ..io.progress import Progress, no_progress
from .catalog import CATALOG
from .files import by_stem, without_image
from .fixations import Annotation, NoPoints, PointFile, read_gaze_mat, read_mask_image
from .layouts import why_missing
from .salicon_json import read_index
from .schema import Record, Scan

FOLDERS = {"train": "train", "validation": "val", "test": "test"}
READERS = {".mat": read_gaze_mat, ".png": read_mask_image}
# Where images lie in the archives of 2017, in those of 2015 and in the API's example; {0} is one of FOLDERS.
PICTURE_FOLDERS = ("images/{0}", "{0}", "images/{0}20*", "{0}20*")
ARCHIVED = {"maps": ("maps",), "fixations": ("fixations", "annotations", "fixations_{0}20*.json")}
JSON_FILES = ("annotations/fixations_{0}20*.json", "fixations_{0}20*.json")


def list_salicon(directory: Path, split: str = "train", progress: Progress = no_progress) -> Scan:
    """Lists `images/SPLIT/*.jpg` with `maps/SPLIT/*.png` and the fixations of the same names.

    Fixations are `fixations/SPLIT/*.mat` (of 2017, or older with a binary map), `fixations/SPLIT/*.png`, or the JSON
    of 2015, `annotations/fixations_SPLIT2014.json`; what comes first in this order counts. Either maps or fixations
    may be absent altogether.

    Args:
        split: `train`, `validation`, or `test`, which has no ground truth.
        progress: Wraps an iteration, `(iterable, description)`, to show a bar.

    Raises:
        ValueError: If the split's images or its ground truth are not there, or the JSON is damaged.
    """
    folder = FOLDERS[split]
    images = _images(directory, folder)
    if split in CATALOG["salicon"].without_truth:
        return Scan([Record(image, stem) for stem, image in images.items()])
    map_folder = directory / "maps" / folder
    maps = by_stem(map_folder, (".png",))
    listing = Scan(unmatched=without_image(maps, images))
    annotations = _annotations(directory, folder, images, listing, progress)
    has_maps = bool(maps) or (map_folder.is_dir() and not why_missing(directory, "maps", folder))
    hints = {  # what lies there packed or misplaced was meant to be read
        kind: [why_missing(directory, path.format(folder), folder) for path in ARCHIVED[kind]]
        for kind, is_there in (("maps", has_maps), ("fixations", annotations))
        if not is_there
    }
    if len(hints) == 2:
        raise ValueError(
            f"{directory}: SALICON's images of {split} are there, but neither maps/{folder}, fixations/{folder} "
            f"nor annotations/fixations_{folder}2014.json{''.join(map(''.join, hints.values()))}"
        )
    for kind, reasons in hints.items():
        absent = f"{directory / kind / folder}: no such folder with files, {kind} are left out"
        listing.problems += [f"{absent}{reason}" for reason in reasons if reason]
    for stem, image in images.items():
        saliency_map = maps.get(stem, map_folder / f"{stem}.png") if has_maps else None
        listing.records.append(Record(image, stem, annotations.get(stem), saliency_map))
    return listing


def _images(directory: Path, folder: str) -> dict[str, Path]:
    for pattern in PICTURE_FOLDERS:
        for folder_path in sorted(directory.glob(pattern.format(folder))):
            # one without images holds the content of another archive, unpacked in the wrong place
            if images := by_stem(folder_path, (".jpg", ".jpeg")):
                return images
    hint = why_missing(directory, "images", folder) or why_missing(directory, folder)  # of 2017 or of 2015
    raise ValueError(f"{directory / 'images' / folder}: no such folder with images; SALICON's belong there{hint}")


def _annotations(
    directory: Path, folder: str, images: Mapping[str, Path], listing: Scan, progress: Progress
) -> dict[str, Annotation]:
    """The fixations of every image, or a source that reports them missing; empty if there are none at all."""
    folder_path = directory / "fixations" / folder
    files = by_stem(folder_path, tuple(READERS))
    if files or (folder_path.is_dir() and not why_missing(directory, "fixations", folder)):
        listing.unmatched += without_image(files, images)
        paths = {stem: files.get(stem, folder_path / f"{stem}.mat") for stem in images}
        return {stem: PointFile(path, READERS[path.suffix.lower()]) for stem, path in paths.items()}
    path = next((path for pattern in JSON_FILES for path in sorted(directory.glob(pattern.format(folder)))), None)
    if path is None:
        return {}
    index = read_index(path, progress)
    stems = {image.name: stem for stem, image in images.items()}
    listing.unmatched += [f"{path}: has fixations for {name}, which is missing" for name in index if name not in stems]
    return {
        stem: index.get(name) or NoPoints(f"{path}: fixations for {name} are missing") for name, stem in stems.items()
    }
