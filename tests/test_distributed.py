"""Two processes on the CPU train, score and read like one."""

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import torch
import yaml
from layouts import write_folder, write_image
from ports import free_port
from run_folders import same_weights, wait_for_checkpoint

from modeling_mlnet.training.checkpoints import read_state
from modeling_mlnet.training.run import train

LAUNCHERS = {
    "torchrun": "torch.distributed.run --standalone --nproc_per_node 2 --max-restarts 3",
    "accelerate": "accelerate.commands.accelerate_cli launch --multi_gpu --num_processes 2 --num_machines 1 "
    "--mixed_precision no --dynamo_backend no --main_process_port PORT",
}


@pytest.fixture
def long_recipe(recipe, tmp_path):
    """20 steps of batches of 4 without dropout; 37 pictures, 9 of them held out."""
    keys = yaml.safe_load(recipe.read_text())
    keys |= {
        "datasets": [f"folder:{write_folder(tmp_path / 'more', count=37)}"],
        "config": {"dropout": 0.0},
        "held_out": 0.3,
        "random_crop": 0.5,
        "optim": "sgd",  # Adam makes steps of equal size out of rounding errors
        "learning_rate": 0.0003,  # at larger ones rounding errors grow from step to step
        "max_steps": 20,
        "dataloader_drop_last": True,  # several processes fill up a last, smaller batch with pictures of the first
        "logging_steps": 1,
        "eval_strategy": "no",
        "save_strategy": "no",
        "load_best_model_at_end": False,
        "per_device_eval_batch_size": 2,
    }
    recipe.write_text(json.dumps(keys))
    return recipe


def losses(run: Path) -> list[float]:
    history = json.loads((run / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in history if "loss" in entry]


def start_two(launcher: str, *words: str) -> subprocess.Popen[str]:
    """Starts `mlnet` in two processes."""
    launch = LAUNCHERS[launcher].replace("PORT", str(free_port())).split()
    command = [sys.executable, "-m", *launch, "-m", "modeling_mlnet.cli", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def end_two(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Waits for the end; what the processes printed and said."""
    printed, said = process.communicate(timeout=600)
    assert process.returncode == 0, said[-3000:]
    return printed, said


def run_two(launcher: str, *words: str) -> tuple[str, str]:
    """`mlnet` in two processes; what they printed and said."""
    return end_two(start_two(launcher, *words))


def train_two(launcher: str, recipe: Path, *words: str) -> str:
    """`mlnet train` with half the batch for each process; what they print."""
    half = ["--per_device_train_batch_size", "2", "--ddp_backend", "gloo"]
    return run_two(launcher, "train", str(recipe), *words, *half)[0]


@contextmanager
def one_thread():
    """As many as each of the two processes has, for the same sums to the last bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_two_processes_train_like_one_with_the_same_global_batch(long_recipe, tmp_path):
    item, two = tmp_path / "one", tmp_path / "two"
    with one_thread():
        train(long_recipe, ["--output_dir", str(item)])
    printed = train_two("torchrun", long_recipe, "--output_dir", str(two))
    assert printed.count("CC ") == 1  # one process speaks
    assert len(losses(two)) == 20
    assert losses(two) == pytest.approx(losses(item), abs=1e-4)


def test_two_processes_of_accelerate_score_every_picture_once(long_recipe, tmp_path):
    still = ["--learning_rate", "0", "--backbone_learning_rate", "0", "--max_steps", "1"]
    with one_thread():
        whole = ["--dataloader_drop_last", "false"]
        expected = train(long_recipe, ["--output_dir", str(tmp_path / "one"), *still, *whole])
    printed = train_two("accelerate", long_recipe, "--output_dir", str(tmp_path / "two"), *still)
    assert printed.count("CC ") == 1
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-4)
    result = json.loads((tmp_path / "two" / "eval_results.json").read_text())
    for name in ("CC", "SIM", "KL", "NSS", "AUC"):
        assert result[f"eval_{name}"] == pytest.approx(expected[f"eval_{name}"], abs=1e-5), name


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
def test_a_killed_process_of_two_is_started_again_where_both_were_in_streams_of_different_lengths(recipe, tmp_path):
    words = "--streaming true --max_steps 12 --per_device_train_batch_size 1 --random_crop 0.5 --ddp_backend gloo"
    saving = "--eval_strategy no --save_strategy steps --save_steps 1 --load_best_model_at_end false"
    command = ["torchrun", "train", str(recipe), *words.split(), *saving.split(), "--output_dir"]
    run_two(*command, str(tmp_path / "whole"))
    positions = read_state(tmp_path / "whole" / "checkpoint-12")["stateful_callbacks"]["StreamPositions"]
    epochs = positions["attributes"]["epochs"]
    assert len(epochs) == 2 and int(epochs[0]) != int(epochs[1])  # in different passes
    process = start_two(*command, str(tmp_path / "cut"))
    wait_for_checkpoint(tmp_path / "cut", process, 8)
    worker = next(one for one in psutil.Process(process.pid).children() if one.environ().get("RANK") == "1")
    worker.kill()
    end_two(process)
    assert same_weights(tmp_path / "whole", tmp_path / "cut")


def test_two_processes_predict_every_picture_once(tmp_path, small_checkpoint):
    pictures = [write_image(tmp_path / "in" / f"{index}.jpg") for index in range(5)]
    words = [str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--model", str(small_checkpoint)]
    said = run_two("torchrun", "predict", *words)[1]
    assert sorted(item.name for item in (tmp_path / "out").iterdir()) == [f"{item.stem}.map.png" for item in pictures]
    assert sorted(re.findall(r"(\d) of (\d) images predicted", said)) == [("2", "2"), ("3", "3")]
