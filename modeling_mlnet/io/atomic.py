"""Writing files and folders atomically."""

import glob
import os
import platform
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Writes a file as `whole_file` does.

    Args:
        path: The file; its folder is created.
        write: Writes the contents into an open file.

    Raises:
        OSError: As `whole_file`.
    """
    with whole_file(path) as temporary, open(temporary, "xb") as file:
        write(file)


@contextmanager
def whole_file(path: Path, temporary_folder: Path | None = None) -> Iterator[Path]:
    """A temporary name that becomes a file if nothing fails, so that an incomplete file is never seen.

    Args:
        path: The file; its folder is created.
        temporary_folder: Folder of the temporary name, on the same disk; created. `None` is the folder of the file.

    Raises:
        OSError: If it cannot be written. The error names `path`, not the temporary file.
    """
    temporary_folder = temporary_folder or path.parent
    for folder in {path.parent, temporary_folder}:
        folder.mkdir(parents=True, exist_ok=True)
    # short, so that every name that the file system allows can be written
    temporary = temporary_folder / f".{secrets.token_hex(4)}.tmp"
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def reason_of(error: Exception) -> str:
    """Why something cannot be read or written: an error of the system as "PATH: REASON", others in their own words."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
        return f"{os.path.abspath(os.fsdecode(error.filename))}: {error.strerror}"
    return str(error) or type(error).__name__


def require_new_folder(output: Path) -> None:
    """Raises a ValueError if a folder to be written already exists and is not empty."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ValueError(f"{output}: already exists; name a folder that is new or empty")


@contextmanager
def whole_folder(output: Path) -> Iterator[Path]:
    """A temporary folder that becomes `output` if nothing fails; what killed exports left of theirs is removed.

    Raises:
        OSError: If it cannot be written; it names `output`.
    """
    output = output.absolute()
    prefix = f".{output.name}.{platform.node()}"  # a disk may be shared
    temporary = output.with_name(f"{prefix}.{os.getpid()}.tmp")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        for abandoned in output.parent.glob(f"{glob.escape(prefix)}.*.tmp"):
            if not _is_running(abandoned.name.split(".")[-2]):
                shutil.rmtree(abandoned, ignore_errors=True)
        temporary.mkdir()
        yield temporary
        if output.exists():
            output.rmdir()
        temporary.rename(output)
    except OSError as error:
        # of the data set, or of the cache
        if error.errno is None or not str(error.filename or temporary).startswith(str(temporary)):
            raise
        raise OSError(f"{output}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _is_running(number: str) -> bool:
    """Whether there is a process of that number; on Windows, where asking would end it, always."""
    if os.name == "nt" or not number.isdecimal():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (OverflowError, PermissionError):  # no number of a process, or another user's
        return True
    return True
