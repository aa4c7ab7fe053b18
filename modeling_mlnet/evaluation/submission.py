"""Predictions in the forms that the benchmarks take.

MIT300 and CAT2000, MIT/Tuebingen Saliency Benchmark: log densities as HDF5, a data set for each image under its file
name, whose exponentials sum to 1, or 8-bit maps of the images' sizes in an archive
(github.com/matthias-k/saliency-benchmarking, `saliency_benchmarking/models.py`; pysaliency, `HDF5Model`).
SALICON: salicon.net/upload and salicon.net/evaluate.
"""

import base64
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.files import IMAGE_SUFFIXES, by_stem, check_image
from ..data.maps import map_png
from ..inference.predictor import SaliencyPredictor
from ..io.atomic import whole_file
from ..io.progress import Progress, no_progress

HDF5 = (".h5", ".hdf5")
CATEGORIES = (  # of CAT2000, as it spells them
    *("Action", "Affective", "Art", "BlackWhite", "Cartoon", "Fractal", "Indoor", "Inverted", "Jumbled"),
    *("LineDrawing", "LowResolution", "Noisy", "Object", "OutdoorManMade", "OutdoorNatural", "Pattern", "Random"),
    *("Satelite", "Sketch", "Social"),
)


@dataclass(frozen=True)
class Benchmark:
    """Requirements of a benchmark.

    Args:
        title: Its name.
        counts: Official number of images of each part; "" stands for all of them.
        example: The name of an image, with the part as `{part}`.
        pattern: Matches the names of its images, with the part as `{part}`.
        find: The images of a folder by part, each by the name that it has in a submission.
        suffixes: Suffixes of files that it takes.
        recording: The kind of recording of its ground truth, for models that know it.
        names: The names of all its images, if known.
    """

    title: str
    counts: dict[str, int]
    example: str
    pattern: str
    find: Callable[[Path], dict[str, dict[str, Path]]]
    suffixes: tuple[str, ...]
    recording: str = "eye"
    names: Sequence[str] = ()


def _in_one_folder(folder: Path) -> dict[str, dict[str, Path]]:
    return {"": {path.name: path for path in by_stem(folder, IMAGE_SUFFIXES).values()}}


def _in_categories(folder: Path) -> dict[str, dict[str, Path]]:
    """`Stimuli/CATEGORY/002.jpg`; `Output` folders hold a model's maps and are left out."""
    root = folder / "Stimuli" if (folder / "Stimuli").is_dir() else folder
    for place in (root, root.parent):
        if (place / "FIXATIONLOCS").is_dir():
            raise ValueError(f"{place}: with FIXATIONLOCS, this is CAT2000's training set; give the folder testSet")
    names = sorted(place.name for place in root.iterdir() if place.is_dir() and place.name[0] != ".")
    images = {name: by_stem(root / name, IMAGE_SUFFIXES).values() for name in names if name != "Output"}
    return {name: {f"{name}/{path.name}": path for path in paths} for name, paths in images.items()}


def _in_splits(folder: Path) -> dict[str, dict[str, Path]]:
    root = folder / "images" if (folder / "images").is_dir() else folder
    return {
        split: {path.name: path for path in by_stem(root / split, IMAGE_SUFFIXES).values()}
        for split in ("val", "test")
    }


BENCHMARKS = {
    "mit300": Benchmark(
        title="MIT300",
        counts={"": 300},
        example="i1.jpg",
        pattern=r"i([1-9]\d?|[12]\d\d|300)\.jpg",
        find=_in_one_folder,
        suffixes=(*HDF5, ".zip"),
        names=[f"i{number}.jpg" for number in range(1, 301)],
    ),
    "cat2000": Benchmark(
        title="CAT2000's test set",
        counts=dict.fromkeys(CATEGORIES, 100),
        example="Action/002.jpg",
        pattern=rf"({'|'.join(CATEGORIES)})/(?!000)([01]\d\d|200)\.jpg",
        find=_in_categories,
        suffixes=(*HDF5, ".zip"),
    ),
    "salicon": Benchmark(
        title="SALICON",
        counts={"val": 5000, "test": 5000},
        example="COCO_{part}2014_000000000042.jpg",
        pattern=r"COCO_{part}2014_\d{12}\.jpg",
        find=_in_splits,
        suffixes=(".zip",),
        recording="mouse",
    ),
}


def write_submission(
    name: str,
    images: Path,
    output: Path,
    predictor: SaliencyPredictor,
    algorithm: str = "mlnet",
    allow_incomplete: bool = False,
    progress: Progress = no_progress,
) -> int:
    """Predicts a benchmark's images and writes its submission file atomically.

    Args:
        name: A key of `BENCHMARKS`.
        images: The folder of its images, as they are distributed.
        output: `.h5` or `.hdf5` for log densities, `.zip` for 8-bit maps.
        predictor: Predicts the maps.
        algorithm: Names the model in SALICON's files.
        allow_incomplete: Whether images may be missing.
        progress: Wraps an iteration, `(iterable, description)`, to show a bar.

    Returns:
        How many images it holds.

    Raises:
        ValueError: If the benchmark or the kind of file is unknown, or images are missing, too many, damaged or not
            named as the benchmark's; all this before anything is predicted.
    """
    if name not in BENCHMARKS:
        raise ValueError(f"benchmark must be one of {', '.join(BENCHMARKS)}, got {name!r}")
    benchmark = BENCHMARKS[name]
    suffix = output.suffix.lower()
    if suffix not in benchmark.suffixes:
        raise ValueError(f"{output}: {benchmark.title} takes {' or '.join(benchmark.suffixes)}, got {suffix!r}")
    if not images.is_dir():
        raise ValueError(f"{images}: no such folder")
    parts = _find_images(benchmark, images, allow_incomplete)
    everything = {image_name: path for part in parts.values() for image_name, path in part.items()}
    for path in progress(everything.values(), "checking"):
        check_image(path)
    recording = benchmark.recording if benchmark.recording in predictor.recordings else None
    with whole_file(output) as temporary:
        if suffix in HDF5:
            _write_hdf5(temporary, everything, predictor, recording, progress)
        elif name == "salicon":
            _write_salicon(temporary, parts, predictor, recording, algorithm, progress)
        else:
            with zipfile.ZipFile(temporary, "w") as archive:
                for image_name, png in _pngs(predictor, everything, recording, progress):
                    archive.writestr(str(Path(image_name).with_suffix(".png").as_posix()), png)
    return len(everything)


def _find_images(benchmark: Benchmark, folder: Path, allow_incomplete: bool) -> dict[str, dict[str, Path]]:
    """The images by part and name, if names and numbers are the benchmark's."""
    parts = benchmark.find(folder)
    missing = [name for name in benchmark.names if name not in parts[""]][:1]
    title = benchmark.title + (f", of which {missing[0]} is missing," if missing else "")
    for part, images in parts.items():
        for name, path in images.items():
            if not re.fullmatch(benchmark.pattern.replace("{part}", part), name, re.ASCII):
                example = benchmark.example.replace("{part}", part)
                raise ValueError(
                    f"{path}: {title} has no such image; its names are like {example}; rename or remove it"
                )
    for part, official in benchmark.counts.items():
        count = len(parts.get(part, {}))
        is_rehearsal = 0 < count < official or (parts and part not in parts)
        if count != official and not (allow_incomplete and is_rehearsal):
            raise ValueError(
                f"{folder}: {count:,} images ({', '.join(IMAGE_SUFFIXES)}){f' in {part}' if part else ''}, "
                f"{title} has {official:,}; give its whole folder"
                f"{', or --incomplete for a rehearsal' if is_rehearsal else ''}"
            )
    return parts


def _write_hdf5(
    path: Path, images: dict[str, Path], predictor: SaliencyPredictor, recording: str | None, progress: Progress
) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for name, image in progress(images.items(), "predicting"):
            values = predictor.log_density(image, recording=recording).astype(np.float32)
            file.create_dataset(name, data=values, compression="gzip", shuffle=True)


def _write_salicon(
    path: Path,
    parts: dict[str, dict[str, Path]],
    predictor: SaliencyPredictor,
    recording: str | None,
    algorithm: str,
    progress: Progress,
) -> None:
    """`fixations_SPLIT2014_ALGORITHM_results.json`, a list of `image_id` and `saliency_map`, a PNG in base64."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for split, images in parts.items():
            name = f"fixations_{split}2014_{algorithm}_results.json"
            with archive.open(name, "w", force_zip64=True) as file:
                separator = "["
                for image_name, png in _pngs(predictor, images, recording, progress):
                    number = int(Path(image_name).stem.rpartition("_")[2])
                    entry = {"image_id": number, "saliency_map": base64.b64encode(png).decode()}
                    file.write((separator + json.dumps(entry)).encode())
                    separator = ",\n"
                file.write(b"]")


def _pngs(
    predictor: SaliencyPredictor, images: dict[str, Path], recording: str | None, progress: Progress
) -> Iterator[tuple[str, bytes]]:
    """8-bit maps of the images' sizes, in their order."""
    maps = predictor.maps(images.values(), recording=recording)
    for name, values in zip(progress(images, "predicting"), maps, strict=True):
        yield name, map_png(values)
