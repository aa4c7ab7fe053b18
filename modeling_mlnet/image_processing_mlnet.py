"""Image processor of ML-Net: the letterbox and its inverse as transformers' image processors offer them."""

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from functools import partial
from os import PathLike
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers.image_processing_backends import PilBackend
from transformers.image_processing_base import BatchFeature
from transformers.image_utils import ChannelDimension, ImageInput, SizeDict
from transformers.processing_utils import ImagesKwargs, Unpack
from transformers.utils import TensorType

from .architecture_mlnet import STRIDE
from .configuration_mlnet import refuse_misspelt
from .images_mlnet import read_grey, read_image
from .letterbox_mlnet import Letterbox


class MLNetImageProcessorKwargs(ImagesKwargs, total=False):  # type: ignore[call-arg]
    r"""
    antialias (`bool`, *optional*, defaults to `False`):
        Whether shrinking averages over the pixels it skips. The release does not.
    """

    antialias: bool


class MLNetImageProcessor(PilBackend):
    """Turns images into network input and saliency maps back into the images' own sizes.

    An image is fitted into the canvas `size` and centred on black, as in the release; with `do_resize=False` it keeps
    its size and is centred on the next multiples of 32. The statistics belong to the checkpoint: the defaults are the
    release's (RGB, 0..255, minus the ImageNet means).

    Args:
        antialias: Whether shrinking averages over the pixels it skips. The release does not.
    """

    valid_kwargs = MLNetImageProcessorKwargs
    model_input_names = ["pixel_values", "labels"]
    do_convert_rgb = True
    do_resize = Letterbox.do_resize
    size: Any = dict(zip(("height", "width"), Letterbox.size, strict=True))  # a SizeDict once it is built
    default_to_square = False
    resample = Letterbox.resample
    antialias = Letterbox.antialias
    do_rescale = Letterbox.do_rescale
    rescale_factor = Letterbox.rescale_factor
    do_normalize = Letterbox.do_normalize
    image_mean = list(Letterbox.image_mean)
    image_std = list(Letterbox.image_std)

    def __init__(self, **kwargs: Unpack[MLNetImageProcessorKwargs]):
        # the rest of a preprocessor_config.json is not like any of them
        refuse_misspelt(kwargs, self.valid_kwargs.__annotations__, "MLNetImageProcessor")
        super().__init__(**kwargs)
        self.letterbox()  # checks the values

    def letterbox(self, **options: Any) -> Letterbox:
        """The letterbox of these settings, or of others given by their names, as `preprocess` gets them."""
        values: dict[str, Any] = {
            field.name: options.get(field.name, getattr(self, field.name)) for field in fields(Letterbox)
        }
        size, resample = values["size"], values["resample"]
        values["size"] = (size.height, size.width) if isinstance(size, SizeDict) else (size["height"], size["width"])
        values["resample"] = Letterbox.resample if resample is None else int(resample)
        return Letterbox(**values)

    def preprocess(
        self,
        images: ImageInput | str | PathLike | list,
        saliency_maps: ImageInput | str | PathLike | list | None = None,
        **kwargs: Unpack[MLNetImageProcessorKwargs],
    ) -> BatchFeature:
        """Prepares images, and saliency maps for training, for the model.

        Args:
            images: One image or a list, mixed at will: paths, PIL images, arrays `(height, width[, 1 | 3 | 4])` and
                tensors `([1 | 3 | 4, ]height, width)`; values in 0..255 (uint8, float), 0..1 (float) or 0..65535
                (16-bit). EXIF rotation is applied.
            saliency_maps: One grey map per image, of the same kinds; any size with the image's aspect ratio.

        Returns:
            `pixel_values` `(batch, 3, height, width)`, and `labels` `(batch, height/8, width/8)` in 0..1 if
            `saliency_maps` are given; lists of arrays without `return_tensors`.

        Raises:
            ValueError: If an item cannot be read, naming the item and the reason, or if the numbers of images and
                maps differ.
            TypeError: For an unknown keyword.
        """
        return super().preprocess(images, saliency_maps, **kwargs)

    def _preprocess_image_like_inputs(
        self,
        images: Any,
        saliency_maps: Any,
        input_data_format: str | ChannelDimension | None = None,
        return_tensors: str | TensorType | None = None,
        **options: Any,
    ) -> BatchFeature:
        letterbox = self.letterbox(**options)
        arrays = _read_all(partial(read_image, data_format=input_data_format), images, "image")
        data = {"pixel_values": [letterbox.pixel_values(array) for array in arrays]}
        if saliency_maps is not None:
            maps = _read_all(read_grey, saliency_maps, "saliency map")
            if len(maps) != len(arrays):
                raise ValueError(f"got {len(arrays)} images but {len(maps)} saliency maps")
            data["labels"] = [
                label(letterbox, item, array.shape[:2]) for item, array in zip(maps, arrays, strict=True)
            ]
        canvases = sorted({item.shape[1:] for item in data["pixel_values"]})
        if return_tensors is not None and len(canvases) > 1:
            raise ValueError(f"images of different canvases cannot be stacked, got {canvases}")
        return BatchFeature(data=data, tensor_type=return_tensors)

    def post_process_saliency(
        self,
        outputs: Any,
        target_sizes: Iterable[tuple[int, int]] | Tensor | None = None,
        do_resize: bool | None = None,
    ) -> list[Tensor]:
        """Brings maps back to the images' own sizes: the inverse of the letterbox, a maximum of 1.

        Args:
            outputs: `MLNetOutput`, or its `saliency_map` `(batch, height/8, width/8)`.
            target_sizes: `(height, width)` in pixels of each upright image; `None` keeps the maps' own size.
            do_resize: As it was when the images were prepared; `None` takes the processor's own.

        Returns:
            For every image a float32 map `(height, width)` in 0..1 whose maximum is 1 (all 0 where nothing was
            predicted).

        Raises:
            ValueError: If there is not one size per map.
        """
        maps = outputs if isinstance(outputs, Tensor) else outputs.saliency_map
        sizes: list[Any] = [None] * len(maps)
        if target_sizes is not None:
            sizes = [(int(height), int(width)) for height, width in target_sizes]
        if len(sizes) != len(maps):
            raise ValueError(f"target_sizes must have one (height, width) per map: got {len(sizes)} for {len(maps)}")
        letterbox = self._inverse(do_resize)
        cells = maps.detach().to("cpu", torch.float32).numpy()
        return [
            torch.from_numpy(letterbox.saliency_map(item, size)).to(maps.device)
            for item, size in zip(cells, sizes, strict=True)
        ]

    def invert_letterbox(self, values: Tensor, target_size: tuple[int, int], do_resize: bool | None = None) -> Tensor:
        """Brings anything that lies on the map's grid to an image's own size, as `Letterbox.invert` does.

        Args:
            values: `(height/8, width/8)`, of any scale, which it keeps.
            target_size: `(height, width)` in pixels of the upright image.
            do_resize: As it was when the image was prepared; `None` takes the processor's own.

        Returns:
            Values `(height, width)`.
        """
        cells = values.detach().to("cpu", torch.float32).numpy()
        return torch.from_numpy(self._inverse(do_resize).invert(cells, target_size)).to(values.device)

    def _inverse(self, do_resize: bool | None) -> Letterbox:
        letterbox = self.letterbox()
        return letterbox if do_resize is None else replace(letterbox, do_resize=do_resize)


def label(letterbox: Letterbox, saliency_map: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """What the network should predict: a map on its grid `(rows/8, columns/8)`, float32 in 0..1.

    Args:
        letterbox: Of the image.
        saliency_map: `(height, width)` in 0..255, bytes or float32; any size with the image's aspect ratio.
        image_size: Height and width in pixels of the image.
    """
    rows, columns = letterbox.canvas(*image_size)
    if letterbox.do_resize:
        cells = letterbox.place(saliency_map, (rows // STRIDE, columns // STRIDE))
    else:  # the image lies on the canvas at its own size, and so does its map
        full = Image.fromarray(saliency_map.astype(np.float32)).resize(image_size[::-1], Image.Resampling.BILINEAR)
        placed = letterbox.place(np.asarray(full), (rows, columns))
        cells = placed.reshape(rows // STRIDE, STRIDE, columns // STRIDE, STRIDE).mean(axis=(1, 3))
    return cells / np.float32(255)


def _read_all(read: Callable[[Any], np.ndarray], items: Any, kind: str) -> list[np.ndarray]:
    if isinstance(items, (np.ndarray, Tensor)) and items.ndim == 4:
        items = list(items)
    arrays = []
    for index, item in enumerate(items if isinstance(items, (list, tuple)) else [items]):
        try:
            arrays.append(read(item))
        except ValueError as error:
            raise ValueError(f"{kind} {index}: {error}") from error
    return arrays


__all__ = ["MLNetImageProcessor"]
