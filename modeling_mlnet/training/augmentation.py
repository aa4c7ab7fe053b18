"""Random augmentation of training images, which depends on seed, epoch and image id only."""

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torchvision.transforms import v2
from transformers import TrainerCallback

from ..image_processing_mlnet import MLNetImageProcessor
from ..images_mlnet import read_image
from .arguments import DataArguments


def derived_seed(*parts: Any) -> int:
    """A seed of 63 bits computed from the parts: the same in every process and run, in any order of images."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1


class RandomReduction(v2.Transform):
    """Reduces an image to `size` by `size` px and enlarges it again, as SALICON's were for its reduced release.

    Args:
        smallest: Least side in pixels that is drawn.
        largest: Largest one. An image whose sides are smaller stays as it is.
    """

    def __init__(self, smallest: int = 200, largest: int = 400):
        super().__init__()
        self.smallest, self.largest = smallest, largest

    def transform(self, inpt: Image.Image, params: dict[str, Any]) -> Image.Image:
        """The image, in its own size."""
        side = int(torch.randint(self.smallest, self.largest + 1, ()))
        reduced = inpt.resize((min(side, inpt.width), min(side, inpt.height)), Image.Resampling.BICUBIC)
        return reduced.resize(inpt.size, Image.Resampling.BICUBIC)


class Augment:
    """Augments training images, as a transform of a `Dataset` or row by row of a stream.

    The changes of every image are drawn with a seed of its own. So a run that continues in the middle of an epoch, or
    with another number of workers or processes, trains on the same images.

    Args:
        arguments: `horizontal_flip`, `random_crop`, `crop_off_epoch`, `reduction` and `color_jitter`.
        size: Height and width in pixels of the crops after resizing.
        seed: Seed of the run.
    """

    def __init__(self, arguments: DataArguments, size: tuple[int, int], seed: int = 0):
        self.seed = seed
        self.epoch = 0
        ratio = size[1] / size[0]
        crop = v2.RandomResizedCrop(size, scale=(0.5, 1.0), ratio=(0.9 * ratio, 1.1 * ratio))
        strength = arguments.color_jitter
        # Geometric changes apply to image and map alike, changes of colour and sharpness to the image only.
        self.flip = v2.RandomHorizontalFlip(0.5 if arguments.horizontal_flip else 0.0)
        self.crop = v2.RandomApply([crop], arguments.random_crop)
        self.crop_off_epoch = arguments.crop_off_epoch
        self.recolor = v2.ColorJitter(strength, strength, strength)
        self.reduce = v2.RandomApply([RandomReduction()], arguments.reduction)

    def __call__(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Augments `image` and `saliency_map` of a batch of rows."""
        changed = [
            self.change(*row) for row in zip(rows["image"], rows["saliency_map"], rows["image_id"], strict=True)
        ]
        return {
            **rows,
            "image": [image for image, _ in changed],
            "saliency_map": [saliency_map for _, saliency_map in changed],
        }

    def change_row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Augments a single row."""
        image, saliency_map = self.change(row["image"], row["saliency_map"], row["image_id"])
        return {**row, "image": image, "saliency_map": saliency_map}

    def change(self, image: Image.Image, saliency_map: Image.Image, image_id: str) -> tuple[Image.Image, Image.Image]:
        """Augments an image and its saliency map."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(self.seed, self.epoch, image_id))
            image = image if image.mode == "RGB" else Image.fromarray(read_image(image))
            image, saliency_map = self.flip(image, saliency_map)
            image = self.reduce(image)
            if self.crop_off_epoch is None or self.epoch < self.crop_off_epoch:
                image, saliency_map = self.crop(image, saliency_map)
            return self.recolor(image), saliency_map


UNSAID_RECORDING = "eye"  # how gaze was recorded where a data set does not say


class Collator:
    """Collates rows into the input of the model.

    Rows of a validation set have a `row` number, which is kept, and get the canvas of the processor. Other rows keep
    their `image_id`.

    Args:
        image_processor: Letterboxes images and maps.
        canvas_sizes: Heights and widths in pixels, of which one is drawn for every training batch; if empty, the
            canvas of the processor is used.
        seed: Seed of the run.
        recordings: Kinds of recording that the model knows; with them batches hold `recording`, an index for each row.
    """

    def __init__(
        self,
        image_processor: MLNetImageProcessor,
        canvas_sizes: Sequence[tuple[int, int]] = (),
        seed: int = 0,
        recordings: Sequence[str] = (),
    ):
        self.image_processor = image_processor
        self.canvas_sizes = canvas_sizes
        self.seed = seed
        self.recordings = list(recordings)
        self.epoch = 0

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Returns `pixel_values`, `labels`, and `row` or `image_id`."""
        images, saliency_maps, names = ([row[name] for row in rows] for name in ("image", "saliency_map", "image_id"))
        is_training = "row" not in rows[0]
        options: dict[str, Any] = {}
        if is_training and self.canvas_sizes:
            drawn = derived_seed(self.seed, self.epoch, names) % len(self.canvas_sizes)
            options["size"] = dict(zip(("height", "width"), self.canvas_sizes[drawn], strict=True))
        batch = dict(self.image_processor(images, saliency_maps=saliency_maps, return_tensors="pt", **options))
        if self.recordings:
            kinds = [self.recordings.index(row["recording"] or UNSAID_RECORDING) for row in rows]
            batch["recording"] = torch.tensor(kinds)
        if is_training:
            return {**batch, "image_id": names}
        return {**batch, "row": torch.tensor([row["row"] for row in rows])}


class SetEpoch(TrainerCallback):
    """Sets the attribute `epoch` of augmentation and collator before the data loader's workers get a copy of them.

    Epochs are counted here, as for a stream, which has no length, the Trainer's epoch is a fraction of `max_steps`.
    """

    def __init__(self, *listeners: Any):
        self.listeners, self.next = listeners, 0

    def on_train_begin(self, args, state, control, **kwargs):
        """Continues with the epoch of the state."""
        self.next = int(state.epoch or 0)

    def on_epoch_begin(self, args, state, control, **kwargs):
        """Sets the epoch."""
        for listener in self.listeners:
            listener.epoch = self.next
        self.next += 1
