"""`mlnet export --web`: what is refused, and graphs with small weights."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from modeling_mlnet import MLNetImageProcessor
from modeling_mlnet.cli import app
from modeling_mlnet.hub.checkpoint import checkpoint_folder
from modeling_mlnet.hub.registry import GRAPH
from modeling_mlnet.inference import web, web_graph
from modeling_mlnet.letterbox_mlnet import Letterbox

MINI = checkpoint_folder("mini")


def test_another_npm_package_leaves_nothing(tmp_path):
    package = tmp_path / "package.tgz"
    package.write_bytes(b"another")
    with pytest.raises(ValueError, match=r"package.tgz: is not the npm package onnxruntime-web 1\.30\.0"):
        web.export_web("mini", tmp_path / "site", package)
    assert list(tmp_path.iterdir()) == [package]
    with pytest.raises(ValueError, match="already exists; name a new folder"):
        web.export_web("mini", tmp_path)


def test_without_npm_it_is_said_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"npm cannot fetch it .* with --onnxruntime-web"):
        web.export_web("mini", tmp_path / "site")
    assert list(tmp_path.iterdir()) == []


def test_what_a_browser_cannot_prepare_is_refused(tmp_path):
    MLNetImageProcessor.from_pretrained(MINI, do_resize=False).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_bytes((MINI / "config.json").read_bytes())
    with pytest.raises(ValueError, match=r"preprocessor_config\.json: a browser resizes images to one canvas"):
        web.export_web(str(tmp_path), tmp_path / "site")


def test_the_option_of_the_package_belongs_to_the_page():
    result = CliRunner().invoke(app, ["export", "mini", "-o", "x", "--onnxruntime-web", __file__])
    assert result.exit_code == 2 and "is for --web only" in result.stderr
    result = CliRunner().invoke(app, ["export", "mini", "-o", "x", "--web", "y"])
    assert result.exit_code == 2 and "give one of --output, --in-place" in result.stderr


@pytest.fixture
def graph(tmp_path):
    """A network of two convolutions whose weights float16 holds exactly."""
    random = np.random.default_rng(0)
    weights = [
        random.normal(size=shape).astype(np.float16).astype(np.float32) for shape in ((64, 3, 8, 8), (1, 64, 1, 1))
    ]
    constants = [numpy_helper.from_array(weight, f"weight{number}") for number, weight in enumerate(weights)]
    constants.append(numpy_helper.from_array(np.array([1]), "axes"))
    nodes = [
        helper.make_node("Conv", ["pixel_values", "weight0"], ["features"], strides=[8, 8]),
        helper.make_node("Relu", ["features"], ["active"]),
        helper.make_node("Conv", ["active", "weight1"], ["cells"]),
        helper.make_node("Squeeze", ["cells", "axes"], ["before_prior"]),
        helper.make_node("Relu", ["before_prior"], ["saliency_map"]),
    ]
    image, *maps = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("pixel_values", (1, 3, 64, 64)), ("saliency_map", (1, 8, 8)), ("before_prior", (1, 8, 8)))
    )
    network = helper.make_graph(nodes, "network", [image], maps, constants)
    path = tmp_path / GRAPH
    onnx.save(helper.make_model(network, opset_imports=[helper.make_opsetid("", 20)]), path)
    return path


def test_weights_are_as_small_as_the_maps_allow(graph, monkeypatch):
    letterbox, images = Letterbox((64, 64)), sorted(web._bundled(web.EXAMPLES).glob("*.jpg"))
    sizes = {}
    for limit in (0.999, 0.999999, 1.1):
        monkeypatch.setattr(web_graph, "CORRELATION", limit)
        small = web_graph.shrink(graph, letterbox, [], images)
        assert small.correlation >= min(limit, 0.9999999)
        sizes[small.dtype] = len(small.content)
    assert list(sizes) == ["int8", "float16", "float32"]
    assert sizes["int8"] < 0.6 * sizes["float16"] < 0.4 * sizes["float32"]
    assert web_graph.shrink(graph.read_bytes(), letterbox, [], images).dtype == "float32"  # a graph that is in no file
