import json
import shutil

import pytest
import safetensors.torch
import timm
from layouts import warnings_seen

from modeling_mlnet import MLNetConfig
from modeling_mlnet.hub.checkpoint import load_checkpoint
from modeling_mlnet.training.arguments import ModelArguments
from modeling_mlnet.training.run import build_model


def test_defaults_are_the_release():
    config = MLNetConfig()
    assert (config.backbone, config.pooling, config.loss) == ("vgg16", "same", "release")
    assert (config.encoder_channels, config.dropout, config.loss_alpha) == (64, 0.5, 1.1)
    assert tuple(config.prior_shape) == (6, 8) and tuple(config.image_size) == (480, 640)
    assert config.model_type == "mlnet"


@pytest.mark.parametrize(
    ("key", "nearest"), [("droput", "dropout"), ("prior_size", "prior_shape"), ("back_bone", "backbone")]
)
def test_misspelt_key_is_refused_with_the_nearest_name(key, nearest):
    with pytest.raises(ValueError, match=rf"{key}.*'{nearest}'"):
        MLNetConfig(**{key: 1})


def test_misspelt_key_in_a_file_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mlnet", "poling": "valid"}))
    with pytest.raises(ValueError, match=r"poling.*'pooling'"):
        MLNetConfig.from_pretrained(tmp_path)


NEW_KEY = {"kernel_implementation": "auto"}  # invented: a key that a later transformers writes


def test_an_unknown_key_unlike_any_field_is_kept_with_a_warning(tmp_path):
    with warnings_seen("modeling_mlnet") as seen:
        config = MLNetConfig(**NEW_KEY)
    assert config.kernel_implementation == "auto"
    assert len(seen) == 1 and "'kernel_implementation' is unknown" in seen[0]
    config.save_pretrained(tmp_path)
    loaded = MLNetConfig.from_pretrained(tmp_path)
    assert loaded.to_dict() == config.to_dict() and loaded.kernel_implementation == "auto"


def test_an_unknown_key_of_a_file_and_of_a_recipe_is_kept(small_checkpoint, tmp_path):
    folder = shutil.copytree(small_checkpoint, tmp_path / "checkpoint")
    values = json.loads((folder / "config.json").read_text()) | NEW_KEY
    (folder / "config.json").write_text(json.dumps(values))
    assert load_checkpoint(str(folder))[0].config.kernel_implementation == "auto"
    weights = str(tmp_path / "resnet18.safetensors")
    safetensors.torch.save_file(timm.create_model("resnet18").state_dict(), weights)
    recipe = ModelArguments(config={"backbone": "resnet18", **NEW_KEY}, backbone_weights=weights)
    assert build_model(recipe)[0].config.kernel_implementation == "auto"


def test_overrides_of_a_loaded_configuration_are_checked(tmp_path):
    MLNetConfig().save_pretrained(tmp_path)
    assert MLNetConfig.from_pretrained(tmp_path, dropout=0.1).dropout == 0.1
    with pytest.raises(ValueError, match=r"dropuot.*'dropout'"):
        MLNetConfig.from_pretrained(tmp_path, dropuot=0.1)
    with pytest.raises(ValueError, match=r"dropout must be in"):
        MLNetConfig.from_pretrained(tmp_path, dropout=7.0)


def test_round_trip_through_a_folder_keeps_every_field(tmp_path):
    config = MLNetConfig(backbone="resnet18", feature_levels=(1, 2), prior_shape=(3, 4), dropout=0, prior_penalty=0)
    config.save_pretrained(tmp_path)
    loaded = MLNetConfig.from_pretrained(tmp_path)
    assert list(loaded.feature_levels) == [1, 2] and list(loaded.prior_shape) == [3, 4]
    assert (loaded.dropout, loaded.prior_penalty) == (0, 0)
    assert loaded.to_dict() == MLNetConfig.from_pretrained(tmp_path).to_dict()


@pytest.mark.parametrize(
    "values",
    [
        {"pooling": "full"},
        {"loss": "l1"},
        {"prior_shape": (6,)},
        {"prior_shape": (0, 8)},
        {"image_size": (480, 20)},
        {"image_size": (481, 640)},
        {"feature_levels": (4, 3)},
        {"feature_levels": ()},
        {"encoder_channels": 0},
        {"dropout": 1.0},
        {"loss_alpha": 1.0},
        {"prior_penalty": -1.0},
    ],
)
def test_value_out_of_range_is_refused_by_name(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        MLNetConfig(**values)
