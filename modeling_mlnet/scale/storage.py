"""A folder on a disk or in a bucket whose files appear whole or not at all."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from fsspec.implementations.local import LocalFileSystem

from ..io.atomic import whole_file
from ..io.locations import file_system

OWN = ".mlnet"  # folder of the files that describe a run; readers of data sets leave hidden ones out
MANIFEST = f"{OWN}/manifest.json"
TEMPORARY = f"{OWN}/temporary"
CHUNK = 2**22  # bytes fetched at a time


class Folder:
    """A folder at a local path or a URI of fsspec; may be pickled.

    Args:
        uri: Of the folder, which need not exist.

    Raises:
        ValueError: If the URI's file system is not known.
    """

    def __init__(self, uri: str):
        self.uri = uri.rstrip("/")
        self.system, self.path = file_system(self.uri)
        self.is_local = isinstance(self.system, LocalFileSystem)

    def __reduce__(self) -> tuple[type["Folder"], tuple[str]]:
        return Folder, (self.uri,)

    def place(self, name: str) -> str:
        """The path in the file system of a file in the folder."""
        return f"{self.path}/{name}" if name else self.path

    def size(self, name: str) -> int | None:
        """Bytes of a file; `None` if it is not there."""
        self.system.invalidate_cache()  # other processes write, too
        try:
            return self.system.info(self.place(name))["size"]
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes | None:
        """The content of a file; `None` if it is not there."""
        try:
            return self.system.cat_file(self.place(name))
        except FileNotFoundError:
            return None

    def sha256(self, name: str) -> str:
        """SHA-256 of a file's content."""
        with self.system.open(self.place(name), "rb", block_size=CHUNK) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def names(self, below: str = "") -> list[str]:
        """Of the files and folders in the folder, or in one below it."""
        self.system.invalidate_cache()
        with suppress(FileNotFoundError, NotADirectoryError):
            return sorted(path.rpartition("/")[2] for path in self.system.ls(self.place(below), detail=False))
        return []

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        with suppress(FileNotFoundError):
            self.system.rm_file(self.place(name))

    def write(self, name: str, content: bytes) -> None:
        """Writes a small file whole."""
        with self.whole_file(name) as file:
            file.write(content)

    @contextmanager
    def whole_file(self, name: str) -> Iterator[IO[bytes]]:
        """A file to write that appears under its name when the context ends without an error, and else leaves nothing.

        On a disk it is written in a folder of temporary files and renamed. Elsewhere it is an upload that the file
        system commits at its end, as object stores do.
        """
        if not self.is_local:
            with self.system.transaction, self.system.open(self.place(name), "wb") as file:
                yield file
            return
        path, temporary_folder = Path(self.place(name)), Path(self.place(TEMPORARY))
        with whole_file(path, temporary_folder) as temporary, open(temporary, "xb") as local:
            yield local
            local.flush()
            os.fsync(local.fileno())

    def remove_temporary(self) -> None:
        """Removes what killed processes left; call it when nobody writes any more."""
        if self.is_local:
            shutil.rmtree(self.place(TEMPORARY), ignore_errors=True)
