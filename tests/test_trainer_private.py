"""The private methods of transformers' Trainer that this project overrides exist, with the parameters it expects.

When a test here fails, a new version of transformers has changed the method: look at its reason in
`modeling_mlnet/training/trainer_private.py`, and whether there is a public interface now.
"""

import inspect
from pathlib import Path

import pytest
from transformers import Trainer

from modeling_mlnet.training import trainer, trainer_private
from modeling_mlnet.training.trainer import MLNetTrainer
from modeling_mlnet.training.trainer_private import REASONS, PrivateOverrides


@pytest.mark.parametrize("name", REASONS)
def test_the_trainer_has_the_method_with_the_parameters_that_are_used(name):
    parameters, reason = REASONS[name]
    method = getattr(Trainer, name, None)
    assert method is not None, f"transformers has no Trainer.{name} any more; it is overridden because {reason}"
    actual = tuple(inspect.signature(method).parameters)[1:]
    assert actual == parameters, f"transformers' Trainer.{name} takes {actual} now; it is overridden because {reason}"


def test_every_override_of_a_private_method_has_its_reason():
    private = {name for name in vars(PrivateOverrides) if name.startswith("_") and hasattr(Trainer, name)}
    private -= set(vars(object)) | {"__annotations__", "__module__", "__dict__", "__weakref__"}
    assert private == {name for name in REASONS if name.startswith("_")}


def test_no_private_method_of_the_trainer_is_used_elsewhere():
    names = {name for name in vars(Trainer) if name.startswith("_") and not name.startswith("__")}
    for path in Path(trainer.__file__).parent.glob("*.py"):
        if path != Path(trainer_private.__file__):
            text = path.read_text(encoding="utf-8")
            assert [name for name in names if f"self.{name}" in text or f"super().{name}" in text] == [], path.name
    assert not [name for name in vars(MLNetTrainer) if name in names]
