"""Finds the root of a data set in a folder, with advice if it is still packed or one level too deep."""

import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path

from .catalog import CATALOG

# Entries of a data set's folder; any of them identifies it.
MARKS = {
    "salicon": (
        *("images/train*", "images/val*", "images/test*", "maps/train", "maps/val", "fixations/train"),
        *("fixations/val", "annotations/fixations_*.json", "fixations_*.json"),
    ),
    "osie": ("eye/fixations.mat",),
    "mit1003": ("ALLSTIMULI", "ALLFIXATIONMAPS"),
    "cat2000": ("Stimuli", "FIXATIONMAPS", "FIXATIONLOCS"),
    "toronto": ("origfixdata.mat", "Original Image Set"),
}
# Folders that the official archive itself brings; no one has to name them.
ARCHIVE_FOLDERS = {
    "osie": ("data",),
    "cat2000": ("trainSet",),
    "toronto": ("fixdens", "eyetrackingdata/fixdens"),
}
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz")
CONTENT = {"images": ".jpg", "maps": ".png", "fixations": ".mat"}  # what SALICON's folders hold
BARE = (*CONTENT, "train", "val", "test")  # folders of which some archives bring only what is in them
DEPTH = 2  # levels of folders that are searched


def find_root(name: str, directory: Path) -> Path:
    """The folder in which a data set begins: the given one, or the one that its official archive brings.

    Args:
        name: A key of `CATALOG`.

    Raises:
        ValueError: If the data set is elsewhere or still packed, with the path to give or the command to run.
    """
    root = _root(name, directory)
    if root is not None:
        return root
    title = CATALOG[name].title
    doubled = [place for place in _below(directory, 1) if _is_marked(name, place) and place.name in _folders(name)]
    if doubled:
        commands = " && ".join(map(_move_up, doubled))
        raise ValueError(f"{directory}: {title} is unpacked one level too deep, run: {commands}")
    for place in _below(directory, DEPTH):
        if _root(name, place) is not None:
            raise ValueError(f"{directory}: {title} lies deeper; give {place}")
    for place in directory.absolute().parents[:DEPTH]:
        if _is_marked(name, place):
            raise ValueError(f"{directory}: is a part of {title} only; give {place}")
    packed = [path for path in sorted(directory.iterdir()) if path.suffix.lower() in ARCHIVES]
    if packed:
        commands = " && ".join(unpack_command(path, directory, path.stem) for path in packed)
        raise ValueError(f"{directory}: {title} is still packed, if it is there at all; run: {commands}")
    return directory  # the loader says what it misses


def _root(name: str, directory: Path) -> Path | None:
    places = [directory / folder for folder in ("", *ARCHIVE_FOLDERS.get(name, ()))]
    return next((place for place in places if _is_marked(name, place)), None)


def recognise(directory: Path) -> str | None:
    """The key of the data set that a folder looks like."""
    return next((name for name in MARKS if _is_marked(name, directory)), None)


def why_missing(directory: Path, folder: str, inner: str = "") -> str:
    """A hint at why a folder of a data set is not there or is empty; empty if nothing speaks for a reason.

    Args:
        directory: Root of the data set.
        folder: The folder that is missing.
        inner: An entry that it must have.
    """
    for place in (directory / folder, directory / folder / inner):
        if (place / place.name).is_dir():
            return f"; it is unpacked one level too deep, run: {_move_up(place)}"
    for place, name in ((directory, folder), (directory / folder, inner)):
        for path in sorted(place.glob(f"{name}.*") if name else ()):
            if path.suffix.lower() in ARCHIVES:
                return f"; it is still packed, run: {unpack_command(path, place, name)}"
    misplaced = directory / inner
    if inner and folder in CONTENT and any(misplaced.glob(f"*{CONTENT[folder]}")):
        target = directory / folder
        move = f"mkdir -p {_quote(target)} && mv {_quote(misplaced)} {_quote(target)}/"
        return f"; {misplaced} holds {CONTENT[folder]} files; if they are these, run: {move}"
    return ""


def unpack_command(archive: Path, directory: Path, folder: str) -> str:
    """The command that unpacks an archive so that `folder` lies in a directory.

    Raises:
        ValueError: If the archive is damaged.
    """
    if archive.suffix.lower() != ".zip":
        return f"tar -xf {_quote(archive)} -C {_quote(directory)}"
    try:
        with zipfile.ZipFile(archive) as content:
            tops = {name.split("/")[0] for name in content.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{archive}: is damaged, download it again: {error}") from error
    is_bare = folder in BARE and not any(top.startswith(folder) for top in tops)
    target = directory / folder if is_bare else directory
    return f"unzip {_quote(archive)} -d {_quote(target)}"


def _is_marked(name: str, directory: Path) -> bool:
    return directory.is_dir() and any(any(directory.glob(mark)) for mark in MARKS[name])


def _folders(name: str) -> set[str]:
    return {mark.split("/")[0] for mark in MARKS[name]}


def _below(directory: Path, depth: int) -> Iterator[Path]:
    """Folders below one, nearest first."""
    folders = [directory]
    for _ in range(depth):
        folders = [inner for folder_here in folders for inner in _folders_in(folder_here)]
        yield from folders


def _folders_in(directory: Path) -> list[Path]:
    try:
        return sorted(inner for inner in directory.iterdir() if inner.is_dir() and inner.name[0] not in "._")
    except OSError:  # not for us to read
        return []


def _move_up(folder: Path) -> str:
    return f"mv {_quote(folder / folder.name)}/* {_quote(folder)}/"


def _quote(path: Path) -> str:
    return shlex.quote(str(path))
