"""The training set of CAT2000 (Borji and Itti, arXiv:1505.03581)."""

from functools import partial
from pathlib import Path

from .catalog import CATALOG
from .files import IMAGE_SUFFIXES, by_stem, without_image
from .fixations import NoPoints, PointFile, read_map_mat
from .layouts import why_missing
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
    folders = [
        category_folder
        for name in ("Stimuli", "FIXATIONLOCS")
        for category_folder in (directory / name).iterdir()
        if category_folder.is_dir()
    ]
    categories = sorted({category_folder.name for category_folder in folders} - {"Output"})
    for category in categories:
        images = by_stem(directory / "Stimuli" / category, IMAGE_SUFFIXES)
        points = by_stem(directory / "FIXATIONLOCS" / category, (".mat",))
        maps = by_stem(directory / "FIXATIONMAPS" / category, IMAGE_SUFFIXES)
        listing.unmatched += without_image(points, images) + without_image(maps, images)
        for stem, image in images.items():
            missing = NoPoints(f"{directory / 'FIXATIONLOCS' / category / stem}.mat: fixations are missing")
            annotation = PointFile(points[stem], partial(read_map_mat, "fixLocs")) if stem in points else missing
            expected = directory / "FIXATIONMAPS" / category / f"{stem}.jpg"
            saliency_map = maps.get(stem, expected) if has_maps else None
            name = f"{category}/{stem}"
            listing.records.append(Record(image, name, annotation, saliency_map, CATALOG["cat2000"].sigma))
    return listing
