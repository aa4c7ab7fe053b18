"""Constants of every ML-Net: its grid and its kinds of recording."""

from collections.abc import Sequence

STRIDE = 8  # input pixels per cell of the saliency map, whatever the backbone
MIN_SIZE = 32  # smallest input side, in pixels


def recording_index(recordings: Sequence[str], recording: str | None) -> int:
    """Index of a kind of recording among those of a network; `None` means the first.

    Raises:
        ValueError: If it does not stand there.
    """
    if recording is None:
        return 0
    if recording not in recordings:
        known = f"one of {list(recordings)}" if recordings else "None: the model knows one kind only"
        raise ValueError(f"recording must be {known}, got {recording!r}")
    return list(recordings).index(recording)


def recording_name(recordings: Sequence[str], recording: str | None) -> str | None:
    """The kind that `recording` means: the first for `None`, and `None` where a network knows one kind only.

    Raises:
        ValueError: As `recording_index`.
    """
    index = recording_index(recordings, recording)
    return recordings[index] if recordings else None
