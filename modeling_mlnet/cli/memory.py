"""Settings of the C library for the process of a command."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h


def keep_memory() -> None:
    """Keeps freed memory in the process between steps instead of returning it to the system.

    By itself glibc gives every block above 32 MiB back to the system when it is freed, as a layer's maps are in every
    step, and takes zeroed pages for the next: a quarter of the time of mlnet-mini's steps on two cores, for an eighth
    less memory (docs/reproduce.md). Does nothing with other C libraries.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, -1)  # never
