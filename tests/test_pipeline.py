import numpy as np
import pytest
import torch
from datasets import Dataset
from datasets import Image as ImageColumn
from PIL import Image
from transformers import pipeline
from transformers.pipelines.pt_utils import KeyDataset
from web_site import serve

import modeling_mlnet  # noqa: F401 - registers the pipeline
from modeling_mlnet import SaliencyPredictor


@pytest.fixture(scope="module")
def saliency(small_checkpoint):
    return pipeline("saliency-prediction", model=str(small_checkpoint), device="cpu")


def test_a_picture_gives_map_and_heatmap_at_its_size(saliency, small_checkpoint, pictures):
    result = saliency(str(pictures[0]))
    assert result["saliency_map"].shape == (40, 60) and result["saliency_map"].dtype == torch.float32
    assert result["heatmap"].size == (60, 40) and result["heatmap"].mode == "L"
    expected = SaliencyPredictor(str(small_checkpoint), dtype="float32")(pictures[0])
    np.testing.assert_allclose(result["saliency_map"].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_lists_of_every_kind_in_order(saliency, pictures, batch_size):
    items = [pictures[0], Image.open(pictures[1]), np.asarray(Image.open(pictures[2]))]
    results = saliency(items, batch_size=batch_size)
    assert [tuple(item["saliency_map"].shape) for item in results] == [(40, 60), (60, 40), (64, 96)]


def test_generators_data_set_columns_and_addresses(saliency, pictures, tmp_path):
    expected = [item["saliency_map"] for item in saliency([str(path) for path in pictures])]
    for result in saliency(str(path) for path in pictures), saliency(iter(pictures), batch_size=2):
        for item, second in zip(result, expected, strict=True):
            torch.testing.assert_close(item["saliency_map"], second, atol=1e-5, rtol=0)
    rows = Dataset.from_dict({"image": [str(path) for path in pictures]}).cast_column("image", ImageColumn())
    for result in saliency(KeyDataset(rows, "image"), batch_size=2), saliency(rows["image"]):
        for item, second in zip(result, expected, strict=True):
            torch.testing.assert_close(item["saliency_map"], second, atol=1e-5, rtol=0)
    with serve(tmp_path) as address:
        result = saliency(f"{address}{pictures[0].name}")
    torch.testing.assert_close(result["saliency_map"], expected[0], atol=1e-5, rtol=0)


def test_half_precision_on_a_chosen_device(small_checkpoint, saliency, pictures):
    coarse = pipeline("saliency-prediction", model=str(small_checkpoint), dtype=torch.bfloat16, device="cpu")
    assert coarse.model.dtype == torch.bfloat16
    result = coarse(str(pictures[0]))["saliency_map"]
    assert result.dtype == torch.float32
    expected = saliency(str(pictures[0]))["saliency_map"]
    assert torch.corrcoef(torch.stack([result.flatten(), expected.flatten()]))[0, 1] > 0.99


def test_prior_can_be_left_out(saliency, pictures):
    full, plain = (saliency(str(pictures[0]), apply_prior=item)["saliency_map"] for item in (True, False))
    assert (full - plain).abs().max() > 0.01


def test_unknown_parameter_is_refused(saliency, pictures):
    with pytest.raises(TypeError, match="colour"):
        saliency(str(pictures[0]), colour="red")


def test_without_a_model_it_is_the_embedded_one(pictures):
    result = pipeline("saliency-prediction", device="cpu")(str(pictures[0]))
    expected = SaliencyPredictor("mini", dtype="float32")(pictures[0])
    np.testing.assert_allclose(result["saliency_map"].numpy(), expected, atol=1e-5)
