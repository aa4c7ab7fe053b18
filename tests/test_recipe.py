import json
from pathlib import Path

import pytest
import yaml

from modeling_mlnet import MLNetConfig
from modeling_mlnet.training.arguments import ModelArguments, parse_recipe
from modeling_mlnet.training.run import build_model, train

RECIPES = Path(__file__).parent.parent / "recipes"


def test_recipe_keys_may_be_overridden(recipe):
    words = ["--learning_rate", "5e-5", "--datasets", "a", "b", "--config", '{"dropout": 0.1}', "--seed=3"]
    model, data, arguments = parse_recipe(recipe, words)
    assert arguments.learning_rate == 5e-5 and arguments.seed == 3
    assert data.datasets == ["a", "b"] and model.config == {"dropout": 0.1}


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        ("learning_rat: 1", [], "'learning_rat'; the nearest valid key is 'learning_rate'"),
        ("seed: 1", ["--hold_out", "0.1"], "'hold_out'; the nearest valid key is 'held_out'"),
        ("seed: many", [], "--seed: invalid int value: 'many'"),
        ("config: '{broken'", [], "config must be a mapping or JSON"),
        ("config: '[1]'", [], "config must be a mapping or JSON, got '[1]'"),
        ("- seed", [], "a mapping of keys to values, got list"),
        ("seed: [1", [], "cannot be read as YAML"),
        ("output_dir: ${NO_SUCH_VARIABLE}/run", [], "environment variable NO_SUCH_VARIABLE is not set"),
    ],
)
def test_wrong_recipes_are_refused_in_one_line_that_names_the_file(tmp_path, content, words, message):
    path = tmp_path / "wrong.yaml"
    path.write_text(content)
    with pytest.raises(ValueError) as caught:
        parse_recipe(path, words)
    assert str(path) in str(caught.value) and message in str(caught.value) and "\n" not in str(caught.value)


def test_variables_of_keys_that_are_overridden_need_not_be_set(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("datasets: ['salicon:${NO_SUCH_VARIABLE}']\nimage_processor: {image_mean: 1}\n")
    assert parse_recipe(path, ["--datasets", "mine", "--image_processor={}"])[1].datasets == ["mine"]


def test_variables_are_filled_in_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_DIR", "/data/my #1 set: x")
    path = tmp_path / "recipe.yaml"
    path.write_text("datasets:\n  - salicon:${SOME_DIR}/salicon  # not ${THIS_ONE}\n")
    assert parse_recipe(path)[1].datasets == ["salicon:/data/my #1 set: x/salicon"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--metric_for_best_model", "CCC"], "metric_for_best_model must be one of"),
        (["--model", "minni"], "minni: no such checkpoint folder"),
        (
            ["--early_stopping_patience", "2", "--eval_strategy", "no", "--load_best_model_at_end", "false"],
            "early_stopping_patience needs eval_strategy epoch or steps",
        ),
        (["--metric_for_best_model", "KL", "--greater_is_better", "true"], "greater_is_better must be false"),
        (["--dataloader_persistent_workers", "true", "--dataloader_num_workers", "1"], "persistent_workers must be"),
        (["--image_processor", '{"antialiasing": true}'], "'antialiasing'; the nearest valid key is 'antialias'"),
        (["--random_crop", "7"], "random_crop must be between 0 and 1, got 7"),
        (["--canvas_sizes", "8x8"], "canvas_sizes must hold multiples of 8 of at least 32 pixels, got '8x8'"),
        (["--color_jitter", "-1"], "color_jitter must be at least 0, got -1"),
        (["--teacher_share", "2"], "teacher_share must be between 0 and 1, got 2"),
        (["--learning_rate_decay", "-5"], "learning_rate_decay must be at least 0, got -5"),
        (["--per_device_train_batch_size", "0"], "per_device_train_batch_size must be at least 1, got 0"),
        (["--max_steps", "0"], "max_steps must be at least 1"),
        (["--num_train_epochs", "0"], "num_train_epochs above 0"),
        (["stray"], "'stray' belongs to no key"),
        (["--output_dir", __file__], "output_dir .*test_recipe.py cannot be made: File exists"),
        (["--output_dir", f"{__file__}/run"], "output_dir .*test_recipe.py/run cannot be made: Not a directory"),
    ],
)
def test_what_cannot_work_is_refused_before_it_starts(recipe, words, message):
    with pytest.raises(ValueError, match=message):
        train(recipe, words)


def test_early_stopping_needs_a_score(recipe):
    words = ["--early_stopping_patience", "2", "--load_best_model_at_end", "false"]
    path = recipe.with_name("no_score.yaml")
    lines = yaml.safe_load(recipe.read_text())
    path.write_text(json.dumps({name: lines[name] for name in lines if name != "metric_for_best_model"}))
    with pytest.raises(ValueError, match="early_stopping_patience needs metric_for_best_model"):
        train(path, words)


@pytest.mark.parametrize(("metric", "greater"), [("KL", False), ("eval_loss", False), ("NSS", True)])
def test_which_scores_are_best_when_low_is_known(recipe, metric, greater):
    lines = yaml.safe_load(recipe.read_text())
    recipe.write_text(json.dumps({name: item for name, item in lines.items() if name != "greater_is_better"}))
    assert parse_recipe(recipe, ["--metric_for_best_model", metric])[2].greater_is_better is greater


@pytest.mark.parametrize("words", ({"config": {"image_size": [96, 128]}}, {"image_processor": {"size": [96, 128]}}))
def test_the_canvas_is_one_wherever_it_is_given(small_checkpoint, words):
    if "image_processor" in words:
        words = {"image_processor": {"size": {"height": 96, "width": 128}}}
    model, image_processor = build_model(ModelArguments(model=str(small_checkpoint), **words))
    assert tuple(model.config.image_size) == (96, 128)
    assert (image_processor.size["height"], image_processor.size["width"]) == (96, 128)


def test_a_config_that_cannot_be_built_is_refused_in_one_line():
    for config, message in (({"backbone": "nope"}, "'nope'"), ({"prior_shape": 5}, "prior_shape")):
        with pytest.raises(ValueError, match=message) as caught:
            build_model(ModelArguments(config=config, backbone_weights="none.safetensors"))
        assert "\n" not in str(caught.value)


def test_missing_recipe_and_empty_data_are_refused(recipe, tmp_path):
    with pytest.raises(ValueError, match="no such recipe"):
        train(tmp_path / "gone.yaml")
    with pytest.raises(ValueError, match="held_out=0"):
        train(recipe, ["--held_out", "0"])
    with pytest.raises(ValueError, match="not both"):
        train(recipe, ["--backbone_weights", "weights.safetensors"])


def test_all_recipes_are_valid(monkeypatch, tmp_path):
    for name in ("MLNET_DATA", "MLNET_BACKBONE", "SALICON_DIR", "MIT1003_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    for path in RECIPES.glob("*.yaml"):
        model, data, _ = parse_recipe(path, ["--output_dir", str(tmp_path), "--use_cpu", "true"])
        MLNetConfig(**model.config)
        assert data.datasets


@pytest.mark.parametrize("key", ["model", "teachers"])
def test_a_run_that_was_not_trained_yet_is_named(recipe, tmp_path, monkeypatch, hub, key):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^runs/first: no such run beside output_dir; train it first \("):
        train(recipe, ["--output_dir", "runs/second", f"--{key}", "runs/first"])


def test_several_trackers_may_be_named(recipe):
    assert parse_recipe(recipe, ["--report_to", "tensorboard", "trackio"])[2].report_to == ["tensorboard", "trackio"]
    lines = {**yaml.safe_load(recipe.read_text()), "report_to": ["tensorboard", "trackio"]}
    recipe.write_text(json.dumps(lines))
    assert parse_recipe(recipe)[2].report_to == ["tensorboard", "trackio"]
    assert parse_recipe(recipe, ["--report_to", "none"])[2].report_to == []
