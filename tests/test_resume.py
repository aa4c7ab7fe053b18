"""A run that is stopped in any way goes on from its last whole checkpoint, to the same weights."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from run_folders import last_whole_step, same_weights, wait_for_checkpoint
from torch.utils.data import DataLoader

from modeling_mlnet import MLNetModel
from modeling_mlnet.data.files import UnusableError
from modeling_mlnet.training import dataloader_workers
from modeling_mlnet.training.arguments import MLNetTrainingArguments, parse_recipe
from modeling_mlnet.training.checkpoints import checkpoints_of, is_whole, write_error
from modeling_mlnet.training.checks import last_checkpoint
from modeling_mlnet.training.resume import SETTINGS
from modeling_mlnet.training.run import train
from modeling_mlnet.training.trainer import MLNetTrainer

STEPS = [
    "--save_strategy",
    "steps",
    "--save_steps",
    "1",
    "--num_train_epochs",
    "6",
    "--per_device_train_batch_size",
    "2",
    "--random_crop",
    "0.5",
    "--color_jitter",
    "0.2",
    "--dataloader_num_workers",
    "1",
    "--load_best_model_at_end",
    "false",
]


def start(recipe: Path, *words: str) -> subprocess.Popen:
    """`mlnet train` in a process of its own."""
    command = [sys.executable, "-m", "modeling_mlnet.cli", "train", str(recipe), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def full_disk():
    """No file that this process writes gets larger than 1 MiB."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
def test_a_run_stopped_in_every_way_ends_with_the_weights_of_one_that_was_not(recipe, tmp_path):
    train(recipe, ["--output_dir", str(tmp_path / "whole"), *STEPS])
    cut, rng = tmp_path / "cut", np.random.default_rng(2016)
    words = ("--output_dir", str(cut), *STEPS)
    for stop in (signal.SIGKILL, signal.SIGINT):
        before = last_whole_step(cut)  # the run before may have written one after the last that was seen
        process = start(recipe, *words)
        step = wait_for_checkpoint(cut, process, before)
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(stop)
        errors = process.communicate(timeout=120)[1].strip().splitlines()
        assert process.returncode == {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130}[stop]
    assert errors[-1] == "mlnet: stopped; the same command continues from the last checkpoint"
    assert "Traceback" not in "".join(errors)
    with full_disk(), pytest.raises(OSError, match="cannot be written"):
        train(recipe, words)
    assert 0 < step < 18
    train(recipe, words)
    resumed = json.loads((cut / "trainer_state.json").read_text())
    assert resumed["global_step"] == json.loads((tmp_path / "whole/trainer_state.json").read_text())["global_step"]
    assert same_weights(tmp_path / "whole", cut)


def test_a_worker_that_starts_after_its_run_was_killed_ends():
    code = (
        "import os, signal\nfrom torch.utils.data import DataLoader\n"
        "from modeling_mlnet.training.dataloader_workers import exit_with_parent\n"
        "loader = DataLoader([1], num_workers=1, multiprocessing_context='spawn')\n"
        "exit_with_parent(loader)\nworkers = iter(loader)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    run.communicate(timeout=120)  # until the worker, too, has let go of the pipes
    assert run.returncode == -signal.SIGKILL


def test_a_fork_server_s_workers_are_left_to_it():
    loader = DataLoader([1], num_workers=1, multiprocessing_context="forkserver")
    dataloader_workers.exit_with_parent(loader)
    assert loader.worker_init_fn is None and list(loader) == [torch.tensor([1])]


class Refused(Exception):
    """Of no kind that a command makes one line of."""


class Refusing:
    def __init__(self, kind):
        self.kind = kind

    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise self.kind(f"{index}.jpg: is damaged: ValueError: no\nmore")


@pytest.mark.parametrize("kind", [ValueError, UnusableError, OSError, Refused])
def test_a_worker_s_error_is_its_own_message(kind):
    with pytest.raises(Exception) as caught, dataloader_workers.unwrap_worker_errors():
        list(DataLoader(Refusing(kind), num_workers=1))
    if kind is Refused:
        assert "Traceback" in str(caught.value) and caught.type is Refused
    else:
        assert str(caught.value) == "0.jpg: is damaged: ValueError: no\nmore"
        assert caught.type is (OSError if kind is OSError else ValueError)


def test_training_and_evaluation_start_their_workers_so(small_model, tmp_path):
    arguments = MLNetTrainingArguments(str(tmp_path), use_cpu=True, report_to="none")
    rows = Dataset.from_dict({"labels": [0]})
    trainer = MLNetTrainer(small_model, arguments, train_dataset=rows, eval_dataset=rows)
    for prepared in (trainer.get_train_dataloader(), trainer.get_eval_dataloader()):
        loader = getattr(prepared, "base_dataloader", prepared)
        assert loader.worker_init_fn.func is dataloader_workers._start and loader.worker_init_fn.args[0] == os.getpid()


@pytest.mark.parametrize(("workers", "steps"), [("0", (2, 6)), ("2", (6,))])
def test_a_stream_goes_on_in_the_pass_where_it_was(recipe, tmp_path, workers, steps):
    stream = ["--streaming", "true", "--max_steps", "9", "--eval_strategy", "no", "--dataloader_num_workers", workers]
    train(recipe, ["--output_dir", str(tmp_path / "whole"), *STEPS, *stream])
    for step in steps:
        cut = tmp_path / f"cut{step}"
        shutil.copytree(tmp_path / "whole" / f"checkpoint-{step}", cut / f"checkpoint-{step}")
        state = json.loads((cut / f"checkpoint-{step}" / "trainer_state.json").read_text())
        assert (state["epoch"] < 1) == (step == 2)
        if step == 2:  # a Trainer without the callback wrote it
            state["stateful_callbacks"].pop("StreamPositions")
            (cut / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps(state))
        train(recipe, ["--output_dir", str(cut), *STEPS, *stream])
        assert same_weights(tmp_path / "whole", cut)


def test_a_full_disk_at_the_very_end_is_one_line_too(recipe, tmp_path):
    (tmp_path / "run" / ".writing").mkdir(parents=True)
    words = ["--max_steps", "1", "--eval_strategy", "no", "--save_strategy", "no", "--load_best_model_at_end", "false"]
    message = rf"(?s)^{tmp_path}/run: the trained model cannot be written:.* starts anew, as it kept no checkpoints$"
    with full_disk(), pytest.raises(OSError, match=message):
        train(recipe, words)
    assert not (tmp_path / "run" / ".writing").exists() and not (tmp_path / "run" / "model.safetensors").exists()


def test_a_half_written_checkpoint_is_never_picked_up(recipe, tmp_path):
    run = tmp_path / "run"
    for step, state in ((2, "{}"), (10, '{"global_step": 1'), (11, None)):
        (run / f"checkpoint-{step}").mkdir(parents=True)
        if state is not None:
            (run / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    (run / "checkpoint-notes").mkdir()
    arguments = parse_recipe(recipe)[2]
    assert last_checkpoint(arguments) == str(run / "checkpoint-2")
    assert sorted(one.name for one in run.iterdir()) == ["checkpoint-2", "checkpoint-notes"]


def test_a_checkpoint_whose_random_state_is_cut_off_is_not_whole(tmp_path):
    (tmp_path / "trainer_state.json").write_text("{}")
    assert is_whole(tmp_path)  # without random states, as with save_only_model
    torch.save({"cpu": torch.random.get_rng_state()}, tmp_path / "rng_state_1.pth")
    assert is_whole(tmp_path)
    content = (tmp_path / "rng_state_1.pth").read_bytes()
    (tmp_path / "rng_state_1.pth").write_bytes(content[: len(content) // 2])
    assert not is_whole(tmp_path)


def test_a_full_disk_is_one_line_and_leaves_the_best_checkpoint_whole(recipe, tmp_path):
    run = tmp_path / "run"
    words = ("--output_dir", str(run), "--num_train_epochs", "1")
    train(recipe, words)
    best = (run / "checkpoint-2" / "model.safetensors").read_bytes()
    message = rf"(?s)^{run}/checkpoint-4: cannot be written:.* make room and run the same command again"
    with full_disk(), pytest.raises(OSError, match=message):
        train(recipe, ["--output_dir", str(run), "--num_train_epochs", "2"])
    assert [one.name for one in checkpoints_of(run)] == ["checkpoint-2"] and is_whole(run / "checkpoint-2")
    assert (run / "checkpoint-2" / "model.safetensors").read_bytes() == best
    MLNetModel.from_pretrained(run)


def test_early_stopping_goes_on_counting_and_stays_stopped(recipe, tmp_path):
    still = ["--learning_rate", "0", "--backbone_learning_rate", "0", "--num_train_epochs", "6"]
    words = [*still, "--early_stopping_patience", "2"]  # no evaluation is better than the first
    train(recipe, ["--output_dir", str(tmp_path / "whole"), *words])
    ended = [one.name for one in checkpoints_of(tmp_path / "whole")]
    assert [int(name.split("-")[1]) for name in ended] == [2, 4, 6]
    shutil.copytree(tmp_path / "whole" / ended[1], tmp_path / "cut" / ended[1])
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    for name in ("cut", "again"):
        train(recipe, ["--output_dir", str(tmp_path / name), *words])
        assert [one.name for one in checkpoints_of(tmp_path / name)][-1] == ended[-1], name


OTHER_RUNS = [
    (
        ["--seed", "8"],
        "holds a run with seed 7, not 8; give another output_dir, go on all the same with ",
    ),
    (["--seed", "8", "--held_out", "0.5"], r"holds a run with held_out 0\.4, not 0\.5 \(and 1 more\)"),
    (["--datasets", "folder:elsewhere"], r"holds a run with datasets \['folder:data'\], not \['folder:elsewhere'\]"),
    (["--num_train_epochs", "1"], "holds a run beyond num_train_epochs 1, at step 4, epoch 2"),
    (["--max_steps", "3"], "holds a run beyond max_steps 3, at step 4, epoch 2"),
    (["--seed", "8", "--resume_from_checkpoint", "other/checkpoint-2"], "holds a run with seed 7, not 8"),
]


def test_a_folder_is_that_of_one_run_which_may_go_on_longer_and_on_another_machine(recipe, tmp_path, monkeypatch):
    run = tmp_path / "run"
    train(recipe)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    for words, message in OTHER_RUNS:
        with pytest.raises(ValueError, match=message):
            train(recipe, words)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    moved = run.rename(tmp_path / "moved")
    (tmp_path / "other").mkdir()
    (tmp_path / "data").rename(tmp_path / "other" / "data")
    monkeypatch.chdir(tmp_path / "other")
    machine = ["--dataloader_num_workers", "1", "--logging_steps", "1", "--per_device_train_batch_size", "2"]
    length = ["--num_train_epochs", "2.5", "--gradient_accumulation_steps", "2", "--datasets", "data"]
    for _ in range(2):  # the second time there is nothing left to do
        train(recipe, ["--output_dir", str(moved), *machine, *length])
        assert [one.name for one in checkpoints_of(moved)][-1] == "checkpoint-5"
    named = ["--seed", "8", "--resume_from_checkpoint", str(moved / "checkpoint-5")]
    train(recipe, ["--output_dir", str(moved), *machine, *length, *named])
    (moved / SETTINGS).write_text("")
    with pytest.raises(ValueError, match=r"settings\.json: is damaged, remove it to go on"):
        train(recipe, ["--output_dir", str(moved), *machine, *length])


def test_a_disk_that_is_full_is_called_so(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10**9, 10**9, 0))
    assert write_error(tmp_path, ValueError("unexpected pos")) == "the disk is full (unexpected pos)"
    monkeypatch.undo()
    assert write_error(tmp_path / "gone", ValueError("unexpected pos")) == "unexpected pos"
