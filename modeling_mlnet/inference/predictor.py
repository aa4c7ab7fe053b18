"""The one road from images to saliency maps, behind the command, Python, the pipeline, the page and the scores."""

import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from itertools import chain, islice
from os import PathLike, fspath
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from ..hub.checkpoint import checkpoint_folder, load_checkpoint, loaded_from
from ..hub.registry import CONFIG, PROCESSOR, fingerprint
from ..images_mlnet import is_image, name_of, read_image
from ..io.ordered import in_order
from ..letterbox_mlnet import Letterbox
from .graph import find_graph, make_graph
from .network import (
    DTYPES,
    Network,
    OpenVINONetwork,
    TorchNetwork,
    default_device,
    has_bfloat16,
    recording_index,
    usable_cores,
)

if TYPE_CHECKING:
    from ..image_processing_mlnet import MLNetImageProcessor
    from ..modeling_mlnet import MLNetModel

MANY = 8  # images from which several pass the network at a time
FORKED = (
    "this process was forked after its parent had made predictions, which leaves the network's threads behind: start "
    "the workers by 'spawn' (multiprocessing.get_context('spawn')), or make no prediction before them"
)
_process: list[int] = []  # that made the first prediction


@dataclass
class Prediction:
    """One image's result.

    Args:
        source: What was given.
        saliency_map: Float32 `(height, width)` in 0..1 at the image's own size; `None` if it could not be read.
        image: The upright image, uint8 `(height, width, 3)`; `None` unless asked for.
        error: Why there is no map, in one line.
    """

    source: Any
    saliency_map: np.ndarray | None = None
    image: np.ndarray | None = None
    error: str | None = None


class SaliencyPredictor:
    """Predicts saliency maps for any number of images.

    A map depends on the image, the checkpoint, the options and the kind of processor. It does not depend on other
    images, on their order or number, or on how many are worked on at a time. On a CPU the network runs in OpenVINO,
    on a GPU in PyTorch, which is imported only then.

    A predictor may be used from several threads, pickled, and copied.

    Args:
        model: `"mini"` (the checkpoint inside the package), another name of the manifest, a checkpoint's folder, a
            Hub id, or a loaded `MLNetModel`, which is moved to `device` and `dtype`.
        image_processor: Needed with a loaded model; otherwise the checkpoint's own.
        device: `"auto"` takes a GPU if there is one.
        dtype: `"float32"`, `"bfloat16"`, `"float16"`, or `"auto"`: bfloat16 on a CPU that multiplies it in hardware,
            else float32. Scores should be taken in float32.
        batch_size: Images in memory at a time; `None` takes twice the number of cores.
        compile: Whether PyTorch runs the network, through `torch.compile`. It takes up to a minute for the first
            image, and pays for many thousands on a GPU.

    Raises:
        ValueError: If an argument is wrong or the checkpoint cannot be loaded, naming it.
    """

    def __init__(
        self,
        model: "str | PathLike | MLNetModel" = "mini",
        image_processor: "MLNetImageProcessor | None" = None,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int | None = None,
        compile: bool = False,
    ):
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if dtype != "auto" and dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {['auto', *DTYPES]}, got {dtype!r}")
        self.device = default_device() if device == "auto" else str(device)
        is_cpu = self.device.partition(":")[0] == "cpu"
        self.dtype = dtype if dtype != "auto" else "bfloat16" if is_cpu and has_bfloat16() else "float32"
        self.batch_size = batch_size or min(32, max(4, 2 * usable_cores()))
        self._compile, self._lock = compile, RLock()
        self._network: Network | None = None
        self._folder: Path | None
        if isinstance(model, (str, PathLike)):
            self._name, self._folder, self._given = fspath(model), checkpoint_folder(fspath(model)), None
            if not (self._folder / PROCESSOR).is_file():
                load_checkpoint(self._name)  # says what the folder is, if it is no checkpoint
            self.letterbox = Letterbox.read(self._folder / PROCESSOR)
            self.recordings = read_recordings(self._folder)
        else:
            if image_processor is None:
                raise ValueError("a loaded model needs its image_processor")
            self._name, self._folder, self._given = "the model", loaded_from(model), model
            self.recordings = list(model.config.recordings)
        if image_processor is not None:
            self.image_processor, self.letterbox = image_processor, image_processor.letterbox()
        is_openvino = is_cpu and not compile and self._folder is not None and self.letterbox.do_resize
        is_openvino = is_openvino and (self.dtype == "float32" or (self.dtype == "bfloat16" and has_bfloat16()))
        self._graph_folder = self._folder if is_openvino else None
        self._graph = None if self._graph_folder is None else find_graph(self._graph_folder, self.letterbox.size)
        if self._graph is None and (self._given is None or not is_openvino):
            self.model  # noqa: B018 - loaded now, so that a damaged checkpoint or a wrong device is refused here

    @cached_property
    def image_processor(self) -> "MLNetImageProcessor":
        """The checkpoint's image processor."""
        from ..image_processing_mlnet import MLNetImageProcessor

        return MLNetImageProcessor.from_pretrained(self._folder)

    @cached_property
    def model(self) -> "MLNetModel":
        """The network in PyTorch, in eval mode: what predicts where OpenVINO does not, and what is explained."""
        import torch

        model = load_checkpoint(self._name)[0] if self._given is None else self._given
        dtype = model.dtype if self._graph_folder is not None else getattr(torch, self.dtype)
        try:
            if torch.device(self.device).type == "meta":
                raise RuntimeError("it holds no values")
            return model.to(device=self.device, dtype=dtype).eval()
        except (RuntimeError, AssertionError, ImportError) as error:
            raise ValueError(f"device {self.device!r} cannot be used: {str(error).splitlines()[0]}") from error

    @property
    def network(self) -> Network:
        """What predicts one image at a time; made with the first."""
        with self._lock:
            if self._network is None:
                self._network = self._make_network()
            return self._network

    def _make_network(self) -> Network:
        if self._graph_folder is not None:
            graph = self._graph or make_graph(self._graph_folder, self.letterbox.size, self._exact_model)
            if graph is not None:
                return OpenVINONetwork(graph, self.dtype, self.letterbox.size, self.recordings)
        return TorchNetwork(self.model, self.dtype, self._compile)

    def _exact_model(self) -> "MLNetModel":
        """The checkpoint's model in float32, of which a graph is made; a given one may be in another precision."""
        return self.model if self._given is None else load_checkpoint(str(self._folder))[0].eval()

    def settings(self, apply_prior: bool = True, recording: str | None = None) -> dict[str, Any]:
        """What its maps depend on besides the images, in values of JSON."""
        return {
            **{"checkpoint": self._folder and fingerprint(self._folder), "device": self.device.partition(":")[0]},
            **{"dtype": self.dtype, "apply_prior": apply_prior, "recording": recording, "compile": self._compile},
            "mlnet-saliency": version("mlnet-saliency"),
        }

    def __getstate__(self) -> dict[str, Any]:
        """Without what lives in this process only; a loaded model goes along."""
        left_out = {"_network", "_lock"} | ({"model", "image_processor"} if self._given is None else set())
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _network=None, _lock=RLock())

    def __call__(
        self, images: Any, apply_prior: bool = True, recording: str | None = None, allow_urls: bool = False
    ) -> np.ndarray | list[np.ndarray]:
        """The map of one image, or a list of maps for several.

        Args:
            images: One image, or any iterable of them: paths, bytes or open files, PIL images, arrays and tensors, as
                `images_mlnet.read_image` takes them.
            apply_prior: `False` predicts without the learned prior.
            recording: The kind of recording whose ground truth is predicted, one of `recordings`; `None` takes the
                first.
            allow_urls: Whether http(s) addresses are fetched.

        Returns:
            Float32 `(height, width)` in 0..1 at the image's own size, or a list of them.

        Raises:
            ValueError: If an image cannot be read or the recording is unknown.
        """
        is_single = is_image(images) and getattr(images, "ndim", 3) < 4
        maps = list(self.maps([images] if is_single else images, apply_prior, recording, allow_urls))
        return maps[0] if is_single else maps

    def maps(
        self,
        images: Iterable[Any],
        apply_prior: bool = True,
        recording: str | None = None,
        allow_urls: bool = False,
    ) -> Iterator[np.ndarray]:
        """Like `stream`, but gives bare maps and raises a ValueError for an image that cannot be read."""
        stream = self.stream(images, allow_urls=allow_urls, apply_prior=apply_prior, recording=recording)
        for index, prediction in enumerate(stream):
            if prediction.saliency_map is None:
                raise ValueError(f"image {index}: {prediction.error}")
            yield prediction.saliency_map

    def stream(
        self,
        images: Iterable[Any],
        keep_images: bool = False,
        allow_urls: bool = False,
        apply_prior: bool = True,
        recording: str | None = None,
    ) -> Iterator[Prediction]:
        """Predicts lazily and in order; at most `batch_size` images and a few more are in memory at a time.

        Args:
            images: Any iterable of images.
            keep_images: Whether the results carry the images, for overlays.
            allow_urls: As in a call.
            apply_prior: As in a call.
            recording: As in a call.

        Yields:
            One `Prediction` per image; one that cannot be read has its `error` set and stops nothing.
        """
        recording_index(self.recordings, recording)  # a wrong name is refused before anything is read
        images = iter(images)
        first = list(islice(images, MANY))
        options = {"keep_image": keep_images, "allow_urls": allow_urls, "apply_prior": apply_prior}
        predict = partial(self._predict, **options, recording=recording, many=len(first) == MANY)
        executor = ThreadPoolExecutor(min(self.batch_size, max(1, len(first))))
        try:
            yield from in_order(executor, predict, chain(first, images), ahead=self.batch_size)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def _predict(
        self, source: Any, keep_image: bool, allow_urls: bool, apply_prior: bool, recording: str | None, many: bool
    ) -> Prediction:
        if _process and _process[0] != os.getpid():
            raise RuntimeError(FORKED)
        try:
            image = read_image(source, allow_urls=allow_urls)
        except ValueError as error:
            return Prediction(source, error=str(error))
        cells = self.network(self.letterbox.pixel_values(image), apply_prior, recording, many)
        _process[:] = [os.getpid()]
        if not np.isfinite(cells).all():
            reason = f"the map is not finite ({self.network.description}); try dtype float32"
            return Prediction(source, error=f"{name_of(source)}: {reason}")
        saliency_map = self.letterbox.saliency_map(cells, image.shape[:2])
        return Prediction(source, saliency_map, image if keep_image else None)


def read_recordings(folder: Path) -> list[str]:
    """The kinds of recording that a checkpoint knows."""
    try:
        return list(json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("recordings") or [])
    except (OSError, ValueError, AttributeError):  # whoever loads the checkpoint says what is wrong
        return []
