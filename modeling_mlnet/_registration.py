"""Makes transformers' Auto classes and pipelines know ML-Net, without importing them before the user does.

`import modeling_mlnet; AutoModel.from_pretrained(...)` must work, but importing AutoModel here would import torch and
cost seconds in every light command. So each registration waits for the transformers module it belongs to.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import NamedTuple


def _register_config() -> None:
    from transformers import AutoConfig

    from .configuration_mlnet import MLNetConfig

    AutoConfig.register("mlnet", MLNetConfig, exist_ok=True)


def _register_model() -> None:
    from transformers import AutoModel

    from .configuration_mlnet import MLNetConfig
    from .modeling_mlnet import MLNetModel

    AutoModel.register(MLNetConfig, MLNetModel, exist_ok=True)


def _register_image_processor() -> None:
    from transformers import AutoImageProcessor

    from .configuration_mlnet import MLNetConfig
    from .image_processing_mlnet import MLNetImageProcessor

    AutoImageProcessor.register(
        MLNetConfig, image_processor_classes={"torchvision": MLNetImageProcessor}, exist_ok=True
    )


def _register_pipeline() -> None:
    from transformers import AutoModel
    from transformers.pipelines import PIPELINE_REGISTRY

    from . import MINI
    from .pipeline_mlnet import SaliencyPredictionPipeline

    PIPELINE_REGISTRY.register_pipeline(
        "saliency-prediction",
        pipeline_class=SaliencyPredictionPipeline,
        pt_model=AutoModel,
        default={"model": (str(MINI), "main")},
        type="image",
    )


class Registration(NamedTuple):
    """What to run as soon as the transformers module and our own can both be used."""

    trigger: str
    own: str
    run: Callable[[], None]


REGISTRATIONS = (
    Registration(
        "transformers.models.auto.configuration_auto", f"{__package__}.configuration_mlnet", _register_config
    ),
    Registration("transformers.models.auto.modeling_auto", f"{__package__}.modeling_mlnet", _register_model),
    Registration(
        "transformers.models.auto.image_processing_auto",
        f"{__package__}.image_processing_mlnet",
        _register_image_processor,
    ),
    Registration("transformers.pipelines", f"{__package__}.pipeline_mlnet", _register_pipeline),
)


class _AfterImport(MetaPathFinder):
    """Runs registrations right after the modules they wait for were executed."""

    def __init__(self) -> None:
        self.executing: set[str] = set()
        self.waiting = list(REGISTRATIONS)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Finds the watched modules as Python itself does, with the registration behind their execution."""
        if not any(fullname in (one.trigger, one.own) for one in REGISTRATIONS):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            self.executing.add(fullname)
            try:
                execute(module)
            finally:
                self.executing.discard(fullname)
            self.run(fullname)

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec

    def run(self, loaded: str) -> None:
        """Runs what waited for `loaded`, unless the other module it needs is still in the middle of its import."""
        for one in tuple(self.waiting):
            ready = one.trigger in sys.modules and self.executing.isdisjoint((one.trigger, one.own))
            if loaded in (one.trigger, one.own) and ready and one in self.waiting:
                self.waiting.remove(one)  # first: running it imports the other module, which ends up here again
                one.run()


def register() -> None:
    """Registers now what transformers has already imported, and the rest when it does."""
    finder = _AfterImport()
    sys.meta_path.insert(0, finder)
    for one in REGISTRATIONS:
        finder.run(one.trigger)
