"""Prediction of saliency maps, used by the command line, the pipeline, the demo and the evaluation."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from itertools import chain, islice
from os import PathLike, fspath
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from ..architecture_mlnet import recording_name
from ..hub.checkpoint import checkpoint_folder, load_checkpoint, loaded_from, read_recordings
from ..hub.registry import PROCESSOR, fingerprint
from ..images_mlnet import ImageSource, is_single, name_of, read_image
from ..io.json_types import JsonObject
from ..io.ordered import in_order
from ..letterbox_mlnet import Letterbox
from .density import Calibration
from .devices import default_device, usable_cores
from .graph import find_graph, make_graph
from .network import DTYPES, OpenVINONetwork, TorchNetwork, has_bfloat16, is_bfloat16_fast

if TYPE_CHECKING:
    from ..image_processing_mlnet import MLNetImageProcessor
    from ..modeling_mlnet import MLNetModel

MANY = 8  # with at least this many images, several run through the network at a time
_process: list[int] = []  # id of the process that made the first prediction


@dataclass
class Prediction:
    """One image's result.

    Args:
        source: The image as given.
        saliency_map: Float32 `(height, width)` in 0..1 at the image's own size; `None` if it could not be read.
        image: The upright image, uint8 `(height, width, 3)`; `None` unless asked for.
        error: Why there is no map, in one line.
    """

    source: ImageSource
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
        dtype: `"float32"`, `"bfloat16"`, `"float16"`, or `"auto"`: bfloat16 on a CPU where it is faster (with AMX, or
            AMD's with AVX-512 for bfloat16), else float32. Scores should be taken in float32.
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
        self.dtype = dtype if dtype != "auto" else "bfloat16" if is_cpu and is_bfloat16_fast() else "float32"
        self.batch_size = batch_size or min(32, max(4, 2 * usable_cores()))
        self._compile, self._lock = compile, RLock()
        self._network: OpenVINONetwork | TorchNetwork | None = None
        self._name, self._given, self._folder = "the model", None, None
        if isinstance(model, (str, PathLike)):
            self._name, self._folder = fspath(model), checkpoint_folder(fspath(model))
            if not (self._folder / PROCESSOR).is_file():
                load_checkpoint(self._name)  # raises an error that explains what the folder is
            self.letterbox = Letterbox.read(self._folder / PROCESSOR)
            self.recordings = read_recordings(self._folder)
        elif not hasattr(model, "config"):
            raise ValueError(
                f"model must be a name, a checkpoint's folder or a loaded model, got {type(model).__name__}"
            )
        elif image_processor is None:
            raise ValueError("a loaded model needs its image_processor")
        else:
            self._given, self._folder = model, loaded_from(model)
            self.recordings = list(model.config.recordings)
        if image_processor is not None:
            self.letterbox = image_processor.letterbox()
        is_supported = self.dtype == "float32" or (self.dtype == "bfloat16" and has_bfloat16())
        is_openvino = is_cpu and is_supported and not compile and self.letterbox.do_resize
        self._graph_folder = self._folder if is_openvino else None
        self._graph = None if self._graph_folder is None else find_graph(self._graph_folder, self.letterbox.size)
        if self._graph is None and (self._given is None or self._graph_folder is None):
            self.model  # noqa: B018 - loaded now, so that a damaged checkpoint or a wrong device is refused here

    @cached_property
    def model(self) -> "MLNetModel":
        """The PyTorch model in eval mode, for explanations and wherever OpenVINO does not run."""
        import torch

        model = load_checkpoint(self._name)[0] if self._given is None else self._given
        dtype = model.dtype if self._graph_folder is not None else getattr(torch, self.dtype)
        try:
            if torch.device(self.device).type == "meta":
                raise RuntimeError("it holds no values")
            return model.to(device=self.device, dtype=dtype).eval()
        except (RuntimeError, AssertionError, ImportError) as error:
            raise ValueError(f"device {self.device!r} cannot be used: {str(error).splitlines()[0]}") from error

    @cached_property
    def calibration(self) -> Calibration:
        """Turns maps into densities: the checkpoint's own calibration, unless another was assigned.

        Raises:
            ValueError: If the checkpoint has none.
        """
        return Calibration.of_checkpoint(self._folder, self._name)

    def log_density(self, image: ImageSource, centre_bias: bool | np.ndarray = True, **options: Any) -> np.ndarray:
        """The natural logarithm of the probability that a fixation falls on each pixel of an image.

        Args:
            image: One image, as a call takes it.
            centre_bias: As in `Calibration.log_density`: `False` removes that of the data it was fitted to, and a
                density `(height, width)` takes its place.
            options: `apply_prior`, `recording` and `allow_urls` of a call.

        Returns:
            Float64 `(height, width)` at the image's own size; exp of it sums to 1.

        Raises:
            ValueError: If the image cannot be read, or the checkpoint has no calibration.
        """
        calibration = self.calibration  # an error before anything is predicted
        return calibration.log_density(next(self.maps([image], **options)), centre_bias)

    @property
    def network(self) -> OpenVINONetwork | TorchNetwork:
        """The network that predicts, created on first use."""
        with self._lock:
            if self._network is None:
                folder, canvas = self._graph_folder, self.letterbox.size
                if graph := folder and (self._graph or make_graph(folder, canvas)):
                    self._network = OpenVINONetwork(graph, self.dtype, canvas, self.recordings)
                else:
                    self._network = TorchNetwork(self.model, self.dtype, self._compile)
            return self._network

    def settings(self, apply_prior: bool = True, recording: str | None = None) -> JsonObject:
        """Everything its maps depend on besides the images, as JSON values."""
        return {
            "checkpoint": self._folder and fingerprint(self._folder),
            "device": self.device.partition(":")[0],
            "dtype": self.dtype,
            "apply_prior": apply_prior,
            "recording": recording,
            "compile": self._compile,
            "mlnet-saliency": version("mlnet-saliency"),
        }

    def __getstate__(self) -> dict[str, object]:
        """Without what cannot leave this process; a model that was passed in stays, as `_given`."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_network", "_lock", "model")}

    def __setstate__(self, state: dict[str, object]) -> None:
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
        maps = list(self.maps(images, apply_prior, recording, allow_urls))
        return maps[0] if is_single(images) else maps

    def maps(
        self, images: Any, apply_prior: bool = True, recording: str | None = None, allow_urls: bool = False
    ) -> Iterator[np.ndarray]:
        """Lazy form of a call; raises a ValueError at the first image that cannot be read."""
        stream = self.stream(images, allow_urls=allow_urls, apply_prior=apply_prior, recording=recording)
        for index, prediction in enumerate(stream):
            if prediction.saliency_map is None:
                raise ValueError(f"image {index}: {prediction.error}")
            yield prediction.saliency_map

    def stream(
        self,
        images: Any,
        keep_images: bool = False,
        allow_urls: bool = False,
        apply_prior: bool = True,
        recording: str | None = None,
    ) -> Iterator[Prediction]:
        """Predicts lazily and in order; at most `batch_size` images and a few more are in memory at a time.

        Args:
            images: One image or any iterable of them, as in a call.
            keep_images: Whether the results carry the images, for overlays.
            allow_urls: As in a call, and so are `apply_prior` and `recording`.

        Yields:
            One `Prediction` per image, with `error` set if the image cannot be read.
        """
        kind = recording_name(self.recordings, recording)  # a wrong name is refused before anything is read
        sources = iter([images] if is_single(images) else images)
        first = list(islice(sources, MANY))

        def predict(source: ImageSource) -> Prediction:
            if _process and _process[0] != os.getpid():
                advice = "start the workers by 'spawn' (multiprocessing.get_context('spawn'))"
                raise RuntimeError(f"this process lacks threads of its parent, which had made predictions: {advice}")
            try:
                image = read_image(source, allow_urls=allow_urls)
            except ValueError as error:
                return Prediction(source, error=str(error))
            cells = self.network(self.letterbox.pixel_values(image), apply_prior, kind, len(first) == MANY)
            _process[:] = [os.getpid()]
            if not np.isfinite(cells).all():
                reason = f"the map is not finite ({self.network.description}); try dtype float32"
                return Prediction(source, error=f"{name_of(source)}: {reason}")
            saliency_map = self.letterbox.saliency_map(cells, image.shape[:2])
            return Prediction(source, saliency_map, image if keep_images else None)

        yield from in_order(predict, chain(first, sources), min(self.batch_size, MANY), ahead=self.batch_size)
