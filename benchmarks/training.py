"""What does training cost beyond the network? Loader, Trainer and memory, each beside its reference in the same run.

Per network: a step of a bare PyTorch loop on tensors in memory, the same step on images read, augmented and
letterboxed by a worker process, and the Trainer's step on the tensors. Blocks of steps alternate, and the best block
counts. Then the memory of the Trainer over 1,000 steps on a small canvas, with files.

    python benchmarks/training.py NAME:DIR [--output training.json] [--networks mini,vgg16] [--memory-steps 1000]
"""

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import TrainerCallback
from transformers.trainer_utils import set_seed

from modeling_mlnet import MINI, MLNetConfig, MLNetImageProcessor, MLNetModel, MLNetTrainer, MLNetTrainingArguments
from modeling_mlnet.cli.memory import keep_memory
from modeling_mlnet.data import load
from modeling_mlnet.training.arguments import DataArguments
from modeling_mlnet.training.augmentation import Augment, Collator

NETWORKS = {  # configuration, batch size, steps of a block
    "mini": (MLNetConfig.from_pretrained(MINI), 10, 10),
    "vgg16": (MLNetConfig(loss="kl_cc"), 2, 3),
}
BLOCKS = 3


class Tensors(torch.utils.data.Dataset):
    """Collated images in memory, as rows."""

    def __init__(self, batches: list[dict[str, Any]], length: int):
        self.rows = [
            {"pixel_values": x, "labels": y}
            for batch in batches
            for x, y in zip(batch["pixel_values"], batch["labels"], strict=True)
        ]
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return self.rows[index % len(self.rows)]


class Clock(TrainerCallback):
    """When the first and the last step of a run ended."""

    def __init__(self):
        self.ends = []

    def on_step_end(self, *args, **kwargs):
        self.ends.append(time.perf_counter())


def bare_seconds(model: MLNetModel, batches: Iterable[dict[str, Any]], steps: int) -> float:
    """Seconds per step of a plain loop, without its first step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    model.train()
    start = 0.0
    for step, batch in enumerate(islice(batches, steps + 1)):
        if step == 1:
            start = time.perf_counter()
        loss = model(pixel_values=batch["pixel_values"], labels=batch["labels"]).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # as the Trainer, which looks at every loss
    return (time.perf_counter() - start) / steps


def trainer_seconds(model: MLNetModel, rows: Tensors, batch: int, steps: int) -> float:
    """Seconds per step of the Trainer, without its first step."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = MLNetTrainingArguments(
            output_dir=folder,
            max_steps=steps + 1,
            per_device_train_batch_size=batch,
            learning_rate=1e-5,
            save_strategy="no",
            logging_steps=10**6,
            disable_tqdm=True,
            use_cpu=True,
        )
        MLNetTrainer(model, arguments, train_dataset=rows, callbacks=[clock]).train()
    return (clock.ends[-1] - clock.ends[0]) / steps


def time_network(name: str, dataset: str) -> dict[str, Any]:
    """Seconds per step, best of the blocks."""
    config, batch, steps = NETWORKS[name]
    set_seed(0)
    model = MLNetModel(config)
    height, width = config.image_size
    collator = Collator(MLNetImageProcessor(size={"height": height, "width": width}, antialias=True))
    augment = Augment(DataArguments(horizontal_flip=True, random_crop=0.25, color_jitter=0.1), (height, width))
    rows = load(dataset).with_transform(augment)
    in_memory = [collator([rows[k * batch + i] for i in range(batch)]) for k in range(2)]
    tensors = Tensors(in_memory, batch * (steps + 1))

    def from_files() -> Iterator[dict[str, Any]]:
        loader = DataLoader(rows, batch, shuffle=True, collate_fn=collator, num_workers=1, prefetch_factor=4)
        while True:
            yield from loader

    best: dict[str, float] = {}
    for _ in range(BLOCKS):
        result = {
            "memory": bare_seconds(model, cycle(in_memory), steps),
            "files": bare_seconds(model, from_files(), steps),
            "trainer": trainer_seconds(model, tensors, batch, steps),
        }
        best = {key: min(value, best.get(key, value)) for key, value in result.items()}
    ratios = {f"{key}_ratio": best[key] / best["memory"] for key in ("files", "trainer")}
    return {"backbone": config.backbone, "batch": batch, "canvas": [height, width], **best, **ratios}


def memory(dataset: str, steps: int) -> dict[str, float]:
    """Resident MiB of this process after a tenth of the steps and after all of them."""
    sizes: dict[str, float] = {}

    class Watch(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step in (steps // 10, steps):
                pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
                sizes[str(state.global_step)] = pages * resource.getpagesize() / 2**20

    model = MLNetModel(MLNetConfig.from_pretrained(MINI, image_size=(96, 128)))
    collator = Collator(MLNetImageProcessor(size={"height": 96, "width": 128}, antialias=True))
    augment = Augment(DataArguments(horizontal_flip=True, random_crop=0.25, color_jitter=0.1), (96, 128))
    with tempfile.TemporaryDirectory() as folder:
        arguments = MLNetTrainingArguments(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=4,
            save_strategy="no",
            logging_steps=10,
            disable_tqdm=True,
            use_cpu=True,
            dataloader_num_workers=1,
        )
        rows = load(dataset).with_transform(augment)
        MLNetTrainer(model, arguments, collator, train_dataset=rows, callbacks=[Watch()]).train()
    return sizes


def main() -> None:
    """Prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", help="NAME:DIR of a data set with files")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--networks", default="mini,vgg16")
    parser.add_argument("--memory-steps", type=int, default=1000)
    arguments = parser.parse_args()
    keep_memory()  # as `mlnet train` does
    results: dict[str, Any] = {
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "torch": torch.__version__,
        "data": arguments.dataset.partition(":")[0],
    }
    for name in arguments.networks.split(","):
        item = results[name] = time_network(name, arguments.dataset)
        print(
            f"{name:6} in memory {item['memory']:.2f} s a step, from files {item['files']:.2f} "
            f"({item['files_ratio']:.2f}x), Trainer {item['trainer']:.2f} ({item['trainer_ratio']:.2f}x)",
            flush=True,
        )
    results["memory_mib"] = memory(arguments.dataset, arguments.memory_steps)
    print("memory", ", ".join(f"{size:.0f} MiB after {step} steps" for step, size in results["memory_mib"].items()))
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
