"""Registers ML-Net with transformers' Auto classes and pipelines, without importing transformers first.

`import modeling_mlnet; AutoModel.from_pretrained(...)` has to work, but importing AutoModel here would import torch,
which costs every command seconds. So each registration runs right after the module of transformers that it belongs to
was imported.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


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


REGISTRATIONS = {  # by the module of transformers that each one waits for
    "transformers.models.auto.configuration_auto": _register_config,
    "transformers.models.auto.modeling_auto": _register_model,
    "transformers.models.auto.image_processing_auto": _register_image_processor,
    "transformers.pipelines": _register_pipeline,
}


class _AfterImport(MetaPathFinder):
    """Runs registrations as soon as the modules they wait for are imported completely.

    It also watches the modules of this package: a registration imports them, so it has to wait while one of them is
    imported.
    """

    def __init__(self) -> None:
        self.executing: set[str] = set()
        self.waiting = dict(REGISTRATIONS)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Finds a watched module as Python does, and runs the registrations after its execution."""
        if fullname not in REGISTRATIONS and not fullname.startswith(f"{__package__}."):
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
            self.run()

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec

    def run(self) -> None:
        """Runs the registrations whose modules are imported."""
        for trigger in REGISTRATIONS:
            if trigger in sys.modules and not self.executing and trigger in self.waiting:
                self.waiting.pop(trigger)()  # removed before it runs, as it imports modules and so comes here again


def register() -> None:
    """Registers ML-Net with transformers at once, which imports torch.

    `import modeling_mlnet` does it when the Auto classes are imported; nobody has to call this.
    """
    for registration in REGISTRATIONS.values():
        registration()


def register_on_import() -> None:
    """Registers now what transformers has already imported, and the rest when it is imported."""
    finder = _AfterImport()
    sys.meta_path.insert(0, finder)
    finder.run()
