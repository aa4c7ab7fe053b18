"""A short clip under its saliency maps, and how concentrated attention is over its time."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np

from ..inference.predictor import SaliencyPredictor
from ..io.overlay import overlay
from .boxes import Box
from .regions import measure_regions
from .spots import effective_area

MAX_SECONDS = 60
FRAMES_A_SECOND = 8  # of the result; a gaze rests longer than an eighth of a second
MAX_SIDE = 640  # px of the result
MAX_PIXELS = 4096 * 2304  # of a frame
MAX_FRAMES = 60 * 240  # decoded, whatever their time stamps claim
# Playlists among the demuxers would read other files and addresses of the server.
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi"
KINDS = "MP4, MOV, WebM, MKV or AVI"


@dataclass(frozen=True)
class Moment:
    """One frame of the result.

    Args:
        time: Seconds from the start.
        effective_area: Result of `effective_area`.
        shares: Shares of regions by name, of all predicted attention, 0..1.
    """

    time: float
    effective_area: float
    shares: dict[str, float] = field(default_factory=dict)


class Clip:
    """An untrusted video file, opened and checked.

    Args:
        path: Path of the file.
        name: Its name in messages, if another than the file's.

    Raises:
        ValueError: If it cannot be read as a video, is too long or its frames are too large.
    """

    def __init__(self, path: Path, name: str | None = None):
        self.name = name or path.name
        if path.stat().st_size == 0:
            raise ValueError(f"{self.name} is empty (0 bytes). Choose another clip.")
        options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
        try:
            self._container = av.open(str(path), options=options)
        except (av.error.FFmpegError, OSError, ValueError):
            raise ValueError(f"{self.name} cannot be read as a video; take an {KINDS} file.") from None
        try:
            self._check()
        except ValueError:
            self.close()
            raise

    def _check(self) -> None:
        if not self._container.streams.video:
            raise ValueError(f"{self.name} has no video in it.")
        self._stream = self._container.streams.video[0]
        width, height = self._stream.codec_context.width, self._stream.codec_context.height
        if width * height > MAX_PIXELS:
            raise ValueError(
                f"{self.name} has {width} x {height} px; clips may have up to 4096 x 2304. Shrink it first."
            )
        self.seconds = float(self._container.duration or 0) / av.time_base
        if self.seconds > MAX_SECONDS + 1:
            raise ValueError(self._too_long(f"{self.seconds:.0f} seconds"))
        self._stream.thread_type = "AUTO"

    def _too_long(self, length: str) -> str:
        return f"{self.name} lasts {length}; clips may last up to {MAX_SECONDS}. Cut it first."

    @property
    def expected(self) -> int:
        """Expected number of frames from `frames`; 0 if the file does not state it."""
        return round(self.seconds * FRAMES_A_SECOND)

    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """Time in seconds and uint8 `(height, width, 3)` of at most `FRAMES_A_SECOND` frames a second, upright.

        Raises:
            ValueError: If the video is damaged from the start, or lasts longer than it claimed.
        """
        start: float | None = None
        due = 0.0
        with suppress(av.error.FFmpegError):  # cut off in the middle: the frames before it are used
            for count, frame in enumerate(self._container.decode(self._stream)):
                moment = frame.time if frame.time is not None else count / 25
                start = moment if start is None else start
                moment -= start
                if moment > MAX_SECONDS + 1 or count >= MAX_FRAMES:
                    raise ValueError(self._too_long("longer than it says"))
                if frame.width * frame.height > MAX_PIXELS:
                    raise ValueError(f"{self.name} has frames of {frame.width} x {frame.height} px. Shrink it first.")
                if moment + 1e-6 >= due:
                    due = max(due + 1 / FRAMES_A_SECOND, moment)
                    yield moment, _upright(frame)
        if start is None:
            raise ValueError(f"{self.name} is damaged: none of its frames can be read.")

    def close(self) -> None:
        """Closes the file."""
        self._container.close()


def _upright(frame: Any) -> np.ndarray:
    """Shrunk to `MAX_SIDE`, even sides (H.264 needs them), turned as the camera was held."""
    scale = min(1.0, MAX_SIDE / max(frame.width, frame.height))
    width, height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
    image = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns))


def first_frame(path: Path, name: str | None = None) -> np.ndarray:
    """A clip's first frame as the result shows it, uint8 `(height, width, 3)`; arguments as of `Clip`.

    Raises:
        ValueError: As `Clip` and `Clip.frames`.
    """
    clip = Clip(path, name)
    try:
        return next(clip.frames())[1]
    finally:
        clip.close()


def render_clip(
    predictor: SaliencyPredictor,
    clip: Clip,
    path: Path,
    opacity: float,
    colormap: str,
    apply_prior: bool = True,
    boxes: Sequence[Box] = (),
) -> Iterator[Moment]:
    """Writes the clip under its maps as H.264 MP4 without sound, and measures how concentrated attention is.

    Stopped before its end, it leaves no file.

    Args:
        predictor: Frames pass through it one at a time, so that a clip leaves room for other visitors' images.
        clip: Opened; closed at the end.
        path: Path of the result.
        opacity: As in `overlay`.
        colormap: As in `overlay`.
        apply_prior: As in `SaliencyPredictor`.
        boxes: Regions to measure in every frame, in pixels of the result.

    Yields:
        A `Moment` per frame.

    Raises:
        ValueError: As `Clip.frames`.
    """
    finished = False
    try:
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as output:
            stream: Any = None
            last = -1  # of the time stamps, which have to grow
            for index, (time, image) in enumerate(clip.frames()):
                [prediction] = predictor.stream([image], apply_prior=apply_prior)
                saliency_map = prediction.saliency_map
                if saliency_map is None:
                    raise ValueError(f"{clip.name}, frame {index + 1}: {prediction.error}")
                if stream is None:
                    stream = output.add_stream(
                        "libx264", rate=FRAMES_A_SECOND, options={"crf": "23", "preset": "veryfast"}
                    )
                    stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p"
                shown = av.VideoFrame.from_ndarray(
                    np.asarray(overlay(image, saliency_map, colormap, opacity)), format="rgb24"
                )
                shown.pts = last = max(last + 1, round(time * FRAMES_A_SECOND))
                output.mux(stream.encode(shown))
                regions = measure_regions(saliency_map, boxes)
                shares = {region.name: region.share for region in regions}
                yield Moment(time, effective_area(saliency_map), shares)
            output.mux(stream.encode())
        finished = True
    finally:
        clip.close()
        if not finished:
            path.unlink(missing_ok=True)
