"""Files in buckets and on the Hub, by their URIs: s3://, gs://, hf://, memory:// and whatever else fsspec knows."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .atomic import write_whole

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem
    from upath import UPath

T = TypeVar("T")
PATTERN = re.compile(r"[*?[]")
URI = re.compile(r"(?!https?:)[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_uri(text: str) -> bool:
    """Whether a text is the URI of a file system; http(s) addresses, which have no folders, are not."""
    return URI.match(text) is not None


def file_system(uri: str) -> "tuple[AbstractFileSystem, str]":
    """The file system of a URI or a local path, and the path in it.

    Keys and endpoints come from where the file system's own library looks for them, and from fsspec's configuration.

    Raises:
        ValueError: If no library for it is installed, or none is known; it names the URI.
    """
    from fsspec.core import url_to_fs

    try:
        return url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise ValueError(f"{uri}: {error}") from error


class RemoteFile:
    """A file at a URI, an open file to those that read images.

    Args:
        uri: Of the file.
        content: If it was fetched already.
    """

    def __init__(self, uri: str, content: bytes | None = None):
        self.name, self._content = uri, content

    def __str__(self) -> str:
        return self.name

    def read(self) -> bytes:
        """The content.

        Raises:
            FileNotFoundError: If it is not there.
            ValueError: If it cannot be fetched for another reason.
        """
        if self._content is not None:
            return self._content
        system, path = file_system(self.name)
        try:
            return system.cat_file(path)
        except FileNotFoundError:
            raise
        except Exception as error:  # every file system raises its own
            raise ValueError(f"cannot be fetched: {error}") from error


def fetched(source: T) -> T | RemoteFile:
    """A file at a URI with its content in memory, or as it is if it cannot be fetched; anything else unchanged."""
    if not isinstance(source, RemoteFile):
        return source
    try:
        return RemoteFile(source.name, source.read())
    except (OSError, ValueError):  # `read` raises it again
        return source


def remote_files(uri: str) -> Iterator[tuple[RemoteFile, Path]]:
    """The files at a URI of a file, a folder (with its subfolders) or a pattern, sorted, and their paths below it.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: As `file_system`.
    """
    system, path = file_system(uri)
    match = PATTERN.search(path)
    top = path[: match.start()].rpartition("/")[0] if match else path.rstrip("/")
    files = system.glob(path) if match else system.find(path)
    if not files:
        raise FileNotFoundError
    for file in sorted(files):
        yield RemoteFile(system.unstrip_protocol(file)), Path(file.removeprefix(top).lstrip("/"))


def write_file(path: "Path | UPath", content: bytes) -> None:
    """Writes a file here, or at a URI in one piece.

    Raises:
        OSError: If it cannot be written, naming it.
    """
    if isinstance(path, Path):
        return write_whole(path, lambda file: file.write(content))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError:
        raise
    except Exception as error:  # every file system raises its own
        raise OSError(f"{path}: {error}") from error
