import numpy as np
import pytest
import torch
from layouts import write_folder
from pytest import approx

from modeling_mlnet import MLNetConfig, MLNetImageProcessor, MLNetModel, SaliencyPredictor
from modeling_mlnet.attribution import (
    MEASURES,
    level_ablation,
    level_importance,
    level_names,
    pixel_attribution,
    prior_map,
)
from modeling_mlnet.data import load
from modeling_mlnet.evaluation.evaluate import evaluate


def small(**config) -> MLNetModel:
    """An untrained network in float64 whose map is nowhere 0 and whose prior is not flat."""
    torch.manual_seed(1)
    defaults = {"backbone": "test_efficientnet", "encoder_channels": 6, "prior_shape": (3, 4), "image_size": (64, 96)}
    model = MLNetModel(MLNetConfig(**defaults | config)).double()
    with torch.no_grad():
        model.prior.weight.uniform_(-0.5, 0.5)
        model.encoder.out.bias.fill_(0.1)
    return model


@pytest.fixture
def pixel_values() -> torch.Tensor:
    return torch.randn(5, 3, 32, 48, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def predictor(small_checkpoint) -> SaliencyPredictor:
    return SaliencyPredictor(small_checkpoint, batch_size=3, dtype="float32")


@pytest.fixture
def image_processor(small_checkpoint) -> MLNetImageProcessor:
    return MLNetImageProcessor.from_pretrained(small_checkpoint)


@pytest.fixture
def rows(tmp_path):
    return load(f"folder:{write_folder(tmp_path / 'data', count=7)}")


def phi(model, features, name, apply_prior):
    saliency_map, _ = model.map_from_levels(features, apply_prior)
    return saliency_map.mean((1, 2)) if name == "mean" else saliency_map.var((1, 2), correction=0)


@pytest.mark.parametrize("apply_prior", [True, False])
@torch.no_grad()
def test_importance_agrees_with_finite_differences(pixel_values, apply_prior):
    model = small().eval()
    result = level_importance(model, pixel_values[:1], apply_prior)
    features = torch.cat(model.extract_levels(pixel_values[:1]), dim=1)
    step, count = 1e-6, features[0, 0].numel()
    first, second, third = model.backbone.channels
    for channel in (0, first - 1, first, first + second - 1, first + second, first + second + third - 1):
        change = torch.zeros(count, *features.shape[1:], dtype=torch.float64)
        change[torch.arange(count), channel] = step * torch.eye(count, dtype=torch.float64).view(-1, 4, 6)
        for name in ("mean", "variance"):
            up, down = (phi(model, features + sign * change, name, apply_prior) for sign in (1, -1))
            gradient = (up - down) / (2 * step)
            assert result.channel_mean[name][channel] == approx(float(gradient.abs().mean()), rel=1e-4, abs=1e-12)
            product = (gradient * features[0, channel].flatten()).abs().mean()
            assert result.channel_mean[f"{name}_contribution"][channel] == approx(float(product), rel=1e-4, abs=1e-12)


@pytest.mark.parametrize("config", [{}, {"backbone": "vgg11", "pooling": "valid"}], ids=["timm", "vgg"])
def test_one_backward_pass_for_a_batch_gives_each_picture_its_own_gradient(pixel_values, config):
    model = small(**config).eval()
    result = level_importance(model, [pixel_values[:3], pixel_values[3:]])
    own = {measure: [] for measure in MEASURES}
    for item in pixel_values.split(1):
        # detached: a change of a level's features is not one of the deeper levels that are computed from them
        levels = [level.detach().requires_grad_() for level in model(item, output_hidden_states=True).hidden_states]
        saliency_map, _ = model.map_from_levels(torch.cat(levels, dim=1))
        for name, value in (("mean", saliency_map.mean()), ("variance", saliency_map.var(correction=0))):
            gradients = torch.autograd.grad(value, levels, retain_graph=True)
            own[name].append([gradient.abs().mean((0, 2, 3)) for gradient in gradients])
            products = [(w * x).abs().mean((0, 2, 3)) for w, x in zip(gradients, levels, strict=True)]
            own[f"{name}_contribution"].append(products)
    for measure, pictures in own.items():
        levels = [[float(level.detach().mean()) for level in picture] for picture in pictures]
        np.testing.assert_allclose(result.per_image[measure], levels, rtol=1e-9)
        channels = torch.stack([torch.cat(picture) for picture in pictures]).detach()
        np.testing.assert_allclose(result.channel_mean[measure], channels.mean(0), rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(result.channel_std[measure], channels.std(0), rtol=1e-6, atol=1e-12)


def test_the_prior_matters_unless_it_is_left_out(pixel_values):
    model = small().eval()
    behind, before = (level_importance(model, pixel_values, item).per_image["mean"] for item in (True, False))
    assert np.abs(behind - before).max() > 0.01 * before.max()
    with torch.no_grad():
        model.prior.weight.zero_()
    np.testing.assert_allclose(level_importance(model, pixel_values).per_image["mean"], before, rtol=1e-6)


def test_a_level_the_encoder_does_not_read_has_no_importance_and_no_share(pixel_values):
    model = small().eval()
    with torch.no_grad():
        first, second, _ = model.backbone.channels
        model.encoder.conv.weight[:, first : first + second] = 0
    result = level_importance(model, pixel_values).describe()["levels"]
    assert [item["channels"] for item in result] == model.backbone.channels
    for measure in MEASURES:
        assert result[1]["importance"][measure]["mean"] == 0 and result[0]["importance"][measure]["mean"] > 0
        assert sum(item["share"][measure]["mean"] for item in result) == approx(1)


def test_scaling_features_changes_gradients_but_not_contributions(pixel_values):
    """Ten times larger features behind ten times smaller weights are the same network."""
    model = small().eval()
    before = level_importance(model, pixel_values)
    levels = model.extract_levels
    model.extract_levels = lambda values: [level * (1 if k else 10) for k, level in enumerate(levels(values))]
    with torch.no_grad():
        model.encoder.conv.weight[:, : model.backbone.channels[0]] /= 10
    after = level_importance(model, pixel_values)
    np.testing.assert_allclose(after.per_image["mean"][:, 0], before.per_image["mean"][:, 0] / 10)
    np.testing.assert_allclose(after.per_image["mean_contribution"], before.per_image["mean_contribution"])


def test_pictures_and_pixel_values_give_the_same_and_dropout_stays_off(predictor, image_processor, pictures):
    predictor.model.train()
    result = level_importance(predictor, pictures)
    assert predictor.model.training and predictor.model.encoder.dropout.training
    prepared = image_processor(pictures, return_tensors="pt")["pixel_values"]
    again = level_importance(predictor.model.eval(), prepared)
    assert result.images == again.images == 4
    for measure in MEASURES:
        np.testing.assert_allclose(result.per_image[measure], again.per_image[measure], rtol=1e-4)


def test_importance_leaves_no_gradient_in_the_model(pixel_values):
    model = small()
    level_importance(model, pixel_values)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_dead_map_gives_zeros_and_no_share(pixel_values):
    model = small()
    with torch.no_grad():
        model.encoder.out.bias.fill_(-1e6)
    result = level_importance(model, pixel_values)
    assert not result.per_image["mean"].any() and result.shares("mean")[0]["n"] == 0


def test_a_picture_that_cannot_be_read_is_named(predictor, pictures, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"bad\.jpg"):
        level_importance(predictor, [pictures[0], tmp_path / "bad.jpg"])
    with pytest.raises(ValueError, match="no image to explain"):
        level_importance(predictor, [])
    with pytest.raises(ValueError, match="pixel_values must be"):
        level_importance(predictor.model, [torch.zeros(3, 32, 32)])


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({"backbone": "vgg16"}, ("pool3", "pool4", "conv5_3")),
        ({"backbone": "vgg19", "feature_levels": (2, 5)}, ("pool2", "conv5_4")),
        ({}, ("stride 8", "stride 16", "stride 32")),
    ],
)
def test_levels_have_the_paper_s_names_or_their_strides(config, names):
    assert level_names(small(**config)) == names


def test_ablation_of_a_level_is_the_score_of_the_map_without_it(predictor, image_processor, rows):
    result = level_ablation(predictor, rows, keep_only=True)
    assert list(result["variants"])[:3] == ["without stride 8", "without stride 16", "without stride 32"]
    assert list(result["variants"])[3:] == ["only stride 8", "only stride 16", "only stride 32"]
    plain = evaluate(rows, lambda rows: predictor.maps(row["image"] for row in rows))["metrics"]
    assert result["full"]["CC"]["mean"] == approx(plain["CC"]["mean"], abs=1e-6)

    model = predictor.model
    tensors = [image_processor(row["image"], return_tensors="pt")["pixel_values"] for row in rows]
    with torch.no_grad():
        levels = [torch.cat(parts) for parts in zip(*map(model.extract_levels, tensors), strict=True)]
        levels[1] = levels[1].mean((0, 2, 3), keepdim=True).expand_as(levels[1])
        maps = model.map_from_levels(torch.cat(levels, dim=1))[0]
    own = image_processor.post_process_saliency(maps, [(48, 64)] * len(rows))
    expected = evaluate(rows, lambda rows: (item.numpy() for item in own))["metrics"]["CC"]["mean"]
    assert result["variants"]["without stride 16"]["CC"]["second"] == approx(expected, abs=1e-4)


def test_ablation_of_a_level_nobody_reads_changes_nothing(predictor, rows):
    with torch.no_grad():
        predictor.model.encoder.conv.weight[:, :256] = 0
    change = level_ablation(predictor, rows, protocol="salicon2015-unfiltered")["variants"]["without stride 8"]
    assert all(item["mean"] == approx(0, abs=1e-5) for item in change.values())


def test_pixels_that_the_network_does_not_see_get_nothing(predictor, pictures):
    result = pixel_attribution(predictor, pictures[0], region=(0, 0, 10, 8), samples=2)
    assert result.shape == (40, 60) and result.dtype == np.float32 and result.max() == approx(1) and result.min() >= 0
    model = MLNetModel(MLNetConfig(backbone="vgg11", pooling="valid", feature_levels=(1, 2, 3), image_size=(64, 96)))
    processor = MLNetImageProcessor(size={"height": 64, "width": 96})
    with torch.no_grad():
        model.encoder.out.bias.fill_(1.0)
    near = pixel_attribution(SaliencyPredictor(model, processor), pictures[2], region=(0, 0, 16, 16), samples=2)
    assert near[:24, :24].max() == approx(1) and not near[:, 72:].any()  # beyond the field of view of these cells


def test_pixel_attribution_is_the_gradient_and_the_same_for_the_same_seed(predictor, image_processor, pictures):
    plain = pixel_attribution(predictor, pictures[2], samples=1, noise=0)
    pixel_values = image_processor(pictures[2], return_tensors="pt")["pixel_values"].requires_grad_()
    [gradient] = torch.autograd.grad(predictor.model(pixel_values).saliency_map.mean(), pixel_values)
    expected = gradient[0].abs().amax(0)  # the picture has the canvas' size
    np.testing.assert_allclose(plain, expected / expected.max(), atol=1e-4)
    first, again, second = (pixel_attribution(predictor, pictures[2], seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - second).max() > 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 0}, "samples must be at least 1"),
        ({"noise": -1}, "noise must be at least 0"),
        ({"region": (0, 0, 61, 10)}, "region must lie on the image of 60x40 px"),
        ({"region": (5, 0, 5, 10)}, "region must lie on"),
    ],
)
def test_wrong_arguments_of_pixel_attribution_are_named(predictor, pictures, arguments, message):
    with pytest.raises(ValueError, match=message):
        pixel_attribution(predictor, pictures[0], **arguments)


def test_a_picture_in_its_own_size_gets_its_attribution_in_place(small_model, pictures):
    processor = MLNetImageProcessor(do_resize=False, image_mean=[127.5] * 3, image_std=[127.5] * 3)
    result = pixel_attribution(SaliencyPredictor(small_model, processor), pictures[3], samples=2)
    assert result.shape == (35, 33) and result.max() == approx(1)


def test_the_prior_s_centre_and_spread_are_those_of_its_mass():
    model = small(prior_shape=(6, 8))
    with torch.no_grad():
        model.prior.weight.zero_()
    flat = prior_map(model, 60, 80)
    assert flat.factor.shape == (60, 80) and flat.centre == approx((0.5, 0.5)) and "flat" in flat.words()
    assert flat.spread == approx((12**-0.5, 12**-0.5), rel=1e-3)
    with torch.no_grad():
        model.prior.weight.fill_(-1)
        model.prior.weight[0, 7] = 1  # only the upper right corner is let through
    corner = prior_map(model)
    assert corner.factor.shape == (8, 12) and corner.centre[0] > 0.8 and corner.centre[1] < 0.2
    assert "right of" in corner.words() and "above" in corner.words() and "draws the map together" in corner.words()
    with torch.no_grad():
        model.prior.weight.fill_(-2)
    with pytest.raises(ValueError, match="0 or less everywhere"):
        prior_map(model)
