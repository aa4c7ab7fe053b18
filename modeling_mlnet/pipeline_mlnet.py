"""The `saliency-prediction` pipeline: a picture in, a saliency map out."""

from typing import Any

from PIL import Image
from transformers.pipelines.base import Pipeline

from .images_mlnet import is_image, read_image


class SaliencyPredictionPipeline(Pipeline):
    """Predicts where people look in pictures.

    Calling it with a picture (a path, an http(s) address, a PIL image, an array or a tensor) returns a dictionary,
    with a list of pictures a list of dictionaries:

    - `saliency_map`: float32 tensor `(height, width)` in 0..1 at the picture's own size, its maximum being 1;
    - `heatmap`: the same as a grey PIL image.

    Args of the call:
        apply_prior: `False` gives the map before the learned prior.
    """

    _load_processor = False
    _load_image_processor = True
    _load_feature_extractor = False
    _load_video_processor = False
    _load_tokenizer = False

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """As described above; for generators, data sets and their columns an iterator of dictionaries."""
        if isinstance(inputs, tuple):
            inputs = list(inputs)
        elif not isinstance(inputs, list) and not is_image(inputs):
            inputs = (one for one in inputs)  # transformers takes a column, or any iterator but this, for one picture
        return super().__call__(inputs, **kwargs)

    def _sanitize_parameters(self, apply_prior: bool | None = None, **kwargs: Any) -> tuple[dict, dict, dict]:
        if kwargs:
            raise TypeError(f"the saliency-prediction pipeline has no parameter {next(iter(kwargs))!r}")
        return {}, {} if apply_prior is None else {"apply_prior": apply_prior}, {}

    def preprocess(self, image: Any) -> dict[str, Any]:
        """Reads and letterboxes a picture."""
        picture = read_image(image, allow_urls=True)  # as every pipeline of transformers
        inputs = self.image_processor(picture, return_tensors="pt").to(self.dtype)
        return {"pixel_values": inputs["pixel_values"], "target_size": picture.shape[:2]}

    def _forward(self, model_inputs: dict[str, Any], apply_prior: bool = True) -> dict[str, Any]:
        outputs = self.model(pixel_values=model_inputs["pixel_values"], apply_prior=apply_prior)
        return {"saliency_map": outputs.saliency_map, "target_size": model_inputs["target_size"]}

    def postprocess(self, model_outputs: dict[str, Any]) -> dict[str, Any]:
        """Brings the map back to the picture's size."""
        size = model_outputs["target_size"]
        size = size[0] if isinstance(size[0], (tuple, list)) else size
        [saliency_map] = self.image_processor.post_process_saliency(model_outputs["saliency_map"], [size])
        heatmap = Image.fromarray((saliency_map * 255).round().byte().cpu().numpy())
        return {"saliency_map": saliency_map.cpu(), "heatmap": heatmap}


__all__ = ["SaliencyPredictionPipeline"]
