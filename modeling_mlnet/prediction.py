"""The one prediction engine: pictures in, saliency maps at their own sizes out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, starmap
from os import PathLike, fspath
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .devices import default_device, wants_float32
from .engines import DTYPES, ENGINES, Network, choose_network, pictures_at_once
from .hub.checkpoint import load_checkpoint
from .hub.registry import GRAPH, resolve_model
from .image_processing_mlnet import MLNetImageProcessor
from .modeling_mlnet import MLNetModel
from .outputs import Prediction
from .pictures_mlnet import image_to_tensor, to_rgb
from .reading_mlnet import read_image
from .threads import MOST_PASSES, in_order, start_workers

if TYPE_CHECKING:
    from .onnx_graph import Graph

READERS = 2  # threads that decode and letterbox ahead of the network
CHOOSING = Lock()  # a network is chosen once, whoever asks first


@dataclass
class Prepared:
    """One picture, read and made ready for the network.

    Args:
        source: What was given.
        size: Height and width in pixels of the upright picture.
        pixel_values: `(1, 3, height, width)` on the canvas; `None` if it could not be read.
        image: As in `Prediction`.
        error: As in `Prediction`.
    """

    source: Any
    size: tuple[int, int] = (0, 0)
    pixel_values: Tensor | None = None
    image: np.ndarray | None = None
    error: str | None = None


class SaliencyPredictor:
    """Predicts saliency maps for any number of pictures, in their order, reading ahead while the network runs.

    Args:
        model: `"mini"` (the checkpoint inside the package), another name of the manifest, a checkpoint's folder, a
            Hub id, or a loaded `MLNetModel`, which is moved to `device` and `dtype`.
        image_processor: Needed with a loaded model; otherwise the checkpoint's own.
        device: `"auto"` takes a GPU if there is one.
        dtype: `"float32"`, `"bfloat16"`, `"float16"`, or `"auto"`: bfloat16 where the processor is made for it and the
            first map correlates with float32's by .9995 or more, else float32. Scores should be taken in float32.
        engine: `"auto"`: in float32 on a CPU the checkpoint's `model.onnx`, if it has one (`mlnet export --in-place`);
            else as `"fused"`: equal maps with less work. `"eager"`: the model as it is. `"compiled"`: through
            `torch.compile`, for very many pictures.
        apply_prior: `False` predicts without the learned prior.
        batch_size: Pictures per pass through the network; engine `"auto"` may split them on a CPU.

    Raises:
        ValueError: If an argument is wrong or the checkpoint cannot be loaded, naming it.
    """

    def __init__(
        self,
        model: str | PathLike | MLNetModel = "mini",
        image_processor: MLNetImageProcessor | None = None,
        device: str = "auto",
        dtype: str = "auto",
        apply_prior: bool = True,
        batch_size: int = 8,
        engine: str = "auto",
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if dtype != "auto" and dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {['auto', *DTYPES]}, got {dtype!r}")
        if engine not in ENGINES:
            raise ValueError(f"engine must be one of {list(ENGINES)}, got {engine!r}")
        if device == "auto":
            device = default_device()
        name = None
        if isinstance(model, (str, PathLike)):
            name = fspath(model)
            model, image_processor = load_checkpoint(name)
        elif image_processor is None:
            raise ValueError("a loaded model needs its image_processor")
        try:
            if torch.device(device).type == "meta":
                raise RuntimeError("it holds no values")
            self.model = model.to(device=device, dtype=DTYPES.get(dtype, torch.float32)).eval()
        except (RuntimeError, AssertionError, ImportError) as error:
            raise ValueError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from error
        self.image_processor = image_processor
        self.dtype, self.engine = dtype, engine
        may_be_graph = engine == "auto" and self.model.device.type == "cpu"
        self.graph = find_graph(name, dtype) if name is not None and may_be_graph else None
        self.network: Network | None = None  # chosen with the first picture
        self.choice = "nothing predicted yet"  # what it is, in words
        self.apply_prior, self.batch_size = apply_prior, batch_size

    def __call__(self, images: Any) -> np.ndarray | list[np.ndarray]:
        """The map of one picture, or a list of maps for a list of pictures.

        Args:
            images: Paths, PIL images, arrays or tensors, as `MLNetImageProcessor` takes them.

        Returns:
            Float32 `(height, width)` in 0..1 at the picture's own size, or a list of them.

        Raises:
            ValueError: If a picture cannot be read.
        """
        if isinstance(images, (list, tuple)):
            return list(self.maps(images))
        return next(self.maps([images]))

    def maps(self, images: Iterable[Any]) -> Iterator[np.ndarray]:
        """Like `stream`, but gives bare maps and raises a ValueError for a picture that cannot be read."""
        for index, prediction in enumerate(self.stream(images)):
            if prediction.saliency_map is None:
                raise ValueError(f"image {index}: {prediction.error}")
            yield prediction.saliency_map

    def stream(self, images: Iterable[Any], keep_images: bool = False) -> Iterator[Prediction]:
        """Predicts lazily and in order; at most a few batches are in memory at a time.

        On a CPU the first batch gets all threads that PyTorch may use; after it the pictures are read and pass the
        network in several workers, each on its share of them: whole networks fill the cores better than layers do.

        Args:
            images: Any iterable of pictures.
            keep_images: Whether the results carry the pictures, for overlays.

        Yields:
            One `Prediction` per picture; one that cannot be read has its `error` set and stops nothing.
        """
        images, threads = iter(images), torch.get_num_threads()
        share = -(-threads // MOST_PASSES)  # of the threads, for every worker
        passes = threads // share if self.model.device.type == "cpu" and self.engine != "compiled" else 1
        first = images if passes == 1 else islice(images, self.batch_size)
        for batch in self.batches(first, keep_images):
            yield from starmap(self._finish, self._pass(batch))
        chunks = iter(lambda: list(islice(images, self._chunk_size())), [])
        for second in islice(chunks, 1):
            work = partial(self._predict_chunk, keep_images=keep_images)
            executor = start_workers(passes, share)
            try:
                for predictions in in_order(executor, work, chain([second], chunks), ahead=passes):
                    yield from predictions
            finally:
                executor.shutdown(wait=False, cancel_futures=True)

    def _chunk_size(self) -> int:
        """Pictures that one worker takes at a time: no more than pass the network at once, to end together."""
        if self.engine != "auto":
            return self.batch_size
        size = self.image_processor.size
        return min(self.batch_size, pictures_at_once(size.height, size.width))

    def _predict_chunk(self, images: list[Any], keep_images: bool) -> list[Prediction]:
        prepared = (self._prepare(image, keep_images) for image in images)
        return [self._finish(*one) for batch in self._batches_of(prepared) for one in self._pass(batch)]

    def batches(self, images: Iterable[Any], keep_images: bool = False) -> Iterator[list[Prepared]]:
        """What passes through the network: pictures in order, read ahead, those of a batch on canvases of one size.

        Args:
            images: Any iterable of pictures.
            keep_images: Whether the pictures themselves are kept.
        """
        readers = start_workers(READERS, max(1, torch.get_num_threads() // READERS))
        try:
            prepare = partial(self._prepare, keep_image=keep_images)
            yield from self._batches_of(in_order(readers, prepare, images, ahead=self.batch_size + READERS))
        finally:
            readers.shutdown(wait=False, cancel_futures=True)

    def _batches_of(self, pictures: Iterable[Prepared]) -> Iterator[list[Prepared]]:
        batch: list[Prepared] = []
        for prepared in pictures:
            # One pass takes one canvas. A bad picture waits for its turn like the others.
            shapes = {one.pixel_values.shape for one in [*batch, prepared] if one.pixel_values is not None}
            if len(shapes) > 1 or len(batch) == self.batch_size:
                yield batch
                batch = []
            batch.append(prepared)
        if batch:
            yield batch

    def _prepare(self, source: Any, keep_image: bool) -> Prepared:
        is_path = isinstance(source, (str, PathLike))
        try:
            picture = image_to_tensor(read_image(source) if is_path else source)
            pixel_values = self.image_processor(picture, return_tensors="pt")["pixel_values"]
        except ValueError as error:
            message = str(error)
            if is_path and not message.startswith(fspath(source)):
                message = f"{fspath(source)}: {message}"
            return Prepared(source, error=message)
        image = None
        if keep_image:
            image = to_rgb(picture).round().byte().permute(1, 2, 0).numpy()
        height, width = picture.shape[-2:]
        return Prepared(source, (height, width), pixel_values, image)

    @torch.inference_mode()
    def _pass(self, batch: list[Prepared]) -> list[tuple[Prepared, Tensor | None]]:
        """Every picture of a batch with its map `(1, height/8, width/8)`, `None` where it could not be read."""
        tensors = [one.pixel_values for one in batch if one.pixel_values is not None]
        maps: Iterator[Tensor] = iter(())
        if tensors:
            pixel_values = torch.cat(tensors).to(self.model.device)
            try:
                with CHOOSING:
                    if self.network is None:
                        self.network, self.choice = choose_network(
                            self.model, self.engine, self.dtype, pixel_values, self.apply_prior, self.graph
                        )
                maps = iter(self.network(pixel_values, self.apply_prior).float().split(1))
            except torch.OutOfMemoryError as error:
                raise ValueError(f"out of memory with {len(tensors)} pictures; try a smaller batch_size") from error
        return [(one, None if one.pixel_values is None else next(maps)) for one in batch]

    @torch.inference_mode()
    def _finish(self, one: Prepared, cells: Tensor | None) -> Prediction:
        if cells is None:
            return Prediction(one.source, error=one.error)
        if not cells.isfinite().all():
            reason = f"the map is not finite ({self.choice}); try dtype float32"
            return Prediction(one.source, error=f"{one.source}: {reason}")
        [saliency_map] = self.image_processor.post_process_saliency(cells, [one.size])
        return Prediction(one.source, saliency_map.cpu().numpy(), one.image)


def find_graph(name: str, dtype: str) -> "Graph | None":
    """The ONNX graph beside a checkpoint on this machine, if it belongs to it and is the fastest in this `dtype`."""
    folder = Path(resolve_model(name).location)
    if not wants_float32(dtype, torch.device("cpu")) or not (folder / GRAPH).is_file():
        return None
    try:
        from .onnx_graph import Graph

        return Graph(folder, torch.get_num_threads())
    except (ValueError, ImportError):  # `mlnet predict` says so; here `choice` tells what predicts
        return None
