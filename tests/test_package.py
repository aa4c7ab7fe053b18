"""What importing the package costs and registers, and the torch.hub entry points."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parent.parent


def run(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert "already registered" not in result.stderr
    return result.stdout


def test_importing_the_package_and_help_import_nothing_heavy():
    code = "import sys; import {module}; print([m for m in {heavy} if m in sys.modules])"
    heavy = ["torch", "transformers", "timm", "torchvision", "datasets", "matplotlib", "scipy", "gradio"]
    for module in ("modeling_mlnet", "modeling_mlnet.cli"):
        assert run(code.format(module=module, heavy=heavy)).strip() == "[]", module


@pytest.mark.parametrize(
    "imports",  # the package first: test_publishing.py; a class of it first: test_modeling.py
    [
        "from transformers import AutoConfig, AutoModel, AutoImageProcessor, pipeline; import modeling_mlnet",
        "from modeling_mlnet import SaliencyPredictionPipeline; from transformers import AutoConfig, AutoModel",
        "import transformers.modeling_utils, modeling_mlnet.backbones_mlnet",  # which modeling_mlnet imports, too
    ],
)
def test_auto_classes_are_registered_in_whatever_order_things_are_imported(imports):
    code = f"""{imports}
from transformers import AutoConfig, AutoImageProcessor, AutoModel
from transformers.pipelines import PIPELINE_REGISTRY
from modeling_mlnet import MINI
print(type(AutoModel.from_pretrained(MINI)).__name__, type(AutoImageProcessor.from_pretrained(MINI)).__name__)
print(PIPELINE_REGISTRY.check_task("saliency-prediction")[1]["impl"].__name__)"""
    assert run(code).split() == ["MLNetModel", "MLNetImageProcessor", "SaliencyPredictionPipeline"]


def test_torch_hub_entry_points(pictures):
    saliency = torch.hub.load(str(ROOT), "saliency", source="local", dtype="float32")
    assert saliency(pictures[0]).shape == (40, 60)
    assert torch.hub.load(str(ROOT), "mlnet_vgg16", source="local").config.backbone == "vgg16"
    model = torch.hub.load(str(ROOT), "mlnet_mini", source="local")
    image_processor = torch.hub.load(str(ROOT), "mlnet_image_processor", source="local")
    with torch.no_grad():
        outputs = model(**image_processor(pictures[0], return_tensors="pt"))
    [saliency_map] = image_processor.post_process_saliency(outputs, [(40, 60)])
    np.testing.assert_allclose(saliency_map.numpy(), saliency(pictures[0]), atol=1e-5)
    untrained = torch.hub.load(str(ROOT), "mlnet", source="local", pretrained=False, backbone="resnet18")
    assert untrained.config.backbone == "resnet18" and not untrained.training
    with pytest.raises(ValueError, match="not published yet"):
        torch.hub.load(str(ROOT), "mlnet", source="local", checkpoint="vgg16-salicon")


def test_workers_that_are_spawned_find_the_package_that_torch_hub_loaded(tmp_path):
    for name in ("hubconf.py", "hubconfig.json", "modeling_mlnet"):
        (tmp_path / name).symlink_to(ROOT / name)
    script = tmp_path / "elsewhere" / "script.py"
    script.parent.mkdir()
    script.write_text(
        "import multiprocessing, sys, torch\n"
        "def paths(predictor):\n    return [sys.path.count(FOLDER), predictor.dtype]\n"
        f"FOLDER = {str(tmp_path)!r}\n"
        "if __name__ == '__main__':\n"
        f"    load = lambda: torch.hub.load({str(tmp_path)!r}, 'saliency', source='local', dtype='float32')\n"
        "    load()\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(*pool.map(paths, [load()])[0])"
    )
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, cwd=script.parent)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[-2:] == ["1", "float32"]


def test_unknown_names_are_attribute_errors():
    import modeling_mlnet

    with pytest.raises(AttributeError, match="MLNetMoodel"):
        modeling_mlnet.MLNetMoodel  # noqa: B018
