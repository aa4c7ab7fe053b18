"""Checkpoints from a Hub that runs here, over HTTP, with everything that can go wrong on the way."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from layouts import warnings_seen
from loopback_hub import Spoilt
from typer.testing import CliRunner

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.cli import app
from modeling_mlnet.hub import registry
from modeling_mlnet.hub.checkpoint import checkpoint_folder
from modeling_mlnet.hub.download import fetch
from modeling_mlnet.hub.registry import Checkpoint, is_here, sha256

ID = "someone/their-mlnet"


@pytest.fixture
def hub(hub, small_checkpoint):
    """A Hub with a checkpoint."""
    hub.add(small_checkpoint, ID)
    return hub


def cached(tmp_path):
    """What a later run would find in the cache under the names of a checkpoint."""
    return sorted(path.name for path in (tmp_path / "cache").rglob("snapshots/*/*"))


def test_a_checkpoint_is_downloaded_once_and_gives_its_maps(hub, tmp_path, small_checkpoint, pictures):
    expected = SaliencyPredictor(small_checkpoint)(pictures[0])
    np.testing.assert_array_equal(SaliencyPredictor(ID)(pictures[0]), expected)
    assert cached(tmp_path) == ["config.json", "model.safetensors", "preprocessor_config.json"]
    hub.requests.clear()
    SaliencyPredictor(ID)
    assert not [item for item in hub.requests if item.startswith("GET")]


def test_without_a_network_the_cache_is_used(hub, monkeypatch, pictures):
    expected = SaliencyPredictor(ID)(pictures[0])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    np.testing.assert_array_equal(SaliencyPredictor(ID)(pictures[0]), expected)
    with pytest.raises(ValueError, match=r"^someone/other: is not in the cache, .*HF_HUB_OFFLINE"):
        fetch("someone/other")


def test_a_revision_is_a_commit_a_branch_or_refused(hub, small_checkpoint, tmp_path):
    first = hub.heads[f"models/{ID}"]["main"]
    shutil.copytree(small_checkpoint, tmp_path / "newer")
    config = json.loads((tmp_path / "newer" / "config.json").read_text())
    (tmp_path / "newer" / "config.json").write_text(json.dumps(config | {"dropout": 0.25}))
    second = hub.add(tmp_path / "newer", ID)
    assert fetch(ID, first).name == first and fetch(ID).name == second != first
    with pytest.raises(ValueError, match=rf"^{ID}: has no revision 'v9'"):
        fetch(ID, "v9")


def test_all_files_are_of_one_commit_even_if_somebody_pushes_meanwhile(hub, small_checkpoint, tmp_path, monkeypatch):
    import modeling_mlnet.hub.download as module

    first = hub.heads[f"models/{ID}"]["main"]
    check = module.check_config

    def push_meanwhile(path, name):
        hub.commit(f"models/{ID}", "main", {"model.safetensors": b"another"})
        check(path, name)

    monkeypatch.setattr(module, "check_config", push_meanwhile)
    folder = fetch(ID)
    assert folder.name == first and sha256(folder / "model.safetensors") == sha256(
        small_checkpoint / "model.safetensors"
    )


@pytest.mark.parametrize(
    ("name", "how", "message"),
    [
        ("config.json", Spoilt(401, headers={"X-Error-Code": "RepoNotFound"}, times=9), "no such repository at http"),
        (
            "config.json",
            Spoilt(403, headers={"X-Error-Code": "GatedRepo"}, times=9),
            "is gated: ask for access at http",
        ),
        ("config.json", Spoilt(404, headers={"X-Error-Code": "EntryNotFound"}, times=9), "it has no config.json"),
        ("model.safetensors", Spoilt(429, times=99), "status 429: wait a while"),
        ("model.safetensors", Spoilt(500, times=99), "status 500: try again later"),
        ("model.safetensors", Spoilt(cut=1000, times=99), "download was interrupted"),
    ],
    ids=["401", "gated", "no checkpoint", "429", "500", "cut"],
)
def test_what_the_hub_refuses_is_one_line_and_leaves_nothing_behind(hub, tmp_path, name, how, message):
    hub.spoil(name, how)
    with pytest.raises(ValueError, match=message) as caught:
        SaliencyPredictor(ID)
    assert str(caught.value).startswith(f"{ID}: ") and "\n" not in str(caught.value)
    assert name not in cached(tmp_path)
    how.times = 0
    SaliencyPredictor(ID)  # and nothing that was left behind is in its way


@pytest.mark.parametrize(
    "how", [Spoilt(500), Spoilt(429, headers={"Retry-After": "1"}), Spoilt(cut=1000)], ids=["500", "429", "cut"]
)
def test_what_fails_once_is_tried_again(hub, how, small_checkpoint):
    hub.spoil("model.safetensors", how)
    assert sha256(fetch(ID) / "model.safetensors") == sha256(small_checkpoint / "model.safetensors")
    assert how.times == 0


def test_wrong_ids_are_refused(hub):
    with pytest.raises(ValueError, match=r"^someone/nothing: there is no such repository"):
        fetch("someone/nothing")
    with pytest.raises(ValueError, match=r"^some one/x: "):
        fetch("some one/x")


def test_another_kind_of_model_is_refused_before_its_weights_are_loaded(hub, tmp_path):
    hub.commit("models/someone/bert", "main", {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"x"})
    with pytest.raises(ValueError, match="is a checkpoint of model type 'bert', not of ML-Net"):
        fetch("someone/bert")
    assert not [item for item in hub.requests if "safetensors" in item]


def test_a_misspelt_field_is_refused_before_the_weights_are_loaded(hub, small_checkpoint, tmp_path):
    config = json.loads((small_checkpoint / "config.json").read_text()) | {"back_bone": "resnet18"}
    hub.commit(f"models/{ID}", "main", {"config.json": json.dumps(config).encode()})
    with pytest.raises(ValueError, match=r"its config.json cannot be used: .*'back_bone'.*'backbone'"):
        SaliencyPredictor(ID)
    assert "model.safetensors" not in cached(tmp_path)


def test_a_key_of_a_newer_version_is_loaded_with_a_warning(hub, small_checkpoint):
    config = json.loads((small_checkpoint / "config.json").read_text()) | {"hub_kernels": "auto"}  # invented
    hub.commit(f"models/{ID}", "main", {"config.json": json.dumps(config).encode()})
    with warnings_seen("modeling_mlnet") as seen:
        assert SaliencyPredictor(ID).model.config.hub_kernels == "auto"
    assert len(seen) == 1 and "'hub_kernels' is unknown" in seen[0]


def test_other_weights_than_the_manifest_s_are_refused_with_both_sums_and_removed(hub, tmp_path, monkeypatch):
    entry = Checkpoint(None, ID, hub.heads[f"models/{ID}"]["main"], "0" * 64, "mit", "", "vgg16", 1, {})
    monkeypatch.setattr(registry, "read_manifest", lambda: {"published": entry})
    result = sha256(tmp_path / "hub" / "models" / ID / entry.revision / "model.safetensors")
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"has sha256 {result}, hubconfig.json expects {'0' * 64}"):
            SaliencyPredictor("published")
        assert "model.safetensors" not in cached(tmp_path) and not is_here(entry)
    good = Checkpoint(None, ID, entry.revision, result, "mit", "", "vgg16", 1, {})
    monkeypatch.setattr(registry, "read_manifest", lambda: {"published": good})
    assert checkpoint_folder("published").name == entry.revision and is_here(good)


def test_an_unpublished_checkpoint_says_how_to_get_it():
    result = CliRunner().invoke(app, ["predict", "x.jpg", "-o", "out", "--model", "vgg16-salicon"])
    with pytest.raises(ValueError, match="not published yet: convert the authors' file with conversion/convert_keras"):
        SaliencyPredictor("vgg16-salicon")
    assert result.exit_code != 0


def test_models_lists_every_checkpoint_with_its_figures():
    result = CliRunner().invoke(app, ["models"])
    assert result.exit_code == 0, result.output
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.startswith(("mini", "vgg16"))}
    assert "tf_efficientnet_lite2" in lines["mini"] and "in the package" in lines["mini"] and "yes" in lines["mini"]
    assert "vgg16" in lines["vgg16"] and "in the package" in lines["vgg16"]
    assert "not published yet" in lines["vgg16-salicon"]
    entry = registry.read_manifest()["mlnet-mini"]
    assert f"OSIE {entry.scores['OSIE']['NSS']:.2f} / {entry.scores['OSIE']['CC']:.3f}" in result.stdout


@pytest.mark.parametrize("name", ["mini", "vgg16"])
def test_the_manifest_says_what_the_embedded_files_are(name):
    entry = registry.read_manifest()[f"mlnet-{name}"]
    model = SaliencyPredictor(name).model
    assert (entry.backbone, entry.parameters) == (model.config.backbone, model.num_parameters())
    path = Path(__file__).parent.parent / "experiments" / f"{name}_scores.json"
    scores = json.loads(path.read_text())["tuebingen"]
    assert set(entry.scores) == set(scores)
    for dataset, metrics in entry.scores.items():
        for metric, value in metrics.items():
            assert value == pytest.approx(scores[dataset][name]["metrics"][metric]["mean"], abs=5e-4)
