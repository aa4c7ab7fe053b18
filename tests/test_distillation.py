import json

import pytest
import torch
from torch.nn.functional import interpolate

from modeling_mlnet import MLNetConfig, MLNetImageProcessor, MLNetModel, MLNetTrainer, MLNetTrainingArguments
from modeling_mlnet.training.distillation import Teachers
from modeling_mlnet.training.run import freeze, train

CPU = torch.device("cpu")


@pytest.fixture
def image_processor(small_checkpoint):
    return MLNetImageProcessor.from_pretrained(small_checkpoint)


@pytest.fixture
def pixel_values():
    return torch.rand(3, 3, 64, 96, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture
def labels():
    return torch.rand(3, 8, 12, generator=torch.Generator().manual_seed(2))


def distribution(saliency_map):
    return saliency_map / saliency_map.sum((1, 2), keepdim=True)


def assert_close(mixed, expected):
    # a teacher may run in bfloat16
    torch.testing.assert_close(mixed, expected / expected.amax((1, 2), keepdim=True), atol=0.02, rtol=0)


def test_labels_take_a_share_of_the_mean_of_two_mirror_images(
    small_checkpoint, small_model, image_processor, pixel_values, labels
):
    with torch.no_grad():
        maps = distribution(small_model(pixel_values).saliency_map)
        mirrored = distribution(small_model(pixel_values.flip(-1)).saliency_map.flip(-1))
    assert (maps - mirrored).abs().max() > 0.1 * maps.max()  # the two differ, so that the test can tell
    mixed = Teachers([str(small_checkpoint)], 0.25, image_processor, CPU).mix(pixel_values, labels)
    assert_close(mixed, 0.75 * distribution(labels) + 0.25 * (maps + mirrored) / 2)
    assert not mixed.is_inference()


def test_a_teacher_gets_no_larger_canvas_than_its_own(small_checkpoint, small_model, image_processor, pixel_values):
    large = interpolate(pixel_values, size=(128, 192), mode="bicubic")
    reduced = interpolate(large, size=(64, 96), mode="bilinear", antialias=True)
    with torch.no_grad():
        maps = [small_model(item).saliency_map for item in (reduced, reduced.flip(-1))]
    maps = [interpolate(item[:, None], size=(16, 24), mode="bilinear")[:, 0] for item in maps]
    mixed = Teachers([str(small_checkpoint)], 1.0, image_processor, CPU).mix(large, torch.ones(3, 16, 24))
    assert_close(mixed, distribution(maps[0]) + distribution(maps[1].flip(-1)))


def test_a_teacher_predicts_each_image_s_recording(image_processor, small_model, pixel_values, labels, tmp_path):
    small_model.set_recordings(["eye", "mouse"])
    with torch.no_grad():
        small_model.encoder.out.weight[1] = small_model.encoder.out.weight[1].flip(0)
        kinds = torch.tensor([1, 0, 1])
        small_model.save_pretrained(tmp_path)
        image_processor.save_pretrained(tmp_path)
        maps = distribution(small_model(pixel_values, recording=kinds).saliency_map)
        mirrored = distribution(small_model(pixel_values.flip(-1), recording=kinds).saliency_map.flip(-1))
    teachers = Teachers([str(tmp_path)], 1.0, image_processor, CPU, ("eye", "mouse"))
    mixed = teachers.mix(pixel_values, labels, kinds)
    assert_close(mixed, (maps + mirrored) / 2)
    assert (mixed - teachers.mix(pixel_values, labels, 1 - kinds)).abs().max() > 0.1
    with pytest.raises(ValueError, match=r"knows the recordings \['eye', 'mouse'\], the student \[\]"):
        Teachers([str(tmp_path)], 1.0, image_processor, CPU)


def test_maps_of_nothing_stay_numbers(small_checkpoint, image_processor, pixel_values, labels):
    nothing = torch.zeros_like(labels)
    teachers = Teachers([str(small_checkpoint)], 0.5, image_processor, CPU)
    assert_close(
        teachers.mix(pixel_values, nothing),
        Teachers([str(small_checkpoint)], 1.0, image_processor, CPU).mix(pixel_values, labels),
    )
    assert (Teachers([str(small_checkpoint)], 0.0, image_processor, CPU).mix(pixel_values, nothing) == 0).all()


def test_a_teacher_s_backbone_may_take_pictures_of_one_size_only(image_processor, pixel_values, labels, tmp_path):
    torch.manual_seed(0)
    config = {"backbone": "efficientformerv2_s0", "backbone_kwargs": {"img_size": (64, 96)}, "image_size": (64, 96)}
    teacher = MLNetModel(MLNetConfig(**config)).eval()
    teacher.save_pretrained(tmp_path)
    image_processor.save_pretrained(tmp_path)
    with torch.no_grad():
        maps = [distribution(teacher(item).saliency_map) for item in (pixel_values, pixel_values.flip(-1))]
    mixed = Teachers([str(tmp_path)], 1.0, image_processor, CPU).mix(pixel_values, labels)
    assert_close(mixed, maps[0] + maps[1].flip(-1))


@pytest.mark.parametrize("do_rescale", [False, True])
def test_teachers_may_have_been_trained_with_other_statistics(
    small_checkpoint, image_processor, pixel_values, labels, do_rescale
):
    mean, std = [123.68, 116.779, 103.939], [58.0, 57.0, 57.5]
    factor = 1 / 255 if do_rescale else 1
    statistics = {"image_mean": [item * factor for item in mean], "image_std": [item * factor for item in std]}
    second = MLNetImageProcessor(**{**image_processor.to_dict(), **statistics, "do_rescale": do_rescale})
    colours = pixel_values * 127.5 + 127.5
    again = (colours - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    names = [str(small_checkpoint)]
    expected = Teachers(names, 1.0, image_processor, CPU).mix(pixel_values, labels)
    assert_close(Teachers(names, 1.0, second, CPU).mix(again, labels), expected)
    assert (Teachers(names, 1.0, image_processor, CPU).mix(again, labels) - expected).abs().max() > 0.1


def losses(folder):
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in history if "loss" in entry], [
        entry["eval_loss"] for entry in history if "eval_loss" in entry
    ]


def test_a_run_learns_from_its_teachers_and_is_scored_on_the_truth(recipe, tmp_path, small_checkpoint):
    words = ["--logging_steps=1", "--num_train_epochs=1", "--learning_rate=1e-9", "--backbone_learning_rate=1e-9"]
    runs = {}
    for name, more in {"none": [], "all": ["--teachers", str(small_checkpoint), "--teacher_share", "1"]}.items():
        train(recipe, [*words, *more, "--output_dir", str(tmp_path / name)])
        runs[name] = losses(tmp_path / name)
    assert runs["all"][0][0] < runs["none"][0][0] - 0.1  # the teacher is the student's own start
    assert runs["all"][1] == pytest.approx(runs["none"][1], abs=1e-4)  # the student has hardly moved
    card = (tmp_path / "all" / "README.md").read_text()
    assert f"`{small_checkpoint.name}`, with a weight of 100% in the labels" in card


def test_teachers_are_loaded_before_the_run_starts(recipe, tmp_path):
    with pytest.raises(ValueError, match="no_such_teacher: no such checkpoint"):
        train(recipe, ["--teachers", "no_such_teacher"])
    with pytest.raises(ValueError, match=r"teacher_share must be between 0 and 1, got 1\.5"):
        train(recipe, ["--teacher_share", "1.5"])
    assert not list((tmp_path / "run").glob("checkpoint-*"))


def test_teachers_need_the_image_processor(small_model, small_checkpoint, tmp_path):
    arguments = MLNetTrainingArguments(output_dir=str(tmp_path), teachers=[str(small_checkpoint)], use_cpu=True)
    with pytest.raises(ValueError, match="teachers need an MLNetImageProcessor"):
        MLNetTrainer(model=small_model, args=arguments)


def test_frozen_modules_stay_as_they_are(recipe, tmp_path, small_checkpoint, small_model):
    train(recipe, ["--num_train_epochs", "1", "--frozen_modules", "conv_stem", "bn1", "blocks.0", "blocks.1"])
    trained = MLNetModel.from_pretrained(tmp_path / "run").state_dict()
    frozen = ("backbone.features.conv_stem.", "backbone.features.bn1.", "backbone.features.blocks.0.")
    for name, weight in small_model.named_parameters():
        is_frozen = name.startswith((*frozen, "backbone.features.blocks.1."))
        assert torch.equal(weight, trained[name]) == is_frozen, name
    card = (tmp_path / "run" / "README.md").read_text()
    assert "conv_stem, bn1, blocks.0, blocks.1 frozen" in card


def test_modules_to_freeze_are_named_as_timm_names_them(small_model):
    model = MLNetModel(MLNetConfig(backbone="vgg11", image_size=(32, 32)))
    freeze(model, ["features.0", "prior"])
    assert {name for name, item in model.named_parameters() if not item.requires_grad} == {
        "backbone.stages.0.0.weight",
        "backbone.stages.0.0.bias",
        "prior.weight",
    }
    for module in ("features.0", "act1", "blocks.9"):  # another network's, without weights, not there
        with pytest.raises(ValueError, match=f"frozen_modules names '{module}', of which"):
            freeze(small_model, [module])
