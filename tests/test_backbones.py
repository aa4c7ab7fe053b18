"""What has to hold for every backbone, over one list of them, and maps of shipped checkpoints as they were.

python tests/test_backbones.py    writes tests/fixtures/slices.json, after a change that is meant to change maps
"""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

from modeling_mlnet import MINI, MLNetConfig, MLNetImageProcessor, MLNetModel

FIXTURES = Path(__file__).parent / "fixtures"
SLICES = FIXTURES / "slices.json"
BACKBONES = {
    "vgg11": {"backbone": "vgg11"},
    "vgg11 valid": {"backbone": "vgg11", "pooling": "valid"},
    "vgg13_bn": {"backbone": "vgg13_bn"},
    "vgg11 fine and coarse levels": {"backbone": "vgg11", "feature_levels": [2, 5]},
    "mobilenetv1_100": {"backbone": "mobilenetv1_100", "backbone_kwargs": {"pad_type": "same"}},
    "resnet18": {"backbone": "resnet18"},
    "resnet18 fine level": {"backbone": "resnet18", "feature_levels": [1, 2]},
    "convnext_atto": {"backbone": "convnext_atto"},
    "mambaout_femto": {"backbone": "mambaout_femto"},  # its features are NHWC
    "swin_s3_tiny_224": {
        "backbone": "swin_s3_tiny_224",  # NHWC, too
        "backbone_kwargs": {"img_size": (64, 96), "strict_img_size": False},
    },
}
# For what costs seconds each: own pooling, padding of timm's, levels finer than the grid, NHWC, windows of attention
KINDS = ("vgg11 valid", "mobilenetv1_100", "resnet18 fine level", "mambaout_femto", "swin_s3_tiny_224")
SMALL = {"encoder_channels": 8, "prior_shape": (3, 4)}
SIZES = [(64, 96), (32, 32), (61, 43), (33, 127)]


def build(name: str, **config) -> MLNetModel:
    torch.manual_seed(0)
    model = MLNetModel(MLNetConfig(**BACKBONES[name], **SMALL, **config)).eval()
    with torch.no_grad():
        model.prior.weight.uniform_(-0.5, 0.5)
    return model


def images(batch=2, height=64, width=96) -> torch.Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", params=BACKBONES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    return build(name)


@torch.no_grad()
@pytest.mark.parametrize("size", SIZES)
def test_any_size_gives_a_map_of_an_eighth_rounded_up(model, name, size):
    if name.startswith("swin") and any(side % 4 for side in size):
        pytest.skip("timm's Swin takes multiples of its patch size only")
    saliency_map = model(images(1, *size)).saliency_map
    assert saliency_map.shape == (1, -(-size[0] // 8), -(-size[1] // 8))
    assert saliency_map.min() >= 0 and saliency_map.max() > 0


@torch.no_grad()
def test_an_image_alone_and_in_a_batch_gives_one_map(model):
    batch = images(3)
    together = model(batch).saliency_map
    alone = torch.cat([model(batch[i : i + 1]).saliency_map for i in range(3)])
    assert (together - alone).abs().max() < 1e-5 * together.max()


@torch.no_grad()
def test_rows_of_a_batch_do_not_influence_each_other(model):
    batch = images(2)
    changed = torch.cat([batch[:1], 10 * batch[1:]])
    expected, actual = (model(rows).saliency_map[0] for rows in (batch, changed))
    assert (expected - actual).abs().max() < 1e-5 * expected.max()


@torch.no_grad()
def test_levels_share_the_grid_and_are_what_is_encoded(model):
    outputs = model(images(), output_hidden_states=True)
    encoded = F.relu(model.encoder(torch.cat(outputs.hidden_states, dim=1)) * outputs.prior)
    assert {level.shape[-2:] for level in outputs.hidden_states} == {(8, 12)}
    assert torch.equal(encoded, outputs.saliency_map)


def test_save_and_load_is_bit_equal(model, tmp_path):
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    loaded, info = MLNetModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name
    with torch.no_grad():
        assert torch.equal(model(images()).saliency_map, loaded.eval()(images()).saliency_map)


def test_parameters_missing_from_a_checkpoint_are_initialised(model, tmp_path):
    model.config.save_pretrained(tmp_path)
    weights = {name: tensor for name, tensor in model.state_dict().items() if name.startswith("encoder.conv")}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    loaded = MLNetModel.from_pretrained(tmp_path).eval()
    assert torch.equal(loaded.encoder.conv.weight, model.encoder.conv.weight)
    assert all(tensor.float().isfinite().all() for tensor in loaded.state_dict().values())
    assert loaded.prior.weight.abs().max() == 0
    with torch.no_grad():
        assert loaded(images()).saliency_map.max() > 0


@torch.no_grad()
@pytest.mark.parametrize("name", KINDS, indirect=True)
def test_compiles_as_one_graph(model):
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(images()).saliency_map, model(images()).saliency_map)


@torch.no_grad()
@pytest.mark.parametrize("name", KINDS, indirect=True)
def test_exports_with_a_dynamic_batch(model):
    program = torch.export.export(
        model, (), {"pixel_values": images()}, dynamic_shapes={"pixel_values": {0: torch.export.Dim("batch")}}
    )
    expected = model(images(3)).saliency_map
    torch.testing.assert_close(program.module()(pixel_values=images(3)).saliency_map, expected)


def test_activation_checkpointing_gives_the_same_gradients(name):
    model = build(name, dropout=0.0).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()  # recomputing would update the statistics twice
    labels = torch.rand(2, 8, 12)
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            model.activation_checkpointing_enable()
            units = [module for module in model.modules() if getattr(module, "gradient_checkpointing", False)]
            assert len(units) == (len(model.backbone.channels) if name.startswith("vgg") else 1)
        model.zero_grad()
        torch.manual_seed(1)  # some drop whole paths at random
        model(images(), labels=labels).loss.backward()
        gradients.append([weight.grad.clone() for weight in model.parameters() if weight.grad is not None])
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, checkpointed)


def slice_of(saliency_map: torch.Tensor) -> list[list[float]]:
    """Every fifth of the rows and columns of a map, divided by its maximum."""
    grid = F.interpolate(saliency_map[None, None] / saliency_map.max(), size=(5, 5), mode="nearest")[0, 0]
    return [[round(value, 5) for value in row] for row in grid.tolist()]


@torch.no_grad()
def mini_slices() -> dict[str, list[list[float]]]:
    """Of mlnet-mini's map of every fixture image, as the model gives it."""
    model, processor = MLNetModel.from_pretrained(MINI).eval(), MLNetImageProcessor.from_pretrained(MINI)
    slices = {}
    for path in sorted((FIXTURES / "images").glob("*.jpg")):
        with Image.open(path) as image:
            slices[path.name] = slice_of(model(**processor(image, return_tensors="pt")).saliency_map[0])
    return slices


@torch.no_grad()
def test_the_map_of_a_network_with_fixed_weights_is_as_it_was(model, name):
    expected = torch.tensor(json.loads(SLICES.read_text(encoding="utf-8"))["backbones"][name])
    torch.testing.assert_close(torch.tensor(slice_of(model(images(1)).saliency_map[0])), expected, atol=1e-3, rtol=0)


def test_the_maps_of_mlnet_mini_are_as_they_were():
    expected = json.loads(SLICES.read_text(encoding="utf-8"))["mlnet-mini"]
    actual = mini_slices()
    assert actual.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(torch.tensor(actual[name]), torch.tensor(values), atol=1e-3, rtol=0, msg=name)


if __name__ == "__main__":
    with torch.no_grad():
        of_backbones = {name: slice_of(build(name)(images(1)).saliency_map[0]) for name in BACKBONES}
    slices = {"backbones": of_backbones, "mlnet-mini": mini_slices()}
    parts = [
        f'"{part}": {{\n' + ",\n".join(f' "{name}": {json.dumps(values)}' for name, values in entries.items()) + "\n}"
        for part, entries in slices.items()
    ]
    SLICES.write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")
