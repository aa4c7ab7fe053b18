"""Do the faster ways to train keep the scores? mlnet-mini trained on by `recipes/teacher.yaml`, once per option.

Every run starts from the embedded weights with the recipe's data, seed and learning rates, ends after the same
number of steps, and is scored on the images that the recipe keeps out. Only the option differs.

    MLNET_DATA=DIR python benchmarks/training_options.py [--output training_options.json] [--steps 84]
"""

import argparse
import json
import platform
import tempfile
from pathlib import Path

import torch

from modeling_mlnet.training.run import train

RECIPE = Path(__file__).parent.parent / "recipes" / "teacher.yaml"
OPTIONS = {
    "float32": [],
    "bf16": ["--bf16", "true"],
    "fp16": ["--fp16", "true"],
    "channels_last": ["--channels_last", "true"],
    "torch_compile": ["--torch_compile", "true"],
    "all three": ["--bf16", "true", "--channels_last", "true", "--torch_compile", "true"],
}


def score(words: list[str], steps: int) -> dict[str, float]:
    """CC of the images kept out and seconds a step, after so many steps with the options."""
    with tempfile.TemporaryDirectory() as folder:
        fixed = ["--model", "mini", "--config", "{}", "--backbone_weights=", "--canvas_sizes", "336x448"]
        fixed += ["--channels_last", "false", "--bf16", "false", "--use_cpu", "true", "--save_strategy", "no"]
        fixed += ["--output_dir", folder, "--max_steps", str(steps), "--disable_tqdm", "true"]
        scores = train(RECIPE, [*fixed, *words])
        state = json.loads((Path(folder) / "trainer_state.json").read_text(encoding="utf-8"))
    seconds = next(row["train_runtime"] for row in state["log_history"] if "train_runtime" in row)
    return {"CC": scores["eval_CC"], "seconds_a_step": seconds / steps}


def main() -> None:
    """Prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--steps", type=int, default=84)
    arguments = parser.parse_args()
    results = {}
    for name, words in OPTIONS.items():
        results[name] = score(words, arguments.steps)
        change = results[name]["CC"] - results["float32"]["CC"]
        print(
            f"{name:14} CC {results[name]['CC']:.4f} ({change:+.4f})  {results[name]['seconds_a_step']:.2f} s a step"
        )
    if arguments.output:
        machine = {"processor": platform.processor() or platform.machine(), "torch": torch.__version__}
        written = {"machine": machine, "steps": arguments.steps, "options": results}
        arguments.output.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
