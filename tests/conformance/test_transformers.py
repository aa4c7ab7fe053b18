"""transformers' own shared model and configuration tests, run against ML-Net on a tiny VGG."""

import unittest

import pytest
import torch
from timm.models import register_model
from timm.models.vgg import VGG
from transformers_tests.test_configuration_common import ConfigTester
from transformers_tests.test_modeling_common import ModelTesterMixin

from modeling_mlnet import MLNetConfig, MLNetModel

SKIPPED = {
    "test_hidden_states_output": "counts transformer layers; the levels are tested in tests/test_modeling.py",
    "test_model_get_set_embeddings": "asks for word embeddings, which a convolutional network has not",
    "test_training_gradient_checkpointing_use_reentrant_true": (
        "reentrant checkpointing gives the first stage no gradient because pixel values need none; PyTorch advises "
        "against it, and the default (not reentrant) is tested"
    ),
}


@register_model
def vgg_tiny(pretrained: bool = False, **kwargs) -> VGG:
    return VGG([4, "M", 4, "M", 4, "M", 4, "M", 4, "M"], num_classes=2, mlp_ratio=0.01)


class MLNetModelTester:
    batch_size, is_training = 2, True

    def __init__(self, parent):
        self.parent = parent

    def get_config(self) -> MLNetConfig:
        return MLNetConfig(
            backbone="vgg_tiny", encoder_channels=4, prior_shape=(3, 4), image_size=(32, 40), dropout=0.1
        )

    def prepare_config_and_inputs_for_common(self):
        return self.get_config(), {"pixel_values": torch.rand(self.batch_size, 3, 32, 40)}


class MLNetModelTest(ModelTesterMixin, unittest.TestCase):
    all_model_classes = (MLNetModel,)
    test_resize_embeddings = False
    has_attentions = False

    def setUp(self):
        self.model_tester = MLNetModelTester(self)
        self.config_tester = ConfigTester(
            self, config_class=MLNetConfig, has_text_modality=False, common_properties=["backbone", "prior_shape"],
            backbone="vgg_tiny", encoder_channels=4,
        )  # fmt: skip
        reason = SKIPPED.get(self._testMethodName)
        if reason is not None:
            self.skipTest(reason)

    def test_config(self):
        self.config_tester.run_common_tests()

    def _prepare_for_class(self, inputs_dict, model_class, return_labels=False):
        inputs_dict = super()._prepare_for_class(inputs_dict, model_class, return_labels)
        if return_labels:
            inputs_dict["labels"] = torch.linspace(0, 1, 40).reshape(2, 4, 5)
        return inputs_dict


def test_every_skipped_test_exists():
    assert all(hasattr(MLNetModelTest, name) for name in SKIPPED)


if __name__ == "__main__":
    pytest.main([__file__])
