"""What does a GPU make of the training of VGG-16? Images a second, memory and the share of the card's matrix rate.

`recipes/release.yaml` and `recipes/modern.yaml` train from random weights on the training images of SALICON, from
their files, in the precisions below. The rate is that of the steps after the first 100, when compiled parts are there
and the loader runs; its operations are those of the network's two passes, over those of a large matrix product in the
same precision, measured in the same run.

    python benchmarks/training_gpu.py SALICON_DIR [--steps 300] [--workers 8] [--output training_gpu.json]
"""

import argparse
import gc
import json
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import torch
import yaml
from inference import take_turns
from torch.utils.flop_counter import FlopCounterMode
from training import Clock
from transformers.trainer import DEFAULT_CALLBACKS

from modeling_mlnet import MLNetConfig, MLNetImageProcessor, MLNetModel
from modeling_mlnet.training.arguments import DataArguments
from modeling_mlnet.training.run import train

RECIPES = Path(__file__).parent.parent / "recipes"
FAST = ["--bf16", "true", "--channels_last", "true"]
RUNS: dict[str, tuple[str, list[str]]] = {
    "release.yaml": ("release", []),
    "release.yaml, bf16, channels_last": ("release", FAST),
    "modern.yaml, bf16, channels_last": ("modern", FAST),
    "modern.yaml, bf16, channels_last, torch_compile": ("modern", [*FAST, "--torch_compile", "true"]),
}
WARM = 100  # steps that do not count
SIDE = 8192  # of the matrices


class GPUClock(Clock):
    """When each step of the last run ended on the GPU, and how many bytes it took at most."""

    def on_train_begin(self, *args, **kwargs):
        self.ends.clear()

    def on_step_end(self, *args, **kwargs):
        torch.cuda.synchronize()
        super().on_step_end(*args, **kwargs)

    def on_train_end(self, *args, **kwargs):
        self.memory = torch.cuda.max_memory_allocated()


def matrix_rate(dtype: torch.dtype) -> float:
    """Operations a second of a large matrix product; float32 as convolutions compute it, in TF32."""
    left, right = (torch.randn(SIDE, SIDE, device="cuda", dtype=dtype) for _ in range(2))
    allowed = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32

    def multiply() -> None:
        left @ right
        torch.cuda.synchronize()

    seconds = median(take_turns({"product": multiply}, 0.1)["product"])
    torch.backends.cuda.matmul.allow_tf32 = allowed
    return 2 * SIDE**3 / seconds


def operations(config: MLNetConfig, height: int, width: int) -> int:
    """Of one image's forward and backward pass."""
    with torch.device("meta"):
        model = MLNetModel(config)
        pixel_values, labels = torch.zeros(1, 3, height, width), torch.zeros(1, height // 8, width // 8)
    with FlopCounterMode(display=False) as counter:
        model(pixel_values, labels).loss.backward()
    return counter.get_total_flops()


def measure(
    recipe: str, words: list[str], salicon: Path, steps: int, workers: int, folder: Path, clock: GPUClock
) -> dict[str, Any]:
    """One run."""
    keys = yaml.safe_load((RECIPES / f"{recipe}.yaml").read_text(encoding="utf-8"))
    keys.pop("validation_datasets")  # the part at hand may have none
    keys.pop("early_stopping_patience", None)
    keys |= {"datasets": [f"salicon:{salicon}"], "held_out": 0.02, "output_dir": str(folder / "run")}
    keys |= {"max_steps": steps, "eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}
    keys |= {
        "dataloader_num_workers": workers,
        "dataloader_drop_last": True,
        "disable_tqdm": True,
        "report_to": "none",
    }
    config = MLNetConfig(**keys["config"])
    torch.manual_seed(2016)
    MLNetModel(config).save_pretrained(folder / "start")
    MLNetImageProcessor().save_pretrained(folder / "start")
    keys["model"] = str(folder / "start")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(keys), encoding="utf-8")
    gc.collect()  # the run before
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    train(folder / "recipe.yaml", words)
    seconds = (clock.ends[-1] - clock.ends[WARM - 1]) / (steps - WARM)
    history = json.loads((folder / "run" / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    losses = [entry["loss"] for entry in history if "loss" in entry]
    sizes = DataArguments(canvas_sizes=keys.get("canvas_sizes", [])).sizes() or [config.image_size]
    batch = keys["per_device_train_batch_size"]
    needed = batch * sum(operations(config, *size) for size in sizes) / len(sizes)  # canvases are drawn alike often
    rate = matrix_rate(torch.bfloat16 if "--bf16" in words else torch.float32)
    return {
        "pictures_a_second": round(batch / seconds, 1),
        "seconds_a_step": round(seconds, 4),
        "memory_GiB": round(clock.memory / 2**30, 2),
        "matrix_TFLOPs": round(rate / 1e12),
        "share_of_matrix_rate": round(needed / seconds / rate, 3),
        "first_and_last_loss": [round(losses[0], 4), round(losses[-1], 4)],
    }


def main() -> None:
    """Prints a line per run and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("salicon", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    if arguments.steps <= WARM:
        parser.error(f"--steps must be more than the {WARM} that do not count, got {arguments.steps}")
    clock = GPUClock()
    DEFAULT_CALLBACKS.append(clock)
    machine = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "workers": arguments.workers}
    results = {}
    for name, (recipe, words) in RUNS.items():
        with tempfile.TemporaryDirectory() as folder:
            results[name] = measure(
                recipe, words, arguments.salicon.absolute(), arguments.steps, arguments.workers, Path(folder), clock
            )
        print(f"{name}: {results[name]}", flush=True)
        if arguments.output:
            written = {"machine": machine, "steps": arguments.steps, "runs": results}
            arguments.output.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
