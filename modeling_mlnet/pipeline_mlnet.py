"""The `saliency-prediction` pipeline: an image in, a saliency map out."""

from importlib import import_module
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers.pipelines.base import Pipeline

from .images_mlnet import ImageSource, is_image, read_image


class SaliencyPredictionPipeline(Pipeline):
    """Predicts where people look in images.

    Calling it with an image (a path, an http(s) address, bytes, a PIL image, an array or a tensor) returns a
    dictionary, with a list of images a list of dictionaries:

    - `saliency_map`: float32 tensor `(height, width)` in 0..1 at the image's own size, its maximum being 1;
    - `heatmap`: the same as a grey PIL image.

    The network runs as in `modeling_mlnet.SaliencyPredictor`, with the same results; where the package
    mlnet-saliency is not installed, PyTorch runs it.

    Args of the call:
        apply_prior: `False` gives the map before the learned prior.
        recording: The kind of recording whose ground truth is predicted, one of `model.config.recordings`; the first
            by default.
    """

    _load_processor = False
    _load_image_processor = True
    _load_feature_extractor = False
    _load_video_processor = False
    _load_tokenizer = False

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._predictor = None
        try:
            predictor_class = import_module("modeling_mlnet").SaliencyPredictor
        except (ImportError, AttributeError):  # without the package, the name may be that of the model's file
            return
        dtype = str(self.model.dtype).removeprefix("torch.")
        self._predictor = predictor_class(self.model, self.image_processor, str(self.device), dtype)

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """As described above; for generators, data sets and their columns an iterator of dictionaries."""
        if isinstance(inputs, tuple):
            inputs = list(inputs)
        elif not isinstance(inputs, list) and not is_image(inputs):
            inputs = (image for image in inputs)  # transformers would treat a column or another iterator as one image
        return super().__call__(inputs, **kwargs)

    def _sanitize_parameters(self, **kwargs: Any) -> tuple[dict, dict, dict]:
        for name in kwargs:
            if name not in ("apply_prior", "recording"):
                raise TypeError(f"the saliency-prediction pipeline has no parameter {name!r}")
        return {}, kwargs, {}

    def preprocess(self, image: ImageSource) -> dict[str, Any]:
        """Reads and letterboxes an image."""
        array = read_image(image, allow_urls=True)  # as every pipeline of transformers
        inputs = self.image_processor(array, input_data_format="channels_last", return_tensors="pt")
        return {"pixel_values": inputs["pixel_values"], "target_size": array.shape[:2]}

    def _forward(self, model_inputs: dict[str, Any], **options: Any) -> dict[str, Any]:
        pixel_values = model_inputs["pixel_values"]
        if self._predictor is None:
            maps = self.model(pixel_values=pixel_values.to(self.model.dtype), **options).saliency_map
        else:
            network = self._predictor.network
            maps = torch.from_numpy(np.stack([network(image, **options) for image in pixel_values.cpu().numpy()]))
        return {"saliency_map": maps, "target_size": model_inputs["target_size"]}

    def postprocess(self, model_outputs: dict[str, Any]) -> dict[str, Any]:
        """Brings the map back to the image's size."""
        size = model_outputs["target_size"]
        size = size[0] if isinstance(size[0], (tuple, list)) else size
        [saliency_map] = self.image_processor.post_process_saliency(model_outputs["saliency_map"].cpu(), [size])
        heatmap = Image.fromarray((saliency_map * 255).round().byte().numpy())
        return {"saliency_map": saliency_map, "heatmap": heatmap}


__all__ = ["SaliencyPredictionPipeline"]
