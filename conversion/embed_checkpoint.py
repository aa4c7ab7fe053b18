"""Puts a trained checkpoint into the package: half-precision weights, used in float32, and its sum in the manifest.

python conversion/embed_checkpoint.py runs/mini mlnet-mini
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch

from modeling_mlnet import MLNetImageProcessor, MLNetModel
from modeling_mlnet.hub.registry import CALIBRATION, sha256

ROOT = Path(__file__).parent.parent


def embed(run: Path, name: str) -> str:
    """Writes config.json, model.safetensors and preprocessor_config.json of the checkpoint `name`; the card stays.

    A calibration goes, as it was fitted for other weights: `mlnet calibrate --model NAME` makes a new one.

    Args:
        run: `output_dir` of the training.
        name: In hubconfig.json.

    Returns:
        The sha256 of model.safetensors.
    """
    manifest_path = ROOT / "hubconfig.json"
    manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    if manifest["checkpoints"].get(name, {}).get("path") is None:
        raise ValueError(f"hubconfig.json has no checkpoint {name!r} with a path in the package")
    folder = ROOT / "modeling_mlnet" / manifest["checkpoints"][name]["path"]
    model = MLNetModel.from_pretrained(run, dtype=torch.float32).half()
    with tempfile.TemporaryDirectory() as temporary:
        model.save_pretrained(temporary)
        MLNetImageProcessor.from_pretrained(run).save_pretrained(temporary)
        # from_pretrained makes float32 of the stored halves because the configuration says so
        config_path = Path(temporary) / "config.json"
        written = json.loads(config_path.read_text(encoding="utf-8")) | {"dtype": "float32"}
        config_path.write_text(json.dumps(written, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CALIBRATION).unlink(missing_ok=True)
        for path in sorted(Path(temporary).iterdir()):
            shutil.copyfile(path, folder / path.name)
    digest = sha256(folder / "model.safetensors")
    manifest["checkpoints"][name] |= {
        "sha256": digest,
        "backbone": model.config.backbone,
        "parameters": model.num_parameters(),
    }
    manifest_path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return digest


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Put a trained checkpoint into the package.")
    parser.add_argument("run", type=Path, help="output_dir of mlnet train")
    parser.add_argument("name", help="name in hubconfig.json")
    arguments = parser.parse_args()
    try:
        print(f"{arguments.name}: sha256 {embed(arguments.run, arguments.name)}")
    except (ValueError, OSError) as error:
        print(f"embed_checkpoint: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
