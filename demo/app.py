"""The Space: serves the page of mlnet-saliency with the checkpoint that MODEL_ID names."""

import os
from pathlib import Path

from modeling_mlnet.demo import launch

if __name__ == "__main__":
    launch(os.environ.get("MODEL_ID") or "mini", examples=Path(__file__).parent / "examples")
