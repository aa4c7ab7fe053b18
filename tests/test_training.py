import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from layouts import write_folder
from PIL import Image
from safetensors.torch import load_file

from modeling_mlnet import MLNetImageProcessor, MLNetModel, MLNetTrainer, MLNetTrainingArguments
from modeling_mlnet.data import load
from modeling_mlnet.images_mlnet import read_image
from modeling_mlnet.training.arguments import DataArguments, parse_recipe
from modeling_mlnet.training.augmentation import Augment, Collator, RandomReduction, SetEpoch
from modeling_mlnet.training.checks import check_arguments
from modeling_mlnet.training.run import augmented, train

UNSCORED = ["--eval_strategy", "no", "--save_strategy", "no", "--load_best_model_at_end", "false"]
RECIPES = Path(__file__).parent.parent / "recipes"


def test_a_run_writes_a_loadable_best_checkpoint_with_its_processor(trained):
    for name in ("CC", "SIM", "KL", "NSS"):
        assert np.isfinite(trained.scores[f"eval_{name}"])
    state = json.loads((trained.folder / "trainer_state.json").read_text())
    assert trained.scores["eval_CC"] == pytest.approx(state["best_metric"])
    checkpoints = sorted(trained.folder.glob("checkpoint-*"))
    assert len(checkpoints) == 2
    for folder in (trained.folder, *checkpoints):
        assert MLNetModel.from_pretrained(folder).config.backbone == "mobilenetv1_100"
        assert dict(MLNetImageProcessor.from_pretrained(folder).size) == {"height": 64, "width": 96}


def test_the_same_seed_gives_the_same_weights(recipe, trained, tmp_path):
    train(recipe)
    first, again = (MLNetModel.from_pretrained(folder).state_dict() for folder in (trained.folder, tmp_path / "run"))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_training_lowers_the_loss_and_keeps_frozen_statistics(recipe, tmp_path, small_model):
    words = "--num_train_epochs 8 --eval_strategy no --save_strategy no --load_best_model_at_end false"
    train(recipe, [*words.split(), "--logging_steps", "1", "--horizontal_flip", "false"])
    history = json.loads((tmp_path / "run" / "trainer_state.json").read_text())["log_history"]
    losses = [entry["loss"] for entry in history if "loss" in entry]
    assert np.mean(losses[-3:]) < np.mean(losses[:3]) - 0.05
    trained = MLNetModel.from_pretrained(tmp_path / "run").state_dict()
    for name, tensor in small_model.state_dict().items():
        if "running" in name or "num_batches" in name:
            assert torch.equal(tensor, trained[name]), name
        elif name.startswith("encoder"):
            assert not torch.equal(tensor, trained[name]), name


def test_gradient_accumulation_equals_one_big_batch(small_checkpoint, tmp_path):
    rows = load(str(write_folder(tmp_path / "data")))
    image_processor = MLNetImageProcessor.from_pretrained(small_checkpoint)
    moved = []
    for batch, steps in ((8, 1), (2, 4)):
        model = MLNetModel.from_pretrained(small_checkpoint, dropout=0.0)
        start = model.encoder.conv.weight.detach().clone()
        arguments = MLNetTrainingArguments(
            output_dir=str(tmp_path / "run"), per_device_train_batch_size=batch, gradient_accumulation_steps=steps,
            max_steps=1, optim="sgd", learning_rate=0.1, max_grad_norm=0.0, lr_scheduler_type="constant",
            train_sampling_strategy="sequential", freeze_batch_norm=True, use_cpu=True, save_strategy="no",
        )  # fmt: skip
        MLNetTrainer(model, arguments, Collator(image_processor), train_dataset=rows).train()
        moved.append(model.encoder.conv.weight.detach() - start)
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-3, atol=1e-7)


def test_backbone_has_its_own_learning_rate(small_model, tmp_path):
    arguments = MLNetTrainingArguments(
        output_dir=str(tmp_path), learning_rate=0.01, backbone_learning_rate=0.002, optim="sgd", use_cpu=True
    )
    optimizer = MLNetTrainer(small_model, arguments).create_optimizer()
    rates = {id(item): group["lr"] for group in optimizer.param_groups for item in group["params"]}
    for name, parameter in small_model.named_parameters():
        assert rates[id(parameter)] == (0.002 if name.startswith("backbone.") else 0.01), name


def test_release_recipe_decays_the_learning_rate_as_keras_does(small_model, tmp_path, monkeypatch):
    monkeypatch.setenv("SALICON_DIR", str(tmp_path))
    monkeypatch.setenv("MLNET_BACKBONE", "")
    words = ["--output_dir", str(tmp_path), "--use_cpu", "true"]
    model, data, arguments = parse_recipe(RECIPES / "release.yaml", words)
    arguments.eval_strategy = "no"
    assert model.config == {"pooling": "valid"} and data.datasets == [f"salicon:{tmp_path}"]
    assert (arguments.per_device_train_batch_size, arguments.num_train_epochs) == (10, 20)
    assert (arguments.early_stopping_patience, arguments.weight_decay) == (5, 0)
    trainer = MLNetTrainer(small_model, arguments)
    optimizer = trainer.create_optimizer()
    assert isinstance(optimizer, torch.optim.SGD)
    assert optimizer.defaults["momentum"] == 0.9 and optimizer.defaults["nesterov"] is True
    scheduler = trainer.create_scheduler(100, optimizer)
    for step in range(20):
        assert scheduler.get_last_lr()[0] == pytest.approx(1e-3 / (1 + 5e-4 * step))
        optimizer.step()
        scheduler.step()


def test_mirroring_turns_picture_and_map_together():
    torch.manual_seed(0)
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    augment = Augment(DataArguments(horizontal_flip=True), (32, 32))
    rows = augment({"image": [image] * 40, "saliency_map": [image] * 40, "image_id": list(map(str, range(40)))})
    mirrored = 0
    for item, saliency_map in zip(rows["image"], rows["saliency_map"], strict=True):
        assert np.array_equal(np.asarray(item)[..., 0], np.asarray(saliency_map))
        first_row = np.asarray(saliency_map)[0].tolist()
        assert first_row in ([0, 1, 2, 3], [3, 2, 1, 0])
        mirrored += first_row[0] == 3
    assert 4 < mirrored < 36


def test_crops_are_the_same_for_picture_and_map_and_colours_change_the_picture_only():
    torch.manual_seed(0)
    noise = np.random.default_rng(0).integers(60, 200, size=(6, 8), dtype=np.uint8)
    image = Image.fromarray(noise).resize((80, 60), Image.Resampling.BICUBIC)
    crop = Augment(DataArguments(random_crop=1.0), (30, 40))
    jitter = Augment(DataArguments(color_jitter=0.5), (30, 40))
    for name in range(10):
        row = {"image": [image], "saliency_map": [image], "image_id": [str(name)]}
        rows = crop(row)
        assert rows["saliency_map"][0].size == (40, 30)
        assert np.array_equal(np.asarray(rows["image"][0])[..., 0], np.asarray(rows["saliency_map"][0]))
        rows = jitter(row)
        assert rows["saliency_map"][0].tobytes() == image.tobytes()
        assert np.asarray(rows["image"][0])[..., 0].tobytes() != image.tobytes()


def test_whole_pictures_from_an_epoch_on():
    image = Image.effect_noise((80, 60), 50)
    augment = Augment(DataArguments(random_crop=1.0, crop_off_epoch=2), (30, 40))
    sizes = []
    for augment.epoch in range(4):
        changed, saliency_map = augment.change(image, image, "one")
        sizes.append(changed.size)
        assert saliency_map.size == changed.size
    assert sizes == [(40, 30), (40, 30), (80, 60), (80, 60)]


def test_what_a_picture_becomes_depends_on_seed_epoch_and_picture_only(tmp_path):
    rows = load(str(write_folder(tmp_path)))
    arguments = DataArguments(horizontal_flip=True, random_crop=1.0, color_jitter=0.5)

    def changed(indices, seed=1, epoch=0):
        augment = Augment(arguments, (32, 48), seed)
        changing = rows.with_transform(augment)
        augment.epoch = epoch
        return {index: changing[index]["image"].tobytes() for index in indices}

    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    forwards = changed(range(6))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert changed(reversed(range(6))) == forwards
    assert len(set(forwards.values())) == 6
    for second in (changed(range(6), epoch=1), changed(range(6), seed=2)):
        assert not set(second.values()) & set(forwards.values())


def test_pictures_are_changed_as_prediction_reads_them(tmp_path):
    augment = Augment(DataArguments(), (32, 48))
    saliency_map = Image.new("L", (6, 4))
    wide = Image.fromarray(np.linspace(0, 65535, 24).reshape(4, 6).astype(np.uint16))
    clear = Image.new("RGBA", (6, 4), (10, 20, 30, 0))
    for picture in (wide, clear):
        changed, _ = augment.change(picture, saliency_map, "a")
        np.testing.assert_array_equal(np.asarray(changed), read_image(picture))


def test_passes_over_a_stream_count_as_epochs():
    listener = SimpleNamespace(epoch=None)
    callback = SetEpoch(listener)
    for begun, expected in ((0.0, [0, 1, 2]), (3.4, [3, 4, 5])):
        callback.on_train_begin(None, SimpleNamespace(epoch=begun), None)
        seen = []
        for fraction in (0.0, 0.3, 0.6):  # of max_steps
            callback.on_epoch_begin(None, SimpleNamespace(epoch=begun + fraction), None)
            seen.append(listener.epoch)
        assert seen == expected


def test_a_stream_is_shuffled_alike_for_the_same_seed(tmp_path):
    write_folder(tmp_path, count=12)
    orders = []
    for seed in (1, 1, 2):
        stream = augmented(load(str(tmp_path), streaming=True), Augment(DataArguments(), (32, 48), seed))
        orders.append([row["image_id"] for row in stream])
    assert orders[0] == orders[1] != orders[2] and sorted(orders[0]) == sorted(orders[2]) != orders[0]


def test_training_batches_draw_their_canvas_and_validation_keeps_the_processor_s(small_checkpoint, tmp_path):
    rows = list(load(str(write_folder(tmp_path))))
    collator = Collator(MLNetImageProcessor.from_pretrained(small_checkpoint), [(64, 96), (32, 48)], seed=3)
    shapes = []
    for epoch in range(8):
        collator.epoch = epoch
        batch = collator(rows[:2])
        assert batch["image_id"] == ["images/000", "images/001"]
        height, width = batch["pixel_values"].shape[2:]
        assert batch["labels"].shape == (2, height // 8, width // 8)
        shapes.append((height, width))
    assert set(shapes) == {(64, 96), (32, 48)}
    validation = collator([{**row, "row": number} for number, row in enumerate(rows[:2])])
    assert validation["pixel_values"].shape == (2, 3, 64, 96) and validation["row"].tolist() == [0, 1]


def test_a_loss_that_is_no_number_stops_with_step_pictures_and_learning_rate(recipe, tmp_path, small_checkpoint):
    model = MLNetModel.from_pretrained(small_checkpoint)
    with torch.no_grad():
        model.prior.weight[0, 0] = float("nan")
    model.save_pretrained(tmp_path / "broken")
    MLNetImageProcessor.from_pretrained(small_checkpoint).save_pretrained(tmp_path / "broken")
    words = ["--model", str(tmp_path / "broken"), "--per_device_train_batch_size", "2", *UNSCORED]
    with pytest.raises(ValueError, match=r"step 1: the loss is nan at learning rate 0\.\d+, images images/"):
        train(recipe, words)
    with torch.no_grad():
        model.prior.weight.fill_(100.0)
    model.save_pretrained(tmp_path / "broken")
    with pytest.raises(ValueError, match=r"step 1: the loss is [1-9]\d{3}"):
        train(recipe, words)


def test_a_gradient_that_is_no_number_stops_before_it_reaches_the_weights(recipe, tmp_path, monkeypatch):
    finite = MLNetModel.forward

    def forward(self, *arguments, **keywords):
        outputs = finite(self, *arguments, **keywords)
        if outputs.loss is not None and self.training:
            outputs.loss = outputs.loss + (0 * self.prior.weight.sum()).sqrt()  # zero, of an infinite slope
        return outputs

    monkeypatch.setattr(MLNetModel, "forward", forward)
    with pytest.raises(ValueError, match=r"step 1: the gradient's norm is nan at learning rate"):
        train(recipe)
    assert not list((tmp_path / "run").glob("checkpoint-*"))


def test_a_stream_trains_for_a_number_of_steps(recipe, tmp_path):
    with pytest.raises(ValueError, match="streaming needs max_steps"):
        train(recipe, ["--streaming", "true"])
    words = "--streaming true --max_steps 5 --eval_strategy no --save_strategy no --load_best_model_at_end false"
    train(recipe, [*words.split(), "--random_crop", "0.5"])
    assert json.loads((tmp_path / "run" / "trainer_state.json").read_text())["global_step"] == 5


@pytest.mark.parametrize("key", ["eval_strategy", "save_strategy", "logging_strategy"])
def test_streams_have_no_epochs(recipe, key):
    words = "--max_steps 5 --load_best_model_at_end false --eval_strategy no --save_strategy no"
    arguments = parse_recipe(recipe, [*words.split(), f"--{key}", "epoch"])[2]
    check_arguments(recipe, arguments, streaming=False)
    with pytest.raises(ValueError, match=f"{key} must be steps or no with streaming"):
        check_arguments(recipe, arguments, streaming=True)


def test_canvas_sizes_are_height_x_width():
    assert DataArguments(canvas_sizes=["480x640", "64x96"]).sizes() == [(480, 640), (64, 96)]
    with pytest.raises(ValueError, match=r"canvas_sizes must be like 480x640 .* got '480'"):
        DataArguments(canvas_sizes=["480"])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc for it")
def test_the_memory_of_a_step_is_kept_for_the_next():
    code = (
        "import resource, torch\nfrom modeling_mlnet.cli.memory import keep_memory\n"
        "def pages():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(20):\n"
        "        torch.ones(2**24)  # 64 MiB\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "usual = pages()\nkeep_memory()\npages()\nprint(usual, pages())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    usual, remaining = map(int, done.stdout.split())
    assert remaining < usual / 4


def test_reduction_takes_fine_detail_and_keeps_size_and_labels():
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    image, saliency_map = Image.fromarray(noise), Image.fromarray(noise[..., 0])
    changed, label = Augment(DataArguments(reduction=1.0), (240, 320)).change(image, saliency_map, "noise")
    assert changed.size == image.size and np.array_equal(np.asarray(label), noise[..., 0])
    assert np.asarray(changed, float).std() < 0.7 * noise.std()
    small = Image.fromarray(noise[:100, :120])
    assert np.array_equal(np.asarray(RandomReduction()(small)), np.asarray(small))


def test_batches_name_the_kind_of_recording_of_every_row(small_checkpoint):
    processor = MLNetImageProcessor.from_pretrained(small_checkpoint)
    row = {"image": Image.new("RGB", (64, 48)), "saliency_map": Image.new("L", (64, 48)), "image_id": "a"}
    rows = [{**row, "recording": "mouse"}, {**row, "recording": "eye"}]
    assert Collator(processor, recordings=["eye", "mouse"])(rows)["recording"].tolist() == [1, 0]
    assert "recording" not in Collator(processor)(rows)


def test_what_does_not_score_better_than_the_start_is_not_kept(recipe, trained, tmp_path, capsys):
    folders = trained.folder, tmp_path / "tuned"
    words = ["--model", str(folders[0]), "--output_dir", str(folders[1]), "--learning_rate", "30"]
    scores = train(recipe, words)
    console = capsys.readouterr().err
    start, tuned = (load_file(folder / "model.safetensors") for folder in folders)
    assert all(torch.equal(tuned[name], tensor) for name, tensor in start.items())
    assert "No trained checkpoint scores better than the start, which is kept" in console
    assert f"CC {scores['eval_CC']:.4f} before, " in console
    assert "6 validation images are too few to tell an improvement from chance" in console
    card = (folders[1] / "README.md").read_text(encoding="utf-8")
    assert "No trained checkpoint scores better than the start" in card
    assert "| weights | those of the start |" in card


def test_a_better_checkpoint_is_kept_and_stands_beside_its_start(trained, small_checkpoint):
    console, scores = trained.said, trained.scores
    before, after, difference = map(
        float, re.search(r"CC ([-\d.]+) before, ([-\d.]+) after training: ([+-][\d.]+) \(95 %", console).groups()
    )
    assert after == pytest.approx(scores["eval_CC"], abs=1e-4) and difference == pytest.approx(
        after - before, abs=2e-4
    )
    assert after > before and "is kept" not in console
    start, best = (load_file(folder / "model.safetensors") for folder in (small_checkpoint, trained.folder))
    assert not torch.equal(start["encoder.out.weight"], best["encoder.out.weight"])


def test_the_card_claims_the_choice_of_a_checkpoint_only_if_there_was_one(recipe, trained, tmp_path):
    train(recipe, ["--max_steps", "1", *UNSCORED])
    for folder, chose in ((trained.folder, True), (tmp_path / "run", False)):
        assert ("chose the best checkpoint" in (folder / "README.md").read_text(encoding="utf-8")) == chose
