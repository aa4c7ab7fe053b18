"""MIT1003 without Matlab (Judd et al., ICCV 2009): its maps, not its raw gaze."""

from pathlib import Path

from .files import IMAGE_SUFFIXES, by_stem, without_image
from .fixations import PointFile, read_mask_image
from .layouts import why_missing
from .schema import Record, Scan


def list_mit1003(directory: Path) -> Scan:
    """Lists `ALLSTIMULI/NAME.jpeg` with `ALLFIXATIONMAPS/NAME_fixMap.jpg` and `NAME_fixPts.jpg`.

    `DATA`, the gaze of each observer, is not read: telling fixations from it takes the authors' Matlab code. So the
    observers are not known.

    Raises:
        ValueError: If one of the two folders is missing or empty.
    """
    images = by_stem(directory / "ALLSTIMULI", IMAGE_SUFFIXES)
    folder = directory / "ALLFIXATIONMAPS"
    maps = by_stem(folder, IMAGE_SUFFIXES)
    for name, files in (("ALLSTIMULI", images), ("ALLFIXATIONMAPS", maps)):
        if not files:
            hint = why_missing(directory, name)
            raise ValueError(f"{directory / name}: no such folder with images; {name}.zip of MIT1003 holds it{hint}")
    listing, used = Scan(), set()
    has_densities = any(stem.endswith("_fixMap") for stem in maps)
    for stem, image in images.items():
        density, points, stray = f"{stem}_fixMap", f"{stem}_fixPts", f"{stem}fixPts"  # one file lacks the underscore
        used.update([density, points, stray])
        # the reading of a file that is not there says that it is missing
        point_file = maps.get(points) or maps.get(stray, folder / f"{points}.jpg")
        saliency_map = maps.get(density, folder / f"{density}.jpg") if has_densities else None
        listing.records.append(Record(image, stem, PointFile(point_file, read_mask_image), saliency_map))
    listing.unmatched = without_image(maps, used)
    return listing
