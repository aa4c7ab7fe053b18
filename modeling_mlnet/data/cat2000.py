"""The training set of CAT2000 (Borji and Itti, arXiv:1505.03581)."""

from pathlib import Path

from .files import IMAGE_SUFFIXES, by_stem, without_image
from .fixations import PointFile, Points, points_of_mask
from .layouts import why_missing
from .mat_files import read_mat
from .schema import Record, Scan


def list_cat2000(directory: Path) -> Scan:
    """Lists `Stimuli/CATEGORY/*.jpg` with `FIXATIONLOCS/CATEGORY/*.mat` and `FIXATIONMAPS/CATEGORY/*.jpg`.

    `Output` folders, which hold a model's maps, are left out. Images keep the grey borders they were shown with:
    fixations and maps count from the corner of the whole 1920x1080 px. Observers are not known, as the file with them
    takes Matlab. An image id is `CATEGORY/NAME`.

    Raises:
        ValueError: If the images or their fixations are not there.
    """
    for name in ("Stimuli", "FIXATIONLOCS"):
        if not any((directory / name).glob("*/*.*")):
            hint = why_missing(directory, name)
            raise ValueError(f"{directory / name}: no such folder with files; trainSet.zip of CAT2000 holds it{hint}")
    listing = Scan()
    has_maps = any((directory / "FIXATIONMAPS").glob("*/*.*"))
    if not has_maps and (hint := why_missing(directory, "FIXATIONMAPS")):
        listing.problems.append(f"{directory / 'FIXATIONMAPS'}: no such folder with files, maps are left out{hint}")
    folders = [*(directory / "Stimuli").glob("*/"), *(directory / "FIXATIONLOCS").glob("*/")]
    for category in sorted({folder.name for folder in folders} - {"Output"}):
        images = by_stem(directory / "Stimuli" / category, IMAGE_SUFFIXES)
        points = by_stem(directory / "FIXATIONLOCS" / category, (".mat",))
        maps = by_stem(directory / "FIXATIONMAPS" / category, IMAGE_SUFFIXES)
        listing.unmatched += without_image(points, images) + without_image(maps, images)
        for stem, image in images.items():
            point_file = points.get(stem, directory / "FIXATIONLOCS" / category / f"{stem}.mat")
            expected = directory / "FIXATIONMAPS" / category / f"{stem}.jpg"
            saliency_map = maps.get(stem, expected) if has_maps else None
            annotation = PointFile(point_file, _read_locations)
            listing.records.append(Record(image, f"{category}/{stem}", annotation, saliency_map))
    return listing


def _read_locations(path: Path) -> Points:
    return points_of_mask(read_mat(path, ["fixLocs"])["fixLocs"])
