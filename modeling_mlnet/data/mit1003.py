"""MIT1003 without Matlab (Judd et al., ICCV 2009): its maps, not its raw gaze."""

from pathlib import Path

from .catalog import CATALOG
from .files import IMAGE_SUFFIXES, by_stem
from .fixations import NoPoints, PointFile, read_mask_image
from .layouts import why_missing
from .schema import Record, Scan

ENDINGS = {"density": ("_fixMap",), "points": ("_fixPts", "fixPts")}  # one stray file lacks the underscore


def list_mit1003(directory: Path) -> Scan:
    """Lists `ALLSTIMULI/NAME.jpeg` with `ALLFIXATIONMAPS/NAME_fixMap.jpg` and `NAME_fixPts.jpg`.

    `DATA`, the gaze of each observer, is not read: telling fixations from it takes the authors' Matlab code. So the
    observers are not known.

    Raises:
        ValueError: If one of the two folders is missing or empty.
    """
    images = by_stem(directory / "ALLSTIMULI", IMAGE_SUFFIXES)
    maps = by_stem(directory / "ALLFIXATIONMAPS", IMAGE_SUFFIXES)
    for name, files in (("ALLSTIMULI", images), ("ALLFIXATIONMAPS", maps)):
        if not files:
            hint = why_missing(directory, name)
            raise ValueError(f"{directory / name}: no such folder with images; {name}.zip of MIT1003 holds it{hint}")
    listing, used = Scan(), set()
    has_maps = any(stem.endswith("_fixMap") for stem in maps)
    for stem, image in images.items():
        names = {kind: [stem + ending for ending in endings] for kind, endings in ENDINGS.items()}
        used.update(names["density"] + names["points"])
        density, points = (next((maps[name] for name in names[kind] if name in maps), None) for kind in ENDINGS)
        if density is None and has_maps:
            density = directory / "ALLFIXATIONMAPS" / f"{stem}_fixMap.jpg"  # whose reading says that it is missing
        missing = NoPoints(f"{directory / 'ALLFIXATIONMAPS' / stem}_fixPts.jpg: fixations are missing")
        annotation = missing if points is None else PointFile(points, read_mask_image)
        listing.records.append(Record(image, stem, annotation, density, CATALOG["mit1003"].sigma))
    listing.unmatched = [f"{path}: has no image of its name" for stem, path in maps.items() if stem not in used]
    return listing
