"""Serves the checkpoint beside it on Hugging Face Inference Endpoints, where this file is called `handler.py`."""

import base64
from typing import Any

import torch
from PIL import Image
from transformers import pipeline


class EndpointHandler:
    """Handler that the endpoint's runtime (huggingface-inference-toolkit) creates once and calls for every request.

    Args:
        path: Folder of the repository.
    """

    def __init__(self, path: str = ""):
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.pipeline = pipeline("saliency-prediction", model=path, device=device, trust_remote_code=True)

    def __call__(self, data: dict[str, Any]) -> Image.Image:
        """The saliency map of an image.

        Args:
            data: `inputs` is the image: decoded by the runtime, or from JSON its content in base64. Addresses and
                paths are not opened. `parameters` may hold `apply_prior` and `recording`, as in a call of the
                pipeline.

        Returns:
            The map in 8-bit grey at the image's own size, which the runtime sends as an image or, in JSON, as PNG in
            base64.

        Raises:
            ValueError: If there is no image; the runtime answers with status 400 and the message.
        """
        image = data.get("inputs")
        if isinstance(image, str):
            try:
                image = base64.b64decode("".join(image.split()), validate=True)
            except ValueError:
                raise ValueError("inputs must be an image file in base64; addresses are not fetched") from None
        if not isinstance(image, (bytes, Image.Image)):
            raise ValueError(f"inputs must be one image, got {type(image).__name__}")
        return self.pipeline(image, **(data.get("parameters") or {}))["heatmap"]
