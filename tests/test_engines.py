"""The same maps with less work, and what `auto` chooses."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from modeling_mlnet.engines import ENGINES, build_network, choose_network, correlation
from modeling_mlnet.fused import FusedMLNet, fold_batch_norm, join_activations
from modeling_mlnet.joined import ACTIVATIONS, SHAPES_KEPT, JoinedConv2d
from timm.layers import Conv2dSame
from torch import nn

from modeling_mlnet import MLNetConfig, MLNetModel, SaliencyPredictor, devices, engines, striped

NETWORKS = {
    "mini's": {"backbone": "tf_efficientnet_lite2"},
    "mobilenet": {"backbone": "mobilenetv1_100"},
    "residual": {"backbone": "resnet10t"},
    "finer than the grid": {"backbone": "resnet10t", "feature_levels": (1, 2, 4)},
    "all coarse": {"backbone": "resnet10t", "feature_levels": (3, 4)},
    "vgg with batch norm": {"backbone": "vgg11_bn"},
    "release": {"backbone": "vgg11", "pooling": "same"},
}


def network(**config) -> MLNetModel:
    """With batch-norm statistics as if it had been trained, and a prior that is not flat."""
    torch.manual_seed(0)
    model = MLNetModel(MLNetConfig(**{"encoder_channels": 16, "prior_shape": (3, 4)} | config)).eval()
    with torch.no_grad():
        model.prior.weight.uniform_(-0.5, 0.5)
        model.encoder.conv.bias.uniform_(-0.1, 0.1)
        model.encoder.out.bias.fill_(0.05)
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.uniform_(-0.5, 0.5)
                layer.running_var.uniform_(0.5, 2)
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.uniform_(-0.2, 0.2)
    return model


@pytest.mark.parametrize("config", NETWORKS.values(), ids=NETWORKS.keys())
@torch.no_grad()
def test_less_work_gives_equal_maps(config):
    model = network(**config)
    fused = FusedMLNet(model)
    for size in ((64, 96), (72, 104), (100, 75)):  # even levels, odd ones, no multiples of 8
        pixel_values = torch.randn(2, 3, *size)
        for apply_prior in (True, False):
            expected = model(pixel_values, apply_prior=apply_prior).saliency_map
            assert expected.max() > 0
            difference = (fused(pixel_values, apply_prior) - expected).abs().max()
            assert difference <= 1e-5 * expected.max(), size


@torch.no_grad()
def test_every_batch_norm_is_folded_and_the_model_is_left_alone():
    model = network(backbone="tf_efficientnet_lite0")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pixel_values = torch.randn(1, 3, 64, 64)
    folded = fold_batch_norm(model.backbone)
    assert not [one for one in folded.modules() if isinstance(one, nn.BatchNorm2d)]
    for one, other in zip(folded(pixel_values), model.backbone(pixel_values), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5 * float(other.abs().max()), rtol=0)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in before.items())


@torch.no_grad()
def test_a_batch_norm_that_follows_no_convolution_stays():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.tail = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

        def forward(self, x):
            return self.tail(self.norm(self.conv(x)) + x)

    odd = Odd().eval()
    odd.norm.running_mean.uniform_()
    odd.tail.running_mean.uniform_()
    folded = fold_batch_norm(odd)
    assert isinstance(folded.norm, nn.Identity) and isinstance(folded.tail, nn.BatchNorm2d)
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(folded(x), odd(x))


@pytest.mark.parametrize("size", [(16, 24), (15, 20), (15, 21), (1, 2)], ids=str)
@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 8, 3, padding=1),
        nn.Conv2d(4, 8, 3, stride=2, padding=2, dilation=2, bias=False),
        Conv2dSame(4, 8, 3, stride=2),
        Conv2dSame(4, 4, 5, stride=2, groups=4),
        Conv2dSame(4, 8, 2, stride=3),
    ],
    ids=str,
)
@pytest.mark.parametrize("activation", [nn.Identity, *ACTIVATIONS], ids=lambda kind: kind.__name__)
@torch.no_grad()
def test_convolution_and_activation_in_one_kernel(activation, layer, size):
    torch.manual_seed(0)
    joined = JoinedConv2d(copy.deepcopy(layer), activation())
    x = 4 * torch.randn(2, 4, *size)
    expected = activation()(layer(x))
    torch.testing.assert_close(joined(x), expected, atol=1e-5, rtol=0)
    assert len(joined.laid_out) == torch.backends.mkldnn.is_available()
    joined.bfloat16()
    found = joined(x.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, atol=0.1, rtol=0.02)


def test_gradients_pass_the_two_layers_themselves():
    joined = JoinedConv2d(Conv2dSame(3, 4, 3, stride=2), nn.ReLU())
    joined(torch.randn(1, 3, 16, 16, requires_grad=True)).sum().backward()
    assert joined.convolution.weight.grad is not None and not joined.laid_out


@torch.no_grad()
def test_activations_stay_where_others_read_what_they_get():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.act = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.ReLU()

        def forward(self, x):
            return self.act(self.second(self.act(self.first(x))))

    class Beside(Shared):
        def forward(self, x):
            x = self.first(x)
            return self.act(x) + x

    x = torch.randn(1, 3, 64, 64)
    for odd in (Shared(), Beside()):
        expected = odd(x)
        joined = join_activations(odd)
        assert type(joined.first) is nn.Conv2d and type(joined.act) is nn.ReLU
        torch.testing.assert_close(joined(x), expected)
    joined = join_activations(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()))
    assert type(joined[0]) is JoinedConv2d and type(joined[1]) is nn.Identity


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("backbone", "left"), [("tf_efficientnet_lite2", 0), ("vgg11", 0), ("resnet10t", 4)])
def test_what_is_joined(backbone, left, dtype):
    fused = FusedMLNet(network(backbone=backbone).to(dtype))
    joined = [one for one in fused.backbone.modules() if isinstance(one, JoinedConv2d)]
    activations = [one for one in fused.backbone.modules() if type(one) in ACTIVATIONS]
    assert len(joined) > 5
    assert len(activations) - sum(type(one.activation) in ACTIVATIONS for one in joined) == left  # behind the sums
    assert {one.dtype for one in fused.parameters()} == {dtype}
    assert not [one for one in fused.parameters() if one.requires_grad and one is not fused.prior.weight]


@torch.no_grad()
def test_backbones_that_look_at_their_convolutions_stay():
    model = network(backbone="edgenext_xx_small")
    fused = FusedMLNet(model)
    assert not [one for one in fused.backbone.modules() if isinstance(one, JoinedConv2d)]
    pixel_values = torch.randn(1, 3, 64, 96)
    expected = model(pixel_values).saliency_map
    assert (fused(pixel_values) - expected).abs().max() <= 1e-5 * expected.max()


@torch.no_grad()
def test_levels_taken_by_hooks_stay():
    model = network(backbone="legacy_xception")
    pixel_values = torch.randn(1, 3, 64, 96)
    expected = model(pixel_values).saliency_map
    fused = FusedMLNet(model)
    assert [one for one in fused.backbone.modules() if isinstance(one, JoinedConv2d)]
    assert (fused(pixel_values) - expected).abs().max() <= 1e-5 * expected.max()


@torch.no_grad()
def test_a_sum_in_place_stands_between_a_convolution_and_what_follows():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.act = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU()

        def forward(self, x):
            y = self.conv(x)
            y += x
            return self.act(self.norm(y))

    model = Residual().eval()
    model.norm.running_mean.uniform_()
    x = torch.randn(1, 3, 64, 64)
    folded = fold_batch_norm(model)
    assert isinstance(folded.norm, nn.BatchNorm2d)
    torch.testing.assert_close(folded(x), model(x))


@torch.no_grad()
def test_weights_that_are_not_finite_are_not_hidden():
    model = network(backbone="vgg11")
    model.backbone.stages[0].get_parameter("0.bias")[:] = torch.nan
    assert FusedMLNet(model)(torch.randn(1, 3, 64, 64)).isnan().any()


@torch.no_grad()
def test_layouts_are_few_whichever_threads_ask():
    joined = JoinedConv2d(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    pictures = [torch.randn(1, 3, 16 + side, 16) for side in range(12)]
    expected = [joined.activation(joined.convolution(one)) for one in pictures]

    @torch.no_grad()
    def run(index: int) -> bool:
        return torch.allclose(joined(pictures[index % 12]), expected[index % 12], atol=1e-5)

    with ThreadPoolExecutor(4) as executor:
        assert all(executor.map(run, range(240)))
    assert len(joined.laid_out) <= SHAPES_KEPT + 4
    assert not copy.deepcopy(joined).laid_out


@pytest.mark.parametrize("pooling", ["same", "valid"])
@pytest.mark.parametrize("backbone", ["vgg11", "vgg13_bn"])
@torch.no_grad()
def test_stripes_give_the_whole_block(backbone, pooling, monkeypatch):
    monkeypatch.setattr(striped, "STRIPE", 0)
    model = network(backbone=backbone, pooling=pooling, feature_levels=(1, 5))
    [block] = [one for one in FusedMLNet(model).modules() if isinstance(one, striped.StripedBlock)]
    calls = []
    block.layers.register_forward_hook(lambda _, inputs, output: calls.append(inputs[0].shape[2]))
    for height, rows in ((24, [24]), (25, [25, 5]), (72, [28, 32, 28]), (103, [28, 32, 32, 32, 11])):
        pixel_values = torch.randn(2, 3, height, 40).to(memory_format=torch.channels_last)
        torch.testing.assert_close(block(pixel_values), block.layers(pixel_values), rtol=0, atol=1e-5)
        assert calls[:-1] == rows
        calls.clear()


@torch.no_grad()
def test_the_prior_is_enlarged_once_per_size(monkeypatch):
    fused = FusedMLNet(network(backbone="resnet10t"))
    calls = []
    forward = fused.prior.forward
    monkeypatch.setattr(fused.prior, "forward", lambda *size: calls.append(size) or forward(*size))
    for size in ((64, 96), (64, 96), (96, 64)):
        fused(torch.randn(1, 3, *size))
    assert calls == [(8, 12), (12, 8)]


@pytest.mark.parametrize("backbone", ["tf_efficientnet_lite0", "mobilenetv1_100", "resnet10t", "convnext_atto"])
@torch.no_grad()
def test_levels_nobody_reads_are_not_computed(backbone):
    model = network(backbone=backbone, feature_levels=(1, 2))
    whole = network(backbone=backbone)
    fused = FusedMLNet(model)
    left = sum(one.numel() for one in fused.backbone.parameters())
    assert left < 0.5 * sum(one.numel() for one in whole.backbone.parameters())
    pixel_values = torch.randn(1, 3, 64, 96)
    expected = model(pixel_values).saliency_map
    assert (fused(pixel_values) - expected).abs().max() <= 1e-5 * expected.max()


@pytest.mark.parametrize("engine", [one for one in ENGINES if one != "compiled"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@torch.no_grad()
def test_every_engine_and_precision_gives_the_map(engine, dtype, small_model):
    pixel_values = torch.randn(2, 3, 64, 96)
    found, words = choose_network(small_model, engine, dtype, pixel_values, True)
    assert words == f"{'fused' if engine == 'auto' else engine}, {dtype}"
    expected = small_model(pixel_values).saliency_map
    assert correlation(found(pixel_values, True).float(), expected) > (0.999999 if dtype == "float32" else 0.99)


@pytest.mark.parametrize(
    ("is_fast", "is_exact", "expected"), [(True, True, "bfloat16"), (True, False, "float32"), (False, True, "float32")]
)
def test_auto_is_bfloat16_only_where_it_is_fast_and_exact_enough(
    small_model, monkeypatch, is_fast, is_exact, expected
):
    monkeypatch.setattr(devices, "has_fast_bfloat16", lambda device: is_fast)
    monkeypatch.setattr(engines, "LEAST_CORRELATION", -2.0 if is_exact else 2.0)
    found, words = choose_network(small_model, "auto", "auto", torch.randn(1, 3, 64, 96), True)
    assert words.startswith(f"fused, {expected}") and ("correlation" in words) == is_fast
    exact = build_network(small_model, "fused", getattr(torch, expected))
    pixel_values = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(found(pixel_values, True), exact(pixel_values, True))


def test_the_choice_is_made_with_the_first_picture_and_told(small_checkpoint, pictures):
    predictor = SaliencyPredictor(small_checkpoint)
    assert predictor.network is None
    predictor(pictures[0])
    chosen = predictor.network
    predictor(pictures)
    assert predictor.network is chosen and predictor.choice.startswith("fused, ")
    with pytest.raises(ValueError, match="engine must be one of"):
        SaliencyPredictor(small_checkpoint, engine="warp")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [([1, 2, 3], [2, 4, 6], 1), ([1, 2, 3], [3, 2, 1], -1), ([1, 1, 1], [2, 2, 2], 1), ([1, 1, 1], [1, 2, 3], 0)],
)
def test_correlation_of_plain_cases(first, second, expected):
    assert correlation(torch.tensor(first).float(), torch.tensor(second).float()) == pytest.approx(expected)


def test_backbones_with_a_size_of_their_own_are_taken_as_they_are():
    config = {"backbone": "efficientformerv2_s0", "backbone_kwargs": {"img_size": (96, 128)}, "image_size": (96, 128)}
    model = network(**config)
    pixel_values = torch.randn(1, 3, 96, 128)
    chosen, words = choose_network(model, "auto", "auto", pixel_values, True)
    assert words == "eager, float32"
    with torch.inference_mode():
        torch.testing.assert_close(chosen(pixel_values, True), model(pixel_values).saliency_map)
    with pytest.raises(ValueError, match="engine 'fused' does not fit efficientformerv2_s0"):
        choose_network(model, "fused", "float32", pixel_values, True)
