"""Image processor of ML-Net: a letterbox, its inverse, and pictures of every kind."""

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as tvF
from transformers.image_processing_backends import TorchvisionBackend
from transformers.image_processing_base import BatchFeature
from transformers.image_utils import ChannelDimension, ImageInput, SizeDict
from transformers.processing_utils import ImagesKwargs, Unpack
from transformers.utils import TensorType

from .configuration_mlnet import nearest_name
from .images_mlnet import is_image, read_grey, read_image
from .letterbox_mlnet import (
    STRIDE,
    check_tone_curve,
    divide_by_maximum,
    inverse_positions,
    letterbox_size,
    put_tone_curve,
    resize_like_opencv,
)

SIZE_DIVISOR = 32  # with `do_resize=False` a canvas side is the next multiple of this


class MLNetImageProcessorKwargs(ImagesKwargs, total=False):  # type: ignore[call-arg]
    r"""
    antialias (`bool`, *optional*, defaults to `False`):
        Whether shrinking averages over the pixels it skips. The release does not.
    tone_curve (`list[float]`, *optional*):
        Exponent and toe of the curve that `post_process_saliency` puts on a map. The release has none.
    """

    antialias: bool
    tone_curve: Sequence[float] | None


def _sample_axis(maps: Tensor, axis: int, positions: Tensor) -> Tensor:
    """Linear interpolation along one axis at fractional positions (on the CPU, float64), edges replicated."""
    positions = positions.clamp(0, maps.shape[axis] - 1)
    lower = positions.floor().long()
    upper = (lower + 1).clamp_max(maps.shape[axis] - 1)
    weight = (positions - lower).to(maps.dtype).to(maps.device)  # not every device knows float64
    first, second = (maps.index_select(axis, cells.to(maps.device)) for cells in (lower, upper))
    return first.lerp_(second, weight[:, None] if axis == 0 else weight)


class MLNetImageProcessor(TorchvisionBackend):
    """Turns pictures into network input and saliency maps back into the pictures' own sizes.

    A picture is fitted into the canvas `size` and centred on black, as in the release; with `do_resize=False` it keeps
    its size and is centred on the next multiples of 32. The statistics belong to the checkpoint: the defaults are the
    release's (RGB, 0..255, minus the ImageNet means).

    Args:
        antialias: Whether shrinking averages over the pixels it skips. The release does not.
        tone_curve: Exponent and toe of the curve that `post_process_saliency` puts on a map: its values p, fractions
            of its maximum, become p^exponent * p / (p + toe). `None`, as in the release, leaves them.
    """

    valid_kwargs = MLNetImageProcessorKwargs
    model_input_names = ["pixel_values", "labels"]
    do_convert_rgb = True
    do_resize = True
    size: Any = {"height": 480, "width": 640}  # a SizeDict once it is built
    default_to_square = False
    resample = Image.Resampling.BILINEAR
    antialias = False
    tone_curve: Sequence[float] | None = None
    do_rescale = False
    rescale_factor = 1 / 255
    do_normalize = True
    image_mean = [123.68, 116.779, 103.939]
    image_std = [1.0, 1.0, 1.0]

    def __init__(self, **kwargs: Unpack[MLNetImageProcessorKwargs]):
        valid = self.valid_kwargs.__annotations__
        for key in kwargs:  # the rest of a preprocessor_config.json is not like any of them
            nearest = nearest_name(key, valid, cutoff=0.75)
            if key not in valid and nearest:
                raise ValueError(f"MLNetImageProcessor has no key {key!r}; the nearest valid key is {nearest!r}")
        super().__init__(**kwargs)
        self._check_size(self.size)
        check_tone_curve(self.tone_curve)

    @staticmethod
    def _check_size(size: SizeDict) -> None:
        sides = (size.height, size.width)
        if any(not side or side < SIZE_DIVISOR or side % STRIDE for side in sides):
            raise ValueError(
                f"size must hold a height and a width, multiples of {STRIDE} of at least {SIZE_DIVISOR}, got {size}"
            )

    def preprocess(
        self,
        images: ImageInput | str | PathLike | list,
        saliency_maps: ImageInput | str | PathLike | list | None = None,
        **kwargs: Unpack[MLNetImageProcessorKwargs],
    ) -> BatchFeature:
        """Prepares pictures, and saliency maps for training, for the model.

        Args:
            images: One picture or a list, mixed at will: paths, http(s) addresses, PIL images, arrays
                `(height, width[, 1 | 3 | 4])` and tensors `([1 | 3 | 4, ]height, width)`; values in 0..255 (uint8,
                float), 0..1 (float) or 0..65535 (16-bit). EXIF rotation is applied.
            saliency_maps: One grey map per picture, of the same kinds; any size with the picture's aspect ratio.

        Returns:
            `pixel_values` `(batch, 3, height, width)`, and `labels` `(batch, height/8, width/8)` in 0..1 if
            `saliency_maps` are given; lists of tensors without `return_tensors`.

        Raises:
            ValueError: If an item cannot be read, naming the item and the reason, or if the numbers of pictures and
                maps differ.
            TypeError: For an unknown keyword.
        """
        return super().preprocess(images, saliency_maps, **kwargs)

    def _preprocess_image_like_inputs(
        self,
        images: Any,
        saliency_maps: Any,
        size: SizeDict,
        do_resize: bool,
        do_rescale: bool,
        rescale_factor: float,
        do_normalize: bool,
        image_mean: Any,
        image_std: Any,
        resample: Any,
        antialias: bool,
        input_data_format: str | ChannelDimension | None = None,
        return_tensors: str | TensorType | None = None,
        device: Any = None,
        **kwargs,
    ) -> BatchFeature:
        self._check_size(size)
        pictures = self._load_items(images, "image", input_data_format, device)
        canvases = [self._canvas(picture, size, do_resize) for picture in pictures]
        letterbox = {"do_resize": do_resize, "resample": resample, "antialias": antialias}
        data: dict[str, list[Tensor]] = {"pixel_values": []}
        for picture, canvas in zip(pictures, canvases, strict=True):
            pixels = self._letterbox(picture, canvas, **letterbox)
            normalized = self.rescale_and_normalize(
                pixels, do_rescale, rescale_factor, do_normalize, image_mean, image_std
            )
            data["pixel_values"].append(normalized.to(torch.float32))
        if saliency_maps is not None:
            maps = self._load_items(saliency_maps, "saliency map", None, device)
            if len(maps) != len(pictures):
                raise ValueError(f"got {len(pictures)} images but {len(maps)} saliency maps")
            data["labels"] = []
            for grey, picture, canvas in zip(maps, pictures, canvases, strict=True):
                if do_resize:
                    label = self._letterbox(grey, (canvas[0] // STRIDE, canvas[1] // STRIDE), **letterbox)
                else:  # the picture stands on the canvas in its own size, and so does its map
                    target = SizeDict(height=picture.shape[1], width=picture.shape[2])
                    grey = self.resize(grey.to(torch.float32), target, resample=resample, antialias=antialias)
                    label = F.avg_pool2d(self._letterbox(grey, canvas, **letterbox), STRIDE)
                data["labels"].append(label[0] / 255)
        if return_tensors is not None and len(set(canvases)) > 1:
            raise ValueError(f"pictures of different canvases cannot be stacked, got {sorted(set(canvases))}")
        return BatchFeature(data=data, tensor_type=return_tensors)

    @staticmethod
    def _load_items(items: Any, kind: str, input_data_format: Any, device: Any) -> list[Tensor]:
        if is_image(items) and getattr(items, "ndim", 0) < 4:
            items = [items]
        tensors = []
        for index, item in enumerate(items):
            try:
                values = read_image(item, input_data_format) if kind == "image" else read_grey(item)[..., None]
                tensors.append(torch.from_numpy(values.transpose(2, 0, 1).copy()).to(device))
            except ValueError as error:
                raise ValueError(f"{kind} {index}: {error}") from error
        return tensors

    @staticmethod
    def _canvas(picture: Tensor, size: SizeDict, do_resize: bool) -> tuple[int, int]:
        if do_resize:
            return size.height, size.width
        height, width = (-(-side // SIZE_DIVISOR) * SIZE_DIVISOR for side in picture.shape[-2:])
        return height, width

    def _letterbox(
        self, picture: Tensor, canvas: tuple[int, int], do_resize: bool, resample: Any, antialias: bool
    ) -> Tensor:
        """Fits a picture `(channels, height, width)` into the canvas and centres it on zeros (paper's release)."""
        height, width = picture.shape[-2:]
        if do_resize:
            height, width = letterbox_size(height, width, canvas)
            if picture.dtype == torch.uint8 and not antialias and resample in (None, Image.Resampling.BILINEAR):
                resized = resize_like_opencv(picture.cpu().numpy(), height, width)
                picture = torch.from_numpy(resized).to(picture.device)
            else:  # bytes stay bytes, rounded as Pillow does
                target = SizeDict(height=height, width=width)
                picture = self.resize(picture, target, resample=resample, antialias=antialias)
        top, left = (canvas[0] - height) // 2, (canvas[1] - width) // 2
        if (height, width) != canvas:
            picture = tvF.pad(picture, [left, top, canvas[1] - width - left, canvas[0] - height - top])
        return picture.contiguous()  # what follows takes four times as long with channels last

    def post_process_saliency(
        self,
        outputs: Any,
        target_sizes: Iterable[tuple[int, int]] | Tensor | None = None,
        do_resize: bool | None = None,
    ) -> list[Tensor]:
        """Brings maps back to the pictures' own sizes: `tone_curve`, the inverse of the letterbox, a maximum of 1.

        Args:
            outputs: `MLNetOutput`, or its `saliency_map` `(batch, height/8, width/8)`.
            target_sizes: `(height, width)` in pixels of each upright picture; `None` keeps the maps' own size.
            do_resize: As it was when the pictures were prepared; `None` takes the processor's own.

        Returns:
            For every picture a float32 map `(height, width)` in 0..1 whose maximum is 1 (all 0 where nothing was
            predicted).

        Raises:
            ValueError: If there is not one size per map.
        """
        maps = outputs if isinstance(outputs, Tensor) else outputs.saliency_map
        maps = maps.detach().to(torch.float32)
        if target_sizes is None:
            sizes = [tuple(one.shape) for one in maps]
        else:
            sizes = [(int(height), int(width)) for height, width in target_sizes]
        if len(sizes) != len(maps):
            raise ValueError(f"target_sizes must have one (height, width) per map: got {len(sizes)} for {len(maps)}")
        results = []
        for one, size in zip(maps, sizes, strict=True):
            one = put_tone_curve(one, self.tone_curve)
            if target_sizes is not None:
                one = self.invert_letterbox(one, size, do_resize)
            results.append(divide_by_maximum(one))
        return results

    def invert_letterbox(self, values: Tensor, target_size: tuple[int, int], do_resize: bool | None = None) -> Tensor:
        """Brings anything that lies on the map's grid to a picture's own size.

        It is bilinearly enlarged until it covers the picture and cut to it around the centre, with the release's
        integer rounding. That rounding would shift pictures smaller than the map by whole cells: for these the
        letterbox is inverted at its exact positions.

        Args:
            values: `(height/8, width/8)`, of any scale, which it keeps.
            target_size: `(height, width)` in pixels of the upright picture.
            do_resize: As it was when the picture was prepared; `None` takes the processor's own.

        Returns:
            Values `(height, width)`.
        """
        do_resize = self.do_resize if do_resize is None else do_resize
        cells = (values.shape[0], values.shape[1])
        rows, columns = map(torch.from_numpy, inverse_positions(target_size, cells, do_resize))
        # rows last: whole rows are copied faster than columns
        return _sample_axis(_sample_axis(values, 1, columns), 0, rows)


__all__ = ["MLNetImageProcessor"]
