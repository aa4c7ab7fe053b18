"""The default network against numbers that the original release produced."""

import numpy as np
import pytest
import release
import torch
import torch.nn.functional as F

from modeling_mlnet import MLNetImageProcessor, MLNetModel
from modeling_mlnet.training.arguments import parse_recipe
from modeling_mlnet.training.run import MLNetTrainer

ROOT = release.FIXTURES.parent.parent


def relative(ours, theirs) -> float:
    ours = ours.detach().numpy() if isinstance(ours, torch.Tensor) else ours
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


@pytest.fixture(scope="module")
def computed(release_checkpoint, release_arrays, golden):
    """The network after one pass forwards and backwards on the golden images, with its steps and its outputs.

    By PyTorch's own float32 convolutions: oneDNN's sum in longer chains and lose up to a digit on some CPUs.
    """
    model = MLNetModel.from_pretrained(release_checkpoint, dropout=0.0, prior_penalty=0.0).eval()
    steps = {}
    model.encoder.conv.register_forward_hook(lambda module, args, out: steps.update(int_conv=F.relu(out)))
    model.encoder.register_forward_hook(lambda module, args, out: steps.update(pre_final=out))
    labels = torch.from_numpy(release_arrays[1])
    with torch.backends.mkldnn.flags(enabled=False):
        outputs = model(release.network_input(golden), labels=labels, output_hidden_states=True)
        outputs.saliency_map.retain_grad()
        outputs.loss.backward()
    steps |= dict(zip(("conv3_pool", "conv4_pool", "conv5_3"), outputs.hidden_states, strict=True))
    return model, {name: step.detach() for name, step in steps.items()}, outputs


@pytest.mark.parametrize("name", ["conv3_pool", "conv4_pool", "conv5_3", "int_conv"])
def test_levels_and_encoding_equal_the_release(computed, golden, name):
    step = computed[1][name]
    assert relative(step[:2, golden[f"{name}_channels"]], golden[name]) < 1e-5
    mean, std = golden[f"{name}_mean_std"]
    assert step.mean().item() == pytest.approx(mean, rel=1e-5)
    assert step.std().item() == pytest.approx(std, rel=1e-5)


def test_maps_equal_the_release(computed, golden):
    _, steps, outputs = computed
    assert relative(steps["pre_final"], golden["pre_final"][:, 0]) < 1e-5
    assert relative(outputs.saliency_map, golden["output"][:, 0]) < 1e-5


def test_prior_equals_the_release(computed, golden):
    np.testing.assert_allclose(computed[2].prior.detach().numpy(), golden["prior"][0, 0], rtol=0, atol=1e-6)


def test_default_kernels_stay_close_to_the_release(release_model, golden):
    with torch.no_grad():
        saliency_map = release_model(release.network_input(golden)).saliency_map
    assert relative(saliency_map, golden["output"][:, 0]) < 3e-5


def test_loss_and_penalty_equal_the_release(computed, release_model, release_arrays, golden):
    _, _, outputs = computed
    labels = torch.from_numpy(release_arrays[1])
    assert outputs.loss.item() == pytest.approx(float(golden["loss"]), rel=1e-6)
    with torch.no_grad():
        penalised = release_model._loss(outputs.saliency_map, labels).item()
    assert penalised - outputs.loss.item() == pytest.approx(float(golden["reg"]), rel=1e-5)
    perfect = labels / labels.amax(dim=(1, 2), keepdim=True)  # leaves nothing but the penalty
    assert release_model._loss(perfect, perfect).item() == pytest.approx(float(golden["reg"]), rel=1e-6)


def test_gradients_equal_the_release(computed, golden):
    model, _, outputs = computed
    last = list(model.backbone.stages[2].children())[-2]
    ours = {
        "loss_grad_pred": outputs.saliency_map.grad[:, None],
        "grad_final_w": model.encoder.out.weight.grad,
        "grad_final_b": model.encoder.out.bias.grad,
        "grad_int_b": model.encoder.conv.bias.grad,
        "grad_conv5_3_b": last.bias.grad,
        "grad_prior": model.prior.weight.grad,
    }
    for name, gradient in ours.items():
        assert relative(gradient, golden[name]) < 1e-5, name


def test_ten_steps_follow_the_release_s_own_training(release_model, golden, release_arrays, tmp_path, monkeypatch):
    monkeypatch.setenv("SALICON_DIR", str(tmp_path))
    monkeypatch.setenv("MLNET_BACKBONE", "")
    words = "--max_steps 10 --per_device_train_batch_size 2 --use_cpu true --report_to none --save_strategy no"
    words += " --eval_strategy no --logging_steps 1 --load_best_model_at_end false --dataloader_num_workers 0"
    words += f" --output_dir {tmp_path}"
    *_, arguments = parse_recipe(ROOT / "recipes" / "release.yaml", words.split())
    noise = np.random.RandomState(5).uniform(-128, 128, size=(4, 3, 240, 320)).astype(np.float32)
    pixel_values = torch.from_numpy(noise[:, ::-1].copy())  # the release's input is BGR
    rows = [{"pixel_values": pixel_values[i], "labels": torch.from_numpy(golden["train_y"][i])} for i in range(4)]
    trainer = MLNetTrainer(model=release_model, args=arguments, train_dataset=rows)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    np.testing.assert_allclose(losses, golden["train_losses"], rtol=0, atol=2e-4)
    last = list(release_model.backbone.stages[2].children())[-2]
    first = next(release_model.backbone.stages[0].children())
    encoder = release_model.encoder
    ours = {
        "train_prior": release_model.prior.weight,
        "train_final_w": encoder.out.weight,
        "train_final_b": encoder.out.bias,
        "train_int_b": encoder.conv.bias,
        "train_int_w_slice": encoder.conv.weight.flip(2, 3)[:4, :16],
        "train_conv5_3_b": last.bias,
        "train_conv1_1_b": first.bias,
        "train_conv1_1_w": first.weight.flip(1, 2, 3),
    }
    starts = dict(zip(("train_conv1_1_w", "train_conv1_1_b"), release_arrays[0], strict=False))
    starts |= {"train_conv5_3_b": release_arrays[0][25], "train_int_w_slice": release_arrays[0][26][:4, :16]}
    starts |= dict(
        zip(("train_int_b", "train_final_w", "train_final_b", "train_prior"), release_arrays[0][27:], strict=True)
    )
    for name, weight in ours.items():
        trained = weight.detach().numpy()
        np.testing.assert_allclose(trained, golden[name], rtol=0, atol=2e-5, err_msg=name)
        moved = np.linalg.norm(golden[name] - starts[name])
        assert np.linalg.norm(trained - golden[name]) < 0.05 * moved, name


def test_converted_checkpoint_predicts_like_the_release_from_jpeg_to_map(release_checkpoint, golden):
    model = MLNetModel.from_pretrained(release_checkpoint).eval()
    image_processor = MLNetImageProcessor.from_pretrained(release_checkpoint)
    sizes = [tuple(golden[f"post_{index}_shape"]) for index in range(4)]
    with torch.no_grad():
        outputs = model(**image_processor(release.IMAGES, return_tensors="pt"))
    for index, saliency_map in enumerate(image_processor.post_process_saliency(outputs, sizes)):
        assert np.abs(saliency_map.numpy()[::5, ::5] * 255 - golden[f"post_{index}"]).max() < 2
