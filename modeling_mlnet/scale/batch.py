"""Batches of images to batches with saliency maps: one class for the engines that call a function on batches."""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import asdict, fields
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis import BoxSource, Region, Spot, TiledPredictor, focus, measure_regions, ninths
from ..analysis.documents import rounded
from ..analysis.tiles import Window, find_windows
from ..images_mlnet import read_image
from ..inference.predictor import Prediction, SaliencyPredictor
from ..io.locations import RemoteFile, fetched, is_uri
from ..io.ordered import in_order
from ..io.overlay import grey_image, to_png

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from datasets import Features

OUTPUTS = ("saliency_map", "spots", "effective_area", "regions")  # what may be asked for, in the columns' order
ERROR = "error"
MAP_FORMATS = ("png", "float16")
Row = dict[str, Any]
_predictors: dict[tuple[Any, ...], TiledPredictor] = {}  # of this process
_lock = Lock()


class BatchPredictor:
    """Adds saliency maps, spots and regions to batches of images.

    An instance is what `datasets.Dataset.map(batched=True)`, `IterableDataset.map`, Ray Data's `map_batches` and, by
    `map_frames`, Spark's `mapInPandas` call. It is small and can be pickled: the network is loaded with the first
    batch, once in every process. The values of a row depend on its image and the arguments only, as those of
    `SaliencyPredictor` do, not on the batch or the engine.

    Args:
        model: As in `SaliencyPredictor`: a name, a checkpoint's folder or a Hub id, which every worker can reach.
        image_column: The column of images: bytes of image files, dictionaries with `bytes` or `path` as `datasets`
            has them, PIL images, arrays, paths, or URIs of fsspec.
        outputs: Which columns are added, of `saliency_map`, `spots`, `effective_area` and `regions`.
        map_format: Of the saliency map at the image's own size: `"png"` (bytes of an 8-bit grey PNG, 255 is 1) or
            `"float16"` (an array `(height, width)` in 0..1).
        prefix: Of the names of all added columns, where the batch has columns of these names.
        boxes: The boxes of `regions`, the same for every image, as `logo:48,18,197,34`; without them the ninths.
        units: Of boxes: `"pixels"`, `"fractions"`, or `"auto"`.
        tiles: As in `analysis.find_windows`.
        apply_prior: As in `SaliencyPredictor`, and so are `recording`, `device` and `batch_size`.
        dtype: As in `SaliencyPredictor`; float32 gives the same numbers on processors with and without bfloat16.
        allow_urls: Whether http(s) addresses and URIs such as `s3://` in the column are fetched.

    Raises:
        ValueError: If an argument is wrong, naming it. A model that cannot be loaded is an error of the first batch.
    """

    def __init__(
        self,
        model: str = "mini",
        image_column: str = "image",
        outputs: Sequence[str] = OUTPUTS,
        map_format: str = "png",
        prefix: str = "",
        boxes: Sequence[str] = (),
        units: str = "auto",
        tiles: str = "auto",
        apply_prior: bool = True,
        recording: str | None = None,
        device: str = "auto",
        dtype: str = "float32",
        batch_size: int | None = None,
        allow_urls: bool = False,
    ):
        unknown = [name for name in outputs if name not in OUTPUTS]
        if unknown or not outputs:
            raise ValueError(f"outputs must be of {', '.join(OUTPUTS)}, got {', '.join(unknown) or 'none'}")
        if map_format not in MAP_FORMATS:
            raise ValueError(f"map_format must be one of {', '.join(MAP_FORMATS)}, got {map_format!r}")
        find_windows((1, 1), tiles)
        self.boxes = BoxSource(tuple(boxes), (), units)
        self.outputs = tuple(name for name in OUTPUTS if name in outputs)
        self.model, self.image_column, self.map_format, self.prefix = model, image_column, map_format, prefix
        self.device, self.dtype, self.batch_size = device, dtype, batch_size
        self.tiles, self.allow_urls = tiles, allow_urls
        self.options = {"apply_prior": apply_prior, "recording": recording}

    @property
    def names(self) -> list[str]:
        """Of the columns that are added; the last is `error`: one line where a value is missing, else `None`."""
        return [self.prefix + name for name in (*self.outputs, ERROR)]

    @property
    def schema(self) -> "pa.Schema":
        """Arrow types of the columns that are added; a map of float16 is a list of its rows."""
        import pyarrow as pa

        types = {
            "saliency_map": pa.binary() if self.map_format == "png" else pa.list_(pa.list_(pa.float16())),
            "spots": pa.list_(_struct(Spot)),
            "effective_area": pa.float64(),
            "regions": pa.list_(_struct(Region)),
            ERROR: pa.string(),
        }
        return pa.schema([(self.prefix + name, types[name]) for name in (*self.outputs, ERROR)])

    @property
    def features(self) -> "Features":
        """Types for `datasets` of the columns that are added: `features={**data.features, **this}` of a `map`."""
        from datasets import Features

        return Features.from_arrow_schema(self.schema)

    @property
    def predictor(self) -> TiledPredictor:
        """What predicts in this process, made when it is first needed."""
        with _lock:
            if self._key not in _predictors:
                network = SaliencyPredictor(
                    self.model, device=self.device, dtype=self.dtype, batch_size=self.batch_size
                )
                _predictors[self._key] = TiledPredictor(network, self.tiles)
            return _predictors[self._key]

    @property
    def _key(self) -> tuple[Any, ...]:
        return self.model, self.device, self.dtype, self.batch_size, self.tiles

    def resolved(self) -> "BatchPredictor":
        """The same with the device and precision that `"auto"` means here, for all processes of a run."""
        here = copy(self)
        here.device, here.dtype = self.predictor.predictor.device, self.predictor.predictor.dtype
        _predictors[here._key] = self.predictor
        return here

    @property
    def is_on_cpu(self) -> bool:
        """Whether the network runs on the processor."""
        return self.predictor.predictor.device.partition(":")[0] == "cpu"

    def settings(self) -> dict[str, Any]:
        """What the added values depend on besides the images, in values of JSON."""
        settings = {
            **self.predictor.settings(**self.options),
            "outputs": list(self.outputs),
            "map_format": self.map_format,
            "prefix": self.prefix,
        }
        if "regions" in self.outputs:
            settings |= {"boxes": list(self.boxes.texts), "units": self.boxes.units}
        return settings

    def __call__(self, batch: Any) -> Any:
        """The batch with the added columns; a row that fails has its `error` and stops nothing.

        Args:
            batch: A dictionary of columns by their names, an Arrow table or a frame of pandas. The result is of the
                same kind; the added columns of an Arrow table have the types of `schema`.

        Raises:
            ValueError: If the image column is missing, an added column is there already, or the model cannot be
                loaded.
        """
        table = getattr(batch, "pa_table", batch)  # of `datasets`: what it decodes fails as a whole
        is_arrow = hasattr(table, "column_names")
        names = list(table.column_names if is_arrow else table)
        if self.image_column not in names:
            raise ValueError(f"image_column: no column {self.image_column!r}; the batch has {', '.join(names)}")
        if taken := [name for name in self.names if name in names]:
            raise ValueError(f"prefix: the batch has a column {taken[0]!r} already; rename it or give a prefix")
        values = table[self.image_column]
        added = self.columns(values.to_pylist() if is_arrow else values)
        if batch is not table:
            return added  # to which `datasets` joins the rest, undecoded
        if hasattr(table, "assign"):
            return table.assign(**added)
        if not is_arrow:
            return {**table, **added}
        import pyarrow as pa

        for field in self.schema:
            # pyarrow takes arrays of one dimension only: a map becomes the list of its rows
            column = [list(value) if isinstance(value, np.ndarray) else value for value in added[field.name]]
            table = table.append_column(field, pa.array(column, field.type))
        return table

    def columns(self, images: Iterable[Any]) -> dict[str, list[Any]]:
        """The columns that are added, by their names, for images of any kind in their order."""
        rows = list(self.rows(images))
        return {self.prefix + name: [row[name] for row in rows] for name in (*self.outputs, ERROR)}

    def map_frames(self, frames: "Iterable[pd.DataFrame]") -> "Iterator[pd.DataFrame]":
        """Pandas frames with the added columns, as Spark's `mapInPandas` calls it."""
        for frame in frames:
            yield self(frame)

    def rows(self, images: Iterable[Any]) -> Iterator[Row]:
        """The values of each image by the names of `outputs` and `error`, lazily and in order."""
        predictor = self.predictor
        ahead = predictor.batch_size
        threads = max(2, ahead // 2)
        items = in_order(self._read, images, threads, ahead)
        predictions = predictor.stream_cut(items, allow_urls=self.allow_urls, **self.options)
        yield from in_order(self.answer, predictions, threads, ahead)

    def _read(self, value: Any) -> tuple[Any, np.ndarray | None, list[Window]]:
        """A value, its image and windows; without an image where the predictor will say why there is none."""
        if isinstance(value, str) and is_uri(value) and self.allow_urls:
            value = fetched(RemoteFile(value))
        try:
            pixels = np.asarray(value) if isinstance(value, list) else value  # of Arrow, which has no arrays
            image = read_image(pixels, allow_urls=self.allow_urls)
        except ValueError:
            return value, None, []
        return value, image, find_windows((image.shape[1], image.shape[0]), self.tiles)

    def answer(self, prediction: Prediction) -> Row:
        """The values of one image."""
        saliency_map = prediction.saliency_map
        if saliency_map is None or prediction.error is not None:
            reason = prediction.error or "no map"
            return {**dict.fromkeys(self.outputs), ERROR: " ".join(reason.split())}
        size = saliency_map.shape[1], saliency_map.shape[0]
        values: Row = {}
        problems: list[str] = []
        if "saliency_map" in self.outputs:
            is_png = self.map_format == "png"
            values["saliency_map"] = to_png(grey_image(saliency_map)) if is_png else saliency_map.astype(np.float16)
        if not {"spots", "effective_area"}.isdisjoint(self.outputs):
            attention = focus(saliency_map)
            values["spots"] = rounded([asdict(spot) for spot in attention.spots])
            values["effective_area"] = rounded(attention.effective_area)
        if "regions" in self.outputs:
            boxes = ninths(size)
            if self.boxes:
                boxes, problems = self.boxes.for_image(Path("image"), size)
            values["regions"] = rounded([asdict(region) for region in measure_regions(saliency_map, boxes)])
        values[ERROR] = "; ".join(problems) or None
        return {name: values[name] for name in (*self.outputs, ERROR)}


def _struct(kind: type) -> "pa.DataType":
    """The Arrow type of a dataclass of numbers and texts."""
    import pyarrow as pa

    types: dict[Any, pa.DataType] = {int: pa.int64(), str: pa.string()}  # the others are numbers, or may be missing
    return pa.struct([(field.name, types.get(field.type, pa.float64())) for field in fields(kind)])
