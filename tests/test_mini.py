"""The embedded checkpoints on images that were not in their training."""

import hashlib
import json
from pathlib import Path

import golden_maps
import numpy as np
import pytest
import release
import torch
import yaml
from PIL import Image

from modeling_mlnet import MINI, VGG16, MLNetImageProcessor, MLNetModel, SaliencyPredictor
from modeling_mlnet.hub.registry import read_manifest
from modeling_mlnet.metrics import centre_map


@pytest.fixture(scope="module")
def predictor():
    return SaliencyPredictor("mini", dtype="float32")


def share(saliency_map: np.ndarray, box: tuple[int, int, int, int]) -> float:
    """How much denser attention is in the box (left, top, right, bottom) than in the whole picture."""
    left, top, right, bottom = box
    return float(saliency_map[top:bottom, left:right].mean() / saliency_map.mean())


@pytest.mark.parametrize(("name", "largest"), [("mlnet-mini", 8_000_000), ("mlnet-vgg16", 32_000_000)])
def test_checkpoints_are_small_half_precision_safetensors_and_match_the_manifest(name, largest):
    folder = golden_maps.shipped()[name]
    weights = folder / "model.safetensors"
    assert weights.stat().st_size < largest
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == read_manifest()[name].sha256
    names = {path.name for path in folder.iterdir()}
    assert names >= {"config.json", "preprocessor_config.json", "README.md", "model.onnx"}
    assert MLNetModel.from_pretrained(folder).dtype == torch.float32  # stored in half, used in full precision


@pytest.mark.parametrize(("name", "recipe"), [("mlnet-mini", "mini"), ("mlnet-vgg16", "vgg16")])
def test_what_the_image_processor_does_is_what_the_recipe_says(name, recipe):
    values = yaml.safe_load((Path(__file__).parent.parent / "recipes" / f"{recipe}.yaml").read_text("utf-8"))
    image_processor = MLNetImageProcessor.from_pretrained(golden_maps.shipped()[name])
    stored = json.loads(image_processor.to_json_string())  # with lists for tuples, as in YAML
    assert {key: stored[key] for key in values["image_processor"]} == values["image_processor"]
    config = MLNetModel.from_pretrained(golden_maps.shipped()[name]).config
    assert config.recordings == values["config"]["recordings"]


@pytest.mark.parametrize(
    ("name", "box"),
    [
        ("astronaut.jpg", (170, 50, 290, 200)),  # the face
        ("chelsea.jpg", (110, 60, 330, 210)),  # the cat's face
        ("coffee.jpg", (130, 60, 430, 300)),  # the cup
    ],
)
@pytest.mark.parametrize("checkpoint", ["mini", "vgg16"])
def test_faces_animals_and_objects_attract_more_than_the_centre_explains(checkpoint, name, box):
    path = release.FIXTURES / "images" / name
    saliency_map = SaliencyPredictor(checkpoint, dtype="float32")(path)
    assert share(saliency_map, box) > 1.4
    if name == "astronaut.jpg":  # the face is off the centre
        assert share(saliency_map, box) > share(centre_map(*saliency_map.shape), box)


def test_a_moved_object_moves_the_map(predictor):
    face = Image.open(release.FIXTURES / "images" / "astronaut.jpg").crop((150, 20, 310, 220))
    centres = []
    for left in (40, 440):
        scene = Image.new("RGB", (640, 480), (120, 130, 120))
        scene.paste(face, (left, 140))
        saliency_map = predictor(scene)
        centres.append((saliency_map.sum(0) * np.arange(640)).sum() / saliency_map.sum())
    assert centres[0] + 150 < centres[1]


def test_config_names_the_dtype_it_is_used_in():
    assert json.loads((MINI / "config.json").read_text())["dtype"] == "float32"


def test_every_shipped_checkpoint_has_a_constant():
    assert {MINI, VGG16} == set(golden_maps.shipped().values())


@pytest.mark.parametrize("name", golden_maps.shipped())
def test_maps_of_every_shipped_checkpoint_are_those_it_was_shipped_with(name):
    golden = json.loads(golden_maps.GOLDEN.read_text(encoding="utf-8"))[name]
    folder = golden_maps.shipped()[name]
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert golden["sha256"] == digest, "the checkpoint was changed: python tests/golden_maps.py"
    result = golden_maps.slices(folder)
    assert list(result) == list(golden["maps"])
    for key, values in result.items():
        np.testing.assert_allclose(values, golden["maps"][key], atol=2e-3, err_msg=key)  # processors differ by 1e-5
