import itertools
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from modeling_mlnet import MINI, MLNetImageProcessor, SaliencyPredictor
from modeling_mlnet.hub.checkpoint import load_checkpoint
from modeling_mlnet.hub.registry import read_manifest, resolve_model
from modeling_mlnet.images_mlnet import read_image


@pytest.fixture(scope="module")
def predictor(small_checkpoint):
    return SaliencyPredictor(str(small_checkpoint), batch_size=3, dtype="float32")


def test_a_picture_gives_one_map_and_a_list_gives_a_list(predictor, pictures):
    saliency_map = predictor(pictures[0])
    assert saliency_map.shape == (40, 60) and saliency_map.dtype == np.float32
    assert saliency_map.min() >= 0 and saliency_map.max() == 1
    assert [item.shape for item in predictor(pictures)] == [(40, 60), (60, 40), (64, 96), (35, 33)]


def test_it_is_the_one_way_through_processor_and_model(predictor, small_model, small_checkpoint, pictures):
    image_processor = MLNetImageProcessor.from_pretrained(small_checkpoint)
    with torch.no_grad():
        outputs = small_model(**image_processor(pictures[0], return_tensors="pt"))
    [expected] = image_processor.post_process_saliency(outputs, [(40, 60)])
    np.testing.assert_allclose(predictor(pictures[0]), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_order_in_is_order_out_whatever_the_batch(small_checkpoint, predictor, pictures, batch_size):
    sources = pictures * 3
    second = SaliencyPredictor(str(small_checkpoint), batch_size=batch_size, dtype="float32")
    predictions = list(second.stream(sources))
    assert [item.source for item in predictions] == sources
    for item, picture in zip(predictions, sources, strict=True):
        assert np.array_equal(item.saliency_map, predictor(picture))


def test_a_bad_picture_is_reported_in_its_place_and_stops_nothing(predictor, pictures, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no")
    sources = [pictures[0], tmp_path / "broken.jpg", tmp_path / "gone.jpg", np.zeros((2, 2, 7)), pictures[1]]
    predictions = list(predictor.stream(sources))
    assert [item.error is None for item in predictions] == [True, False, False, False, True]
    assert "broken.jpg: cannot be read as an image" in predictions[1].error
    assert "gone.jpg: no such file" in predictions[2].error
    with pytest.raises(ValueError, match=r"gone\.jpg"):
        predictor(tmp_path / "gone.jpg")


def test_it_reads_lazily(predictor, pictures):
    drawn = itertools.count()
    stream = predictor.stream(pictures[0] for _ in iter(lambda: next(drawn), 1000))
    next(stream)
    assert next(drawn) < 20
    for _ in range(4):
        next(stream)
    assert next(drawn) < 25
    stream.close()


def test_one_image_is_one_in_every_form_of_a_call(predictor, pictures):
    array = read_image(pictures[0])
    for image in (pictures[0], str(pictures[0]), pictures[0].read_bytes(), array):
        [prediction], [saliency_map] = predictor.stream(image), predictor.maps(image)
        assert np.array_equal(prediction.saliency_map, saliency_map) and prediction.error is None
    assert len(list(predictor.stream(np.stack([array] * 2)))) == 2


@pytest.mark.parametrize("wrong", [None, 5])
def test_a_model_of_a_wrong_type_is_named(wrong):
    with pytest.raises(ValueError, match=f"^model must be a name, .* got {type(wrong).__name__}$"):
        SaliencyPredictor(wrong)


def test_nothing_in_nothing_out(predictor):
    assert list(predictor.stream([])) == [] and predictor([]) == []


def test_without_prior_the_map_differs(small_checkpoint, predictor, pictures):
    plain = predictor(pictures[0], apply_prior=False)
    assert np.abs(plain - predictor(pictures[0])).max() > 0.01


def test_exif_rotation_gives_the_upright_size(predictor, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30), "red").save(tmp_path / "turned.jpg", exif=exif)
    assert predictor(tmp_path / "turned.jpg").shape == (40, 30)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"dtype": "float8"}, "dtype must be one of"),
        ({"device": "warp"}, "device 'warp'"),
        ({"device": "meta"}, "device 'meta' cannot be used: it holds no values"),
        ({"model": "/nowhere/checkpoint"}, "/nowhere/checkpoint: no such checkpoint folder"),
        ({"model": "minni"}, "minni: no such checkpoint folder"),
        ({"model": "vgg16-salicon"}, "convert the authors' file"),
    ],
)
def test_wrong_arguments_are_refused_by_name(small_checkpoint, arguments, message):
    with pytest.raises(ValueError, match=message):
        SaliencyPredictor(**{"model": str(small_checkpoint), **arguments})


def test_a_folder_without_checkpoint_or_of_another_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no ML-Net checkpoint could be loaded"):
        SaliencyPredictor(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="of model type 'bert', not of ML-Net"):
        SaliencyPredictor(str(tmp_path))


def test_damaged_or_incomplete_weights_are_refused(small_checkpoint, tmp_path):
    for name in ("config.json", "preprocessor_config.json"):
        shutil.copy(small_checkpoint / name, tmp_path)
    weights = load_file(small_checkpoint / "model.safetensors")
    whole = (small_checkpoint / "model.safetensors").read_bytes()
    for content in (whole[: len(whole) // 2], b"<html>"):
        (tmp_path / "model.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match="no ML-Net checkpoint could be loaded"):
            SaliencyPredictor(tmp_path)
    del weights["encoder.out.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"the checkpoint has no tensor 'encoder\.out\.weight'"):
        SaliencyPredictor(tmp_path)


def test_a_map_that_is_not_finite_is_an_error(small_checkpoint, pictures):
    model, image_processor = load_checkpoint(str(small_checkpoint))
    with torch.no_grad():
        model.encoder.out.bias.fill_(float("inf"))
    [prediction] = SaliencyPredictor(model, image_processor).stream([pictures[0]])
    assert prediction.saliency_map is None and "not finite" in prediction.error


def test_a_folder_named_like_the_default_does_not_hide_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mini").mkdir()
    assert resolve_model("mini")[0] == str(MINI) and resolve_model("./mini")[0] == "mini"


def test_errors_of_arrays_name_the_item(predictor, pictures):
    with pytest.raises(ValueError, match="image 1: expected 1, 3 or 4 channels"):
        predictor([pictures[0], np.zeros((5, 5, 2))])


def test_the_manifest_lists_the_embedded_and_the_unpublished_checkpoint(tmp_path, monkeypatch):
    manifest = read_manifest()
    assert set(manifest) == {"mlnet-mini", "mlnet-vgg16", "vgg16-salicon"}
    assert resolve_model("mini") == resolve_model("mlnet-mini")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vgg16-salicon").mkdir()
    assert (
        resolve_model("vgg16-salicon").location == "vgg16-salicon"
    )  # what the converter made, as long as none is published
    assert resolve_model("someone/their-model") == ("someone/their-model", None, None)
