import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import AutoConfig, AutoImageProcessor, AutoModel

from modeling_mlnet import MLNetConfig, MLNetImageProcessor, MLNetModel
from modeling_mlnet.backbones_mlnet import MLNetMaxPool2d
from modeling_mlnet.losses_mlnet import LOSS_FUNCTIONS
from modeling_mlnet.modeling_mlnet import MLNetPrior, MLNetSpread

MOBILENET = {"backbone": "mobilenetv1_100", "backbone_kwargs": {"pad_type": "same"}}
SMALL = {"encoder_channels": 8, "prior_shape": (3, 4)}


def picture(batch=2, height=64, width=96):
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_loading_predicts_nearly_the_same(small_checkpoint, small_model, dtype):
    half = MLNetModel.from_pretrained(small_checkpoint, dtype=dtype).eval()
    assert half.dtype == dtype
    with torch.no_grad():
        full, low = small_model(picture()).saliency_map, half(picture().to(dtype)).saliency_map
    assert low.dtype == dtype
    assert torch.corrcoef(torch.stack([full.flatten(), low.float().flatten()]))[0, 1] > 0.999


def test_auto_classes_know_the_model(small_checkpoint):
    assert type(AutoConfig.from_pretrained(small_checkpoint)) is MLNetConfig
    assert type(AutoModel.from_pretrained(small_checkpoint)) is MLNetModel
    assert type(AutoImageProcessor.from_pretrained(small_checkpoint)) is MLNetImageProcessor


def test_without_prior_the_map_is_the_encoders(small_model):
    with torch.no_grad():
        plain = small_model(picture(), apply_prior=False)
        full = small_model(picture())
    assert plain.prior is None
    torch.testing.assert_close(full.saliency_map, F.relu(plain.saliency_map * full.prior))
    assert not torch.allclose(full.saliency_map, plain.saliency_map)


def test_prior_reads_the_release_s_positions_at_tenfold_enlargement():
    prior = MLNetPrior((3, 4))
    with torch.no_grad():
        prior.weight.uniform_(-1, 1)
        enlarged = prior(30, 40)
        expected = torch.empty(30, 40)
        for row in range(30):
            for column in range(40):
                y, x = min(max((row - 4) / 10, 0), 2), min(max((column - 4) / 10, 0), 3)
                top, left = int(y), int(x)
                bottom, right = min(top + 1, 2), min(left + 1, 3)
                upper = prior.weight[top, left] * (1 - (x - left)) + prior.weight[top, right] * (x - left)
                lower = prior.weight[bottom, left] * (1 - (x - left)) + prior.weight[bottom, right] * (x - left)
                expected[row, column] = 1 + upper * (1 - (y - top)) + lower * (y - top)
    torch.testing.assert_close(enlarged, expected)


@pytest.mark.parametrize("size", [(1, 1), (8, 12), (60, 80), (47, 119)])
def test_prior_starts_as_one_at_any_size(size):
    assert torch.equal(MLNetPrior((6, 8))(*size), torch.ones(size))


def test_same_pooling_starts_at_minus_one_and_rounds_up():
    values = torch.arange(25.0).reshape(1, 1, 5, 5)
    pooled = MLNetMaxPool2d(2, "same")(values)
    assert pooled.tolist() == [[[[0, 2, 4], [10, 12, 14], [20, 22, 24]]]]
    assert MLNetMaxPool2d(1, "same")(values).shape == (1, 1, 5, 5)
    assert MLNetMaxPool2d(1, "same")(values)[0, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_valid_pooling_is_torchvisions_and_keeps_the_size_at_stride_one():
    values = torch.randn(1, 2, 6, 8)
    assert torch.equal(MLNetMaxPool2d(2, "valid")(values), F.max_pool2d(values, 2, 2))
    pooled = MLNetMaxPool2d(1, "valid")(values)
    assert pooled.shape == values.shape
    assert torch.equal(pooled[..., :-1, :-1], F.max_pool2d(values, 2, 1))


def test_losses_equal_their_formulas():
    torch.manual_seed(0)
    saliency_map, labels = torch.rand(2, 5, 6) * 3, torch.rand(2, 5, 6)
    release, paper, mse, kl, cc, sim = [0.0] * 6
    for p, y in zip(saliency_map.double(), labels.double(), strict=True):
        error = p / p.max() - y
        release += (error**2 / (1.1 - y)).mean() / 2
        paper += ((error / (1.1 - y)) ** 2).mean() / 2
        mse += (error**2).mean() / 2
        target, predicted = y / y.sum(), p / p.sum()
        kl += (target * (target / predicted).log()).sum() / 2
        cc += torch.corrcoef(torch.stack([p.flatten(), y.flatten()]))[0, 1] / 2
        sim += torch.minimum(target, predicted).sum() / 2
    expected = {"release": release, "paper": paper, "mse": mse, "kl": kl}
    expected |= {"kl_cc": kl - 0.5 * cc, "kl_cc_sim": kl - 0.5 * cc - 0.5 * sim}
    for name, function in LOSS_FUNCTIONS.items():
        torch.testing.assert_close(function(saliency_map, labels, 1.1).double(), expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LOSS_FUNCTIONS)
@pytest.mark.parametrize("kind", ["dead map", "constant map", "empty label", "constant label", "tiny map", "one peak"])
def test_loss_and_gradient_are_finite_on_degenerate_maps(name, kind):
    saliency_map, labels = torch.rand(2, 5, 6), torch.rand(2, 5, 6)
    if kind == "one peak":
        saliency_map.zero_()[0, 2, 3] = 1
    elif kind == "tiny map":
        saliency_map *= 1e-30
    elif kind.endswith("map"):
        saliency_map.fill_(0 if kind == "dead map" else 1)
    else:
        labels.fill_(0 if kind == "empty label" else 1)
    before_relu = saliency_map.clone().requires_grad_()
    loss = LOSS_FUNCTIONS[name](F.relu(before_relu), labels, 1.1)
    loss.backward()
    assert loss.isfinite() and before_relu.grad.isfinite().all()


def test_penalty_is_the_mean_square_of_the_prior_by_default(small_model):
    labels = torch.rand(2, 8, 12)
    with torch.no_grad():
        full = small_model(picture(), labels=labels).loss
        small_model.config.prior_penalty = 0.0
        data = small_model(picture(), labels=labels).loss
    torch.testing.assert_close(full - data, small_model.prior.weight.square().mean())


def test_a_fresh_network_is_never_dead():
    for seed in range(20):
        torch.manual_seed(seed)
        model = MLNetModel(MLNetConfig(**MOBILENET, **SMALL)).eval()
        with torch.no_grad():
            assert model(picture(1)).saliency_map.max() > 0, seed


def test_a_constructor_draws_with_the_seed():
    models = []
    for _ in range(2):
        torch.manual_seed(3)
        models.append(MLNetModel(MLNetConfig(backbone="resnet18", **SMALL)))
    for first, second in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 4, 64, 64), (1, 3, 31, 64)])
def test_wrong_pixel_values_are_refused_with_their_shape(small_model, shape):
    with pytest.raises(ValueError, match="pixel_values"):
        small_model(torch.zeros(shape))


def test_wrong_labels_are_refused_with_both_shapes(small_model):
    with pytest.raises(ValueError, match=r"\(2, 8, 12\), got \(2, 8, 8\)"):
        small_model(picture(), labels=torch.zeros(2, 8, 8))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"backbone": "resnet18", "feature_levels": [7]}, "must be below 5"),
        ({"backbone": "vgg11", "feature_levels": [0, 3]}, "between 1 and 5"),
        ({"backbone": "resnet18", "drop_modules": ["layer9"]}, "layer9"),
        ({"backbone": "vgg11", "drop_modules": ["features.0"]}, "drop_modules"),
    ],
)
def test_config_that_does_not_fit_the_backbone_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        MLNetModel(MLNetConfig(**values))


def timm_file(backbone, path, change=lambda state_dict: None):
    import timm

    torch.manual_seed(7)
    state_dict = timm.create_model(backbone, num_classes=10).state_dict()
    change(state_dict)
    save_file(state_dict, path)
    return state_dict


@pytest.mark.parametrize(
    ("backbone", "ours", "theirs"),
    [
        ("mobilenetv1_100", "features.blocks.2.0.conv_pw.weight", "blocks.2.0.conv_pw.weight"),
        ("convnext_atto", "features.stages_2.blocks.1.mlp.fc1.weight", "stages.2.blocks.1.mlp.fc1.weight"),
        ("vgg11_bn", "stages.0.1.running_mean", "features.1.running_mean"),
    ],
)
def test_imagenet_weights_land_in_the_backbone(backbone, ours, theirs, tmp_path):
    state_dict = timm_file(backbone, tmp_path / "weights.safetensors")
    model = MLNetModel.from_imagenet(MLNetConfig(backbone=backbone, **SMALL), tmp_path / "weights.safetensors")
    assert torch.equal(model.backbone.state_dict()[ours], state_dict[theirs])


def test_imagenet_file_that_lacks_a_tensor_is_refused_by_name(tmp_path):
    path = tmp_path / "weights.safetensors"
    timm_file("resnet18", path, lambda state_dict: state_dict.pop("layer2.0.conv1.weight"))
    with pytest.raises(ValueError, match=r"no tensor 'layer2\.0\.conv1\.weight'"):
        MLNetModel.from_imagenet(MLNetConfig(backbone="resnet18"), path)


def test_imagenet_file_that_is_no_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"weights\.safetensors cannot be read"):
        MLNetModel.from_imagenet(MLNetConfig(backbone="resnet18"), path)


def test_dropped_modules_are_neither_built_nor_saved():
    config = MLNetConfig(**MOBILENET, **SMALL, drop_modules=["blocks.4.1"])
    model = MLNetModel(config)
    assert not any("blocks.4.1" in name for name in model.state_dict())
    assert any("blocks.4.0" in name for name in model.state_dict())
    assert model.backbone.channels == [256, 512, 1024]


def small_model_of_two_kinds():
    torch.manual_seed(0)
    model = MLNetModel(MLNetConfig(backbone="vgg11", recordings=["eye", "mouse"], **SMALL)).eval()
    with torch.no_grad():
        model.prior.weight.uniform_(-0.5, 0.5)
        model.spread.weight.copy_(torch.tensor([-4.0, 4.0]))
    return model


@torch.no_grad()
def test_a_kind_of_recording_is_chosen_by_name_or_for_every_image():
    model, images = small_model_of_two_kinds(), picture(2)
    eye, mouse = (model(images, recording=name).saliency_map for name in ("eye", "mouse"))
    assert torch.equal(model(images).saliency_map, eye)
    mixed = model(images, recording=torch.tensor([1, 0]))
    assert mixed.prior.shape == eye.shape
    assert torch.allclose(mixed.saliency_map, torch.stack([mouse[0], eye[1]]), atol=1e-6 * float(eye.max()))
    assert not torch.allclose(eye, mouse, rtol=0.1)


@torch.no_grad()
def test_the_spread_of_a_kind_keeps_the_mean_of_a_flat_map_and_widens_a_point():
    spread = MLNetSpread(2)
    spread.weight.copy_(torch.tensor([-9.0, 0.0]))  # standard deviations of 0 and of 1 cell
    point = torch.zeros(1, 2, 15, 15)
    point[..., 7, 7] = 1
    sharp, blurred = spread(point)[0]
    assert torch.allclose(sharp, point[0, 0], atol=1e-6)
    offsets = torch.arange(15) - 7.0
    assert blurred.sum() == pytest.approx(1, abs=1e-5)
    assert (blurred.sum(0) * offsets.square()).sum() == pytest.approx(1, abs=0.01)  # variance in cells
    assert torch.allclose(spread(torch.ones(1, 2, 15, 15)), torch.ones(1, 2, 15, 15), atol=1e-6)


@torch.no_grad()
def test_a_network_of_one_kind_predicts_the_same_for_every_new_kind(tmp_path):
    torch.manual_seed(0)
    model = MLNetModel(MLNetConfig(backbone="vgg11", **SMALL)).eval()
    images = picture(2)
    before = model(images).saliency_map
    model.set_recordings(["eye", "mouse"])
    assert torch.equal(model(images, recording="eye").saliency_map, model(images, recording="mouse").saliency_map)
    model.spread.weight.fill_(-9.0)
    assert torch.allclose(model(images).saliency_map, before, atol=1e-6)
    model.save_pretrained(tmp_path)
    loaded = MLNetModel.from_pretrained(tmp_path).eval()
    assert torch.equal(loaded(images, recording="mouse").saliency_map, model(images, recording="mouse").saliency_map)
    with pytest.raises(ValueError, match="predicts \\['eye', 'mouse'\\] already"):
        model.set_recordings(["eye"])


def test_an_unknown_kind_of_recording_is_refused_with_those_known():
    with pytest.raises(ValueError, match=r"recording must be one of \['eye', 'mouse'\], got 'touch'"):
        small_model_of_two_kinds()(picture(1), recording="touch")
    model = MLNetModel(MLNetConfig(backbone="vgg11", **SMALL))
    with pytest.raises(ValueError, match="the model knows one kind only, got 'eye'"):
        model(picture(1), recording="eye")
