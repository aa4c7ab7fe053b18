"""The card that a training run writes, and what a run pushes."""

import json

import pytest
import yaml
from datasets import Dataset
from huggingface_hub import ModelCard
from loopback_hub import Spoilt

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.hub.model_card import TrainingSet
from modeling_mlnet.hub.push import CODE
from modeling_mlnet.training.run import train
from modeling_mlnet.training.run_card import command_line, with_unique_ids

ID = "someone/run"
CHECKPOINT = {"config.json", "model.safetensors", "preprocessor_config.json", "README.md", *CODE}
CHECKPOINT |= {"handler.py", "requirements.txt"}  # of Inference Endpoints


@pytest.fixture
def pushing(recipe):
    lines = yaml.safe_load(recipe.read_text())
    recipe.write_text(json.dumps({**lines, "push_to_hub": True, "hub_model_id": ID}))
    return recipe


def files_of(hub):
    return hub.files(f"models/{ID}", hub.heads[f"models/{ID}"]["main"])


def test_a_run_ends_with_a_card_of_its_data_settings_and_scores(recipe, tmp_path):
    scores = train(
        recipe,
        ["--max_steps", "2", "--eval_strategy", "no", "--load_best_model_at_end", "false", "--save_strategy", "no"],
    )
    card = ModelCard((tmp_path / "run" / "README.md").read_text())
    assert (
        "--max_steps 2" in card.text
        and "| seed | 7 |" in card.text
        and "adamw_torch, 0.001 (backbone 0.0001)" in card.text
    )
    row = next(line for line in card.text.splitlines() if line.startswith("| data |"))
    trained, remaining = (int(cell) for cell in row.split("|")[2:4])
    assert trained + remaining == 12 and remaining == scores_count(card)
    result = {item.metric_name: item.metric_value for item in card.data.eval_results}
    assert result["CC (tuebingen)"] == pytest.approx(scores["eval_CC"], abs=1e-4)
    for reference in ("centre", "inter-observer"):
        assert f"|  |  | {reference} |" in card.text or f"| {reference} |" in card.text
    for name in ("random", "worst"):
        assert f"(images/{name}.png)" in card.text and (tmp_path / "run" / "images" / f"{name}.png").stat().st_size


def scores_count(card):
    row = next(line for line in card.text.splitlines() if line.startswith("| validation |"))
    return int(row.split("|")[2])


def test_a_run_pushes_its_checkpoint_with_that_card_and_no_private_files(hub, pushing, tmp_path):
    train(pushing)
    files = files_of(hub)
    assert set(files) == {*CHECKPOINT, "images/random.png", "images/worst.png"}
    assert files["model.safetensors"] == (tmp_path / "run" / "model.safetensors").read_bytes()
    text = files["README.md"].decode()
    assert f'SaliencyPredictor("{ID}")' in text and "inter-observer" in text and str(tmp_path) not in text
    commits = [item for item in hub.requests if "/commit/" in item]
    assert len(commits) == 3  # every saved epoch, and the end
    SaliencyPredictor(ID)


def test_a_run_in_a_folder_that_is_called_like_a_checkpoint_pushes_its_own(hub, pushing, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(pushing, ["--output_dir", "mini", "--max_steps", "1"])
    assert files_of(hub)["model.safetensors"] == (tmp_path / "mini" / "model.safetensors").read_bytes()


def test_a_hub_that_is_out_of_order_for_a_while_does_not_end_a_run(hub, pushing):
    hub.spoil("/commit/main", Spoilt(status=403))
    train(pushing, ["--num_train_epochs", "1"])
    assert len([item for item in hub.requests if "/commit/" in item]) == 2  # the first was refused
    SaliencyPredictor(ID)


def test_pictures_of_several_sets_get_names_that_none_of_them_has():
    rows = Dataset.from_dict({"image_id": ["photo", "photo (2)"] * 2, "width": [1] * 4})
    assert with_unique_ids(rows)["image_id"][:] == ["photo", "photo (2)", "photo (3)", "photo (2) (2)"]


def test_a_card_names_no_folder_of_the_machine(tmp_path):
    assert TrainingSet.of(str(tmp_path), 1, 1).title == tmp_path.name
    assert str(tmp_path) not in command_line("r.yaml", [f"--output_dir={tmp_path}/run", "--datasets", f"a:{tmp_path}"])
    words = command_line("C:\\Users\\me\\r.yaml", ["--datasets", "osie:D:\\data\\OSIE\\", "--learning_rate", "1e-3"])
    assert words == "`mlnet train r.yaml --datasets osie:OSIE --learning_rate 1e-3`"


def test_optimizer_states_are_never_asked_for(pushing):
    with pytest.raises(ValueError, match="hub_strategy must be end or every_save"):
        train(pushing, ["--hub_strategy", "all_checkpoints"])
