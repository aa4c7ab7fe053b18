"""Interfaces of other libraries that are not public, and that this project uses, are still there.

When a test here fails, a new version of a library has changed an interface: look at its reason, and for a public
one. The private methods of the Trainer are in test_trainer_private.py.
"""

import inspect
from importlib import import_module
from operator import attrgetter

import pytest
import timm
import torch

INTERFACES = [  # module, name in it, parameters that are used, where and why
    (
        "transformers.modeling_utils",
        "PreTrainedModel._initialize_weights",
        ("module",),
        "modeling_mlnet.py overrides it, as transformers takes a module without parameters of its own for initialised",
    ),
    (
        "transformers.modeling_utils",
        "PreTrainedModel._no_split_modules",
        (),
        "modeling_mlnet.py sets it for device_map, which has no public way to name the modules",
    ),
    (
        "gradio.blocks",
        "Blocks.preprocess_data",
        ("block_fn", "inputs"),
        "demo/gaps.py overrides it, as events have no hook before gradio fetches the addresses in their inputs",
    ),
    (
        "gradio.exceptions",
        "InvalidPathError",
        (),
        "demo/gaps.py catches it, as gradio raises it before a function of the page is called",
    ),
]


@pytest.mark.parametrize(
    ("module", "name", "parameters", "reason"), [pytest.param(*entry, id=entry[1]) for entry in INTERFACES]
)
def test_the_interface_is_there_with_the_parameters_that_are_used(module, name, parameters, reason):
    library = module.partition(".")[0]
    pytest.importorskip(library)
    try:
        interface = attrgetter(name)(import_module(module))
    except (ImportError, AttributeError):
        pytest.fail(f"{library} has no {module}.{name} any more: {reason}")
    if parameters:
        actual = tuple(inspect.signature(interface).parameters)[1 : 1 + len(parameters)]
        assert actual == parameters, f"{module}.{name} takes {actual} first: {reason}"


def test_timm_says_whether_features_are_channels_last():
    features = timm.create_model("swin_s3_tiny_224", features_only=True, img_size=64)
    assert features.output_fmt == "NHWC", "backbones_mlnet.py reads timm's `output_fmt`, or takes features for NCHW"


def test_errors_of_a_worker_can_be_unwrapped():
    from modeling_mlnet.training.dataloader_workers import unwrap_worker_errors

    class Failing(torch.utils.data.Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            raise ValueError("its own message")

    loader = torch.utils.data.DataLoader(Failing(), num_workers=1)
    with pytest.raises(ValueError) as caught, unwrap_worker_errors():
        next(iter(loader))
    assert str(caught.value) == "its own message", "dataloader_workers.py knows PyTorch's text around a worker's error"
