"""Images named on the command line: files, folders, patterns, addresses and standard input, and names for results."""

import glob
import os
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

SUFFIXES = {  # of results
    "map": ".map.png",
    "overlay": ".overlay.png",
    "jpg": ".overlay.jpg",
    "npy": ".npy",
    "density": ".density.npy",
    "logdensity": ".logdensity.npy",
}
EXPLANATION = ".explain.png"  # of `mlnet explain`
IMAGES = re.compile(  # suffixes of what Pillow reads
    r"\.(apng|avifs?|bmp|dib|gif|hei[cf]|hif|j2[ck]|jfif|jp[2cefx]|jpe?g|p[bfgnp]m|png|qoi|tga|tiff?|webp)",
    re.IGNORECASE,
)
SYSTEM_FOLDERS = frozenset(["@eaDir", "@tmp", "#recycle", "#snapshot", "__MACOSX", "$RECYCLE.BIN", "lost+found"])
PATTERN = re.compile(r"[*?[]")
ADDRESS = re.compile(r"https?://", re.IGNORECASE)
ILLEGAL = re.compile(r'[<>:"/\\|?*\x00-\x1f]+')  # in names of files on Windows

RESULT = "results of earlier runs"
Source: TypeAlias = Path | str | bytes  # a path, an http(s) address, what came through standard input


@dataclass(frozen=True)
class Job:
    """One image to be predicted.

    Args:
        source: What the predictor reads.
        stem: Of its results' names, with their folders below the output folder.
    """

    source: Source
    stem: Path

    @property
    def name(self) -> str:
        """What messages call it."""
        return "standard input" if isinstance(self.source, bytes) else str(self.source)

    def outputs(self, output_dir: Path, formats: Iterable[str]) -> dict[str, Path]:
        """Path of every result by format."""
        return {name: output_dir / f"{self.stem}{SUFFIXES[name]}" for name in formats}


@dataclass
class Inputs:
    """What the given paths lead to.

    Args:
        jobs: The images in order, each once.
        problems: One line for every path that leads nowhere or cannot be searched.
        skipped: How many files of folders and patterns are left out, by the reason.
    """

    jobs: list[Job] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def note(self) -> str | None:
        """One line about what was left out, if anything was."""
        counts = ", ".join(f"{count} {reason}" for reason, count in self.skipped.most_common())
        return f"left out: {counts}" if counts else None


def find_images(paths: Iterable[str], output_dir: Path) -> Inputs:
    """Finds images by files, folders (searched with their subfolders, links followed), patterns and addresses.

    Results of earlier runs are not taken for images: names that end like results and the folder `output_dir`. Hidden
    files and folders, and folders that systems make for themselves, are left out unless they are named.

    Args:
        paths: As typed; `-` is standard input.
        output_dir: Where the results will go.
    """
    inputs = Inputs()
    places: dict[str, tuple[Source, Path]] = {}  # by absolute path or address: below the path that was given
    for path in paths:
        if path == "-":
            places.setdefault(path, (sys.stdin.buffer.read(), Path("stdin")))
        elif ADDRESS.match(path):
            name = ILLEGAL.sub("_", unquote(Path(urlsplit(path).path).name))
            places.setdefault(path, (path, Path(name or "image")))
        else:
            try:
                images = list(_images(path, output_dir.resolve(), inputs))
            except (OSError, ValueError) as error:
                is_gone = isinstance(error, FileNotFoundError)
                reason = "no such file, folder or pattern" if is_gone else getattr(error, "strerror", None) or error
                inputs.problems.append(f"{path}: {reason}")
                continue
            if not images:
                inputs.problems.append(f"{path}: no images there")
            for image, place in images:
                places.setdefault(os.path.abspath(image), (image, place))
    inputs.jobs = _name(list(places.values()))
    return inputs


def _images(path: str, results: Path, inputs: Inputs) -> Iterator[tuple[Path, Path]]:
    """Every image that a path leads to, with its place below that path; what is left out is counted."""
    named = Path(path).expanduser()
    if os.path.exists(named):
        matches: list[tuple[Path, str | None]] = [(named, None)]
    elif not PATTERN.search(path):
        os.stat(named)  # raises what keeps it from being there
    elif not (matches := _match(named, inputs)):
        raise FileNotFoundError
    for match, reason in matches:
        if match.is_dir():
            for image in _walk(match, results, inputs, reason):
                yield image, image.relative_to(match)
        elif match == named or _is_wanted(match, reason, inputs.skipped):
            yield match, Path(match.name)


def _match(pattern: Path, inputs: Inputs) -> list[tuple[Path, str | None]]:
    """Files and folders that fit a pattern, and why they are left out; brackets in names that exist are no pattern."""
    there = next((parent for parent in pattern.parents if parent.is_dir()), Path())
    parts = pattern.relative_to(there).parts
    for candidate in (parts, [part.replace("[", "[[]") for part in parts]):
        if matches := list(_expand(there, candidate, inputs)):
            return [(match, _reason(*match.relative_to(there).parts)) for match in matches]
    return []


def _expand(folder: Path, parts: Sequence[str], inputs: Inputs) -> Iterator[Path]:
    """As `glob.glob`, whose `**` would follow links to folders above them."""
    if not parts or parts == ("**",):
        yield folder
        return
    if parts[0] == "**":
        matches = [place for place, _ in _folders(folder, inputs)]
    else:
        matches = [folder / name for name in sorted(glob.glob(parts[0], root_dir=folder))]
    for match in matches:
        if len(parts) == 1 or match.is_dir():
            yield from _expand(match, parts[1:], inputs)


def _folders(folder: Path, inputs: Inputs, above: frozenset[str] = frozenset()) -> Iterator[tuple[Path, list[str]]]:
    """A folder and all below with the names of their files, sorted; links are followed, but not to a folder above."""
    place = os.path.realpath(folder)
    above = above or frozenset(map(str, Path(place).parents))
    if place in above:
        inputs.skipped["links to a folder above them"] += 1
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        inputs.problems.append(f"{folder}: {error.strerror}")
        return
    yield folder, [entry.name for entry in entries if not entry.is_dir()]
    for entry in entries:
        if entry.is_dir():
            yield from _folders(folder / entry.name, inputs, above | {place})


def _walk(folder: Path, results: Path, inputs: Inputs, reason: str | None) -> Iterator[Path]:
    """Images in a folder and its subfolders."""
    for place, names in _folders(folder, inputs):
        why = reason or _reason(*place.relative_to(folder).parts)
        if place != folder and place.resolve().is_relative_to(results):  # a folder may also be its own output
            why = RESULT
        for name in names:
            if _is_wanted(place / name, why or _reason(name), inputs.skipped):
                yield place / name


def _reason(*names: str) -> str | None:
    is_hidden = any(name.startswith(".") or name in SYSTEM_FOLDERS for name in names)
    return "hidden or in system folders" if is_hidden else None


def _is_wanted(path: Path, reason: str | None, skipped: Counter[str]) -> bool:
    """Whether a file of a folder or pattern is an image to predict; if not, or if there is a reason, it is counted."""
    suffix = path.suffix.lower()
    if not IMAGES.fullmatch(suffix):
        if reason is None:
            skipped[f"of the kind {suffix}" if suffix else "without a suffix"] += 1
        return False
    if not path.is_file():
        reason = "broken links or no files"
    elif path.name.endswith((SUFFIXES["map"], SUFFIXES["overlay"], EXPLANATION)):
        reason = RESULT
    if reason is not None:
        skipped[reason] += 1
    return reason is None


def _name(images: list[tuple[Source, Path]]) -> list[Job]:
    """Stems without suffix; where they are equal, with what tells them apart: their folders, the suffix, a number."""
    paths = [source.absolute() for source, _ in images if isinstance(source, Path)]
    root = None
    with suppress(ValueError):  # of no path, or of several drives of Windows
        root = Path(os.path.commonpath([path.parent for path in paths]))
    stems = [place.with_suffix("") for _, place in images]
    for step in ("folder", "suffix", "number"):
        groups = defaultdict(list)
        for index, stem in enumerate(stems):  # names that some file systems take for the same are equal
            groups[unicodedata.normalize("NFC", str(stem)).casefold()].append(index)
        for group in groups.values():
            sources = [images[index][0] for index in group]
            is_one_folder = len({source.parent for source in sources if isinstance(source, Path)}) < 2
            if len(group) < 2 or (step == "folder" and is_one_folder):
                continue
            for number, index in enumerate(group):
                source, place = images[index]
                if step == "folder" and root is not None and isinstance(source, Path):
                    stems[index] = source.absolute().relative_to(root).with_suffix("")
                elif step == "suffix":
                    stems[index] = stems[index].with_name(stems[index].name + place.suffix)
                elif step == "number" and number:
                    stems[index] = stems[index].with_name(f"{stems[index].name}-{number + 1}")
    return [Job(source, stem) for (source, _), stem in zip(images, stems, strict=True)]
