"""Images named on the command line: files, folders, patterns, addresses and standard input, and names for results."""

import glob
import os
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from ..io.locations import PATTERN, RemoteFile, is_uri, remote_files

SUFFIXES = {  # of results by format
    "map": ".map.png",
    "overlay": ".overlay.png",
    "jpg": ".overlay.jpg",
    "npy": ".npy",
    "density": ".density.npy",
    "logdensity": ".logdensity.npy",
}
EXPLANATION = ".explain.png"  # of `mlnet explain`
IMAGES = re.compile(  # suffixes that Pillow reads
    r"\.(apng|avifs?|bmp|dib|gif|hei[cf]|hif|j2[ck]|jfif|jp[2cefx]|jpe?g|p[bfgnp]m|png|qoi|tga|tiff?|webp)"
)
SYSTEM_FOLDERS = frozenset(["@eaDir", "@tmp", "#recycle", "#snapshot", "__MACOSX", "$RECYCLE.BIN", "lost+found"])
ADDRESS = re.compile(r"https?://", re.IGNORECASE)
ILLEGAL = re.compile(r'[<>:"/\\|?*\x00-\x1f]+')  # in names of files on Windows
Source: TypeAlias = Path | str | bytes | RemoteFile  # a path, an http(s) address, standard input's content, a URI


@dataclass(frozen=True)
class Job:
    """One image to predict, and the path of its results below the output folder, without a suffix."""

    source: Source
    stem: Path

    @property
    def name(self) -> str:
        """Its name in messages."""
        return "standard input" if isinstance(self.source, bytes) else str(self.source)


@dataclass
class Inputs:
    """The images that were found.

    Args:
        jobs: The images in order, each once.
        problems: One line for each path without images and each folder that cannot be read.
        skipped: Number of skipped files in folders and patterns, by reason.
    """

    jobs: list[Job] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def note(self) -> str | None:
        """One line about skipped files, if there are any."""
        counts = ", ".join(f"{count} {reason}" for reason, count in self.skipped.most_common())
        return f"left out: {counts}" if counts else None


def find_images(paths: Iterable[str], output_dir: Path | str, allow_uris: bool = False) -> Inputs:
    """Finds images by files, folders (searched with their subfolders, links followed), patterns and addresses.

    Of folders and patterns, results of earlier runs are left out (names that end like results, and the folder
    `output_dir`), and so are hidden files and folders and those that systems make for themselves.

    Args:
        paths: As typed; `-` is standard input.
        output_dir: Folder for the results, or its URI.
        allow_uris: Whether paths may be URIs of fsspec, such as `s3://bucket/images`.
    """
    inputs, results = Inputs(), str(output_dir)
    places: dict[str, tuple[Source, Path]] = {}  # by absolute path or address: below the path that was given
    for path in paths:
        if path == "-":
            places.setdefault(path, (sys.stdin.buffer.read(), Path("stdin")))
        elif not path:  # of a variable of the shell that is not set; as a path it would be the current folder
            inputs.problems.append("'': is no file, folder or pattern")
        elif ADDRESS.match(path):
            name = ILLEGAL.sub("_", unquote(Path(urlsplit(path).path).name))
            places.setdefault(path, (path, Path(name or "image")))
        else:
            is_remote = allow_uris and is_uri(path)
            find: Callable[..., Iterator[tuple[Source, Path]]] = _remote_images if is_remote else _images
            try:
                images = list(find(path, results, inputs))
            except FileNotFoundError:
                inputs.problems.append(f"{path}: no such file, folder or pattern")
            except Exception as error:
                if not is_remote and not isinstance(error, (OSError, ValueError)):
                    raise  # every remote file system has errors of its own
                inputs.problems.append(f"{path}: {getattr(error, 'strerror', None) or error}")
            else:
                if not images:
                    inputs.problems.append(f"{path}: no images there")
                for image, place in images:
                    places.setdefault(str(image) if is_remote else os.path.abspath(str(image)), (image, place))
    inputs.jobs = _name(list(places.values()))
    return inputs


def _remote_images(uri: str, results: str, inputs: Inputs) -> Iterator[tuple[RemoteFile, Path]]:
    """As `_images`, at a URI."""
    for file, below in remote_files(uri):
        is_result = str(file).startswith(f"{results.rstrip('/')}/")
        reason = _reason(below, below.parts, is_result) if below.name else None  # a file that is named is taken
        if reason is None:
            yield file, below if below.name else Path(Path(str(file)).name)
        elif reason:
            inputs.skipped[reason] += 1


def _images(path: str, output: str, inputs: Inputs) -> Iterator[tuple[Path, Path]]:
    """The images of a path, each with its place below that path; skipped files are counted in `inputs`."""
    results = Path(output).resolve()
    named = top = Path(path).expanduser()
    matches = [named]
    if not os.path.exists(named):
        if not PATTERN.search(path):
            os.stat(named)  # raises the reason
        top = next((parent for parent in named.parents if parent.is_dir()), Path())
        parts = named.relative_to(top).parts
        # brackets in names that exist are no pattern
        matches = _expand(top, parts, inputs) or _expand(top, [part.replace("[", "[[]") for part in parts], inputs)
        if not matches:
            raise FileNotFoundError
    elif not named.is_dir():
        yield named, Path(named.name)
        return
    for match in matches:
        folders = _folders(match, inputs) if match.is_dir() else [(match.parent, [match.name])]
        for folder, names in folders:
            # a folder that is named may also be its own output
            is_result = folder != top and folder.resolve().is_relative_to(results)
            for image in (folder / name for name in names):
                reason = _reason(image, image.relative_to(top).parts, is_result)
                if reason is None and not image.is_file():
                    reason = "broken links or no files"
                if reason is None:
                    yield image, image.relative_to(match if match.is_dir() else match.parent)
                elif reason:
                    inputs.skipped[reason] += 1


def _expand(top: Path, parts: Sequence[str], inputs: Inputs) -> list[Path]:
    """As `glob.glob`, whose `**` would follow links to folders above them."""
    matches = [top]
    for part in parts[:-1] if parts[-1] == "**" else parts:  # all folders below are searched anyway
        if part == "**":
            matches = [folder for match in matches if match.is_dir() for folder, _ in _folders(match, inputs)]
        else:
            matches = [match / name for match in matches for name in sorted(glob.glob(part, root_dir=match))]
    return matches


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
    yield folder, [entry.name for entry in entries if not _is_folder(entry)]
    for entry in entries:
        if _is_folder(entry):
            yield from _folders(folder / entry.name, inputs, above | {place})


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _reason(image: Path, below: Sequence[str], is_result: bool) -> str | None:
    """Why a file is skipped: `None` if it is not, empty if it is not counted. `below` is its path below the input."""
    suffix = image.suffix.lower()
    is_hidden = any(name.startswith(".") or name in SYSTEM_FOLDERS for name in below)
    if not IMAGES.fullmatch(suffix):
        return "" if is_result or is_hidden else f"of the kind {suffix}" if suffix else "without a suffix"
    if is_result or image.name.endswith((*SUFFIXES.values(), EXPLANATION)):
        return "results of earlier runs"
    if is_hidden:
        return "hidden or in system folders"
    return None


def _name(images: list[tuple[Source, Path]]) -> list[Job]:
    """Names results by stem; equal stems get their folders, then the suffix, then a number."""
    folders = [source.absolute().parent if isinstance(source, Path) else None for source, _ in images]
    root = None
    with suppress(ValueError):  # of no path, or of several drives of Windows
        root = os.path.commonpath([folder for folder in folders if folder is not None])
    stems = [place.with_suffix("") for _, place in images]
    for step in ("folder", "suffix", "number"):
        groups = defaultdict(list)
        for index, stem in enumerate(stems):  # some file systems ignore case and Unicode form
            groups[unicodedata.normalize("NFC", str(stem)).casefold()].append(index)
        for group in groups.values():
            is_one_folder = len({folders[index] for index in group} - {None}) < 2
            for number, index in enumerate(group if len(group) > 1 else []):
                folder, place = folders[index], images[index][1]
                if step == "folder" and folder is not None and root is not None and not is_one_folder:
                    stems[index] = folder.relative_to(root) / place.stem
                elif step == "suffix":
                    stems[index] = stems[index].with_name(stems[index].name + place.suffix)
                elif step == "number" and number:
                    stems[index] = stems[index].with_name(f"{stems[index].name}-{number + 1}")
    return [Job(source, stem) for (source, _), stem in zip(images, stems, strict=True)]
