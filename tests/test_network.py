"""The network in OpenVINO against the model itself, its graph in the cache, and what a process may do with it."""

import copy
import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from modeling_mlnet import MINI, MLNetConfig, MLNetImageProcessor, MLNetModel, SaliencyPredictor
from modeling_mlnet.hub.checkpoint import load_checkpoint, loaded_from
from modeling_mlnet.hub.registry import fingerprint
from modeling_mlnet.inference import export
from modeling_mlnet.inference.export import graph_bytes
from modeling_mlnet.inference.graph import GraphWarning, cache_path, find_graph
from modeling_mlnet.inference.network import OpenVINONetwork, TorchNetwork, has_bfloat16
from modeling_mlnet.letterbox_mlnet import Letterbox

PICTURES = sorted((Path(__file__).parent / "fixtures" / "images").glob("*.jpg"))
NETWORKS = {
    "mini's": {"backbone": "tf_efficientnet_lite0"},
    "residual, levels finer than the grid": {"backbone": "resnet10t", "feature_levels": (1, 2, 4)},
    "release": {"backbone": "vgg11", "pooling": "same"},
    "two kinds of recording": {"backbone": "vgg11_bn", "recordings": ("eye", "mouse")},
}
needs_bfloat16 = pytest.mark.skipif(not has_bfloat16(), reason="this processor does not multiply bfloat16 in hardware")


def network(**config) -> MLNetModel:
    """With batch-norm statistics as if it had been trained, and a prior that is not flat."""
    torch.manual_seed(0)
    model = MLNetModel(MLNetConfig(**{"encoder_channels": 16, "prior_shape": (3, 4)} | config)).eval()
    with torch.no_grad():
        model.prior.weight.uniform_(-0.5, 0.5)
        model.encoder.conv.bias.uniform_(-0.1, 0.1)
        model.encoder.out.bias.fill_(0.05)
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.uniform_(-0.5, 0.5)
                layer.running_var.uniform_(0.5, 2)
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.uniform_(-0.2, 0.2)
    return model


@pytest.mark.parametrize("config", NETWORKS.values(), ids=NETWORKS.keys())
def test_openvino_gives_the_model_s_maps(config):
    model = network(**config)
    openvino = OpenVINONetwork(graph_bytes(model, (64, 96)), "float32", (64, 96), model.config.recordings)
    plain = TorchNetwork(model, "float32")
    pixel_values = np.random.default_rng(0).standard_normal((3, 64, 96), dtype=np.float32)
    maps = []
    for recording in model.config.recordings or [None]:
        for apply_prior in (True, False):
            expected = plain(pixel_values, apply_prior, recording)
            assert expected.max() > 0
            for many in (False, True):
                result = openvino(pixel_values, apply_prior, recording, many)
                np.testing.assert_allclose(result, expected, atol=1e-5 * expected.max())
            maps.append(expected)
    assert len({item.tobytes() for item in maps}) == len(maps)  # they are different maps
    with pytest.raises(ValueError, match=r"recording must be .*, got 'touch'"):
        openvino(pixel_values, recording="touch")


@needs_bfloat16
def test_bfloat16_is_nearly_float32():
    correlations = []
    for picture in PICTURES:
        maps = [SaliencyPredictor(dtype=dtype)(picture).ravel() for dtype in ("float32", "bfloat16")]
        assert not np.array_equal(*maps)
        correlations.append(np.corrcoef(*maps)[0, 1])
    assert min(correlations) > 0.999


def test_several_threads_may_share_a_network():
    predictor = SaliencyPredictor("mini", device="cpu")
    expected = [predictor(picture) for picture in PICTURES]
    with ThreadPoolExecutor(6) as executor:
        for result, wanted in zip(executor.map(predictor, PICTURES * 4), expected * 4, strict=True):
            assert np.array_equal(result, wanted)


# --- the graph of a checkpoint


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def checkpoint(small_checkpoint, tmp_path):
    return Path(shutil.copytree(small_checkpoint, tmp_path / "checkpoint"))


def test_a_checkpoint_without_graph_gets_one_in_the_cache_once(checkpoint, empty_cache, pictures, monkeypatch):
    predictor = SaliencyPredictor(checkpoint, device="cpu", dtype="float32")
    expected = predictor(pictures[0])
    path = cache_path(fingerprint(checkpoint), (64, 96))
    assert path.is_relative_to(empty_cache) and [path] == [item for item in empty_cache.rglob("*") if item.is_file()]
    code = (
        "import sys, numpy\nfrom modeling_mlnet import SaliencyPredictor\n"
        f"numpy.save({str(checkpoint / 'map.npy')!r}, SaliencyPredictor({str(checkpoint)!r}, dtype='float32')"
        f"({str(pictures[0])!r}))\nassert not {{'torch', 'transformers'}} & set(sys.modules)"
    )
    monkeypatch.setenv("HF_HOME", str(empty_cache))
    subprocess.run([sys.executable, "-c", code], check=True)
    assert np.array_equal(np.load(checkpoint / "map.npy"), expected)
    plain = SaliencyPredictor(checkpoint, device="cpu", dtype="float32", compile=False)
    plain._graph_folder = None
    np.testing.assert_allclose(plain(pictures[0]), expected, atol=1e-4)
    assert plain.network.description == "PyTorch, cpu, float32"


def test_other_weights_or_another_canvas_get_another_graph(checkpoint, pictures):
    SaliencyPredictor(checkpoint, device="cpu")(pictures[0])
    assert find_graph(checkpoint, (64, 96)) is not None and find_graph(checkpoint, (96, 64)) is None
    tensors = load_file(checkpoint / "model.safetensors")
    save_file({name: item * 2 for name, item in tensors.items()}, checkpoint / "model.safetensors", {"format": "pt"})
    assert find_graph(checkpoint, (64, 96)) is None


def test_a_cache_that_cannot_be_written_is_a_warning(checkpoint, empty_cache, pictures):
    empty_cache.write_bytes(b"a file, no folder")
    with pytest.warns(GraphWarning, match="graph is not kept for the next time") as caught:
        saliency_map = SaliencyPredictor(checkpoint, device="cpu")(pictures[0])
    assert saliency_map.max() == 1 and len(caught) == 1 and "\n" not in str(caught[0].message)


def test_a_network_that_cannot_be_exported_runs_in_pytorch(checkpoint, empty_cache, pictures, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", 0.0)  # as if the graph gave other maps
    predictor = SaliencyPredictor(checkpoint, device="cpu", dtype="float32")
    with pytest.warns(GraphWarning, match=r"no graph can be made \(.*\); PyTorch predicts"):
        assert predictor(pictures[0]).shape == (40, 60)
    assert predictor.network.description == "PyTorch, cpu, float32" and not empty_cache.exists()
    if has_bfloat16():
        predictor = SaliencyPredictor(checkpoint, device="cpu", dtype="bfloat16")
        with pytest.warns(GraphWarning, match="no graph can be made"):
            assert predictor(pictures[0]).shape == (40, 60)
        assert predictor.network.description == "PyTorch, cpu, bfloat16" and predictor.model.dtype == torch.float32


def test_a_graph_of_other_weights_is_not_used(tmp_path, empty_cache):
    folder = Path(shutil.copytree(MINI, tmp_path / "trained"))
    assert find_graph(folder, (336, 448)) == folder / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_graph(folder, (240, 320)) is None  # another canvas is not the graph's fault
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    with pytest.warns(
        GraphWarning,
        match=r"model\.onnx: was made for other weights or settings; it is not used: `mlnet export --in-place`",
    ):
        assert find_graph(folder, (336, 448)) is None
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:5000])
    with pytest.warns(GraphWarning, match=r"model\.onnx: cannot be loaded: .*; it is not used"):
        assert find_graph(folder, (336, 448)) is None


def test_a_loaded_model_takes_its_checkpoint_s_graph_as_long_as_it_is_unchanged(pictures):
    model, image_processor = load_checkpoint("mini")
    assert loaded_from(model) == MINI and loaded_from(network(backbone="vgg11")) is None
    arguments = {"device": "cpu", "dtype": "float32"}
    predictor = SaliencyPredictor(model, image_processor, **arguments)
    expected = SaliencyPredictor("mini", **arguments)(pictures[0])
    assert np.array_equal(predictor(pictures[0]), expected)
    assert predictor.network.description == "OpenVINO, float32"
    assert loaded_from(model.bfloat16()) == MINI
    assert np.array_equal(SaliencyPredictor(model, image_processor, **arguments)(pictures[0]), expected)
    assert model.dtype == torch.bfloat16  # as it was given
    model = model.float()
    with torch.no_grad():
        model.encoder.out.weight[0, 0] *= 2
    assert loaded_from(model) is None
    changed = SaliencyPredictor(model, image_processor, **arguments)
    assert changed.network.description == "PyTorch, cpu, float32" and not np.array_equal(
        changed(pictures[0]), expected
    )


def test_images_that_keep_their_size_run_in_pytorch(checkpoint, pictures):
    settings = json.loads((checkpoint / "preprocessor_config.json").read_text())
    (checkpoint / "preprocessor_config.json").write_text(json.dumps({**settings, "do_resize": False}))
    predictor = SaliencyPredictor(checkpoint, device="cpu", dtype="float32")
    maps = predictor([*pictures, pictures[0]])
    assert [item.shape for item in maps] == [(40, 60), (60, 40), (64, 96), (35, 33), (40, 60)]
    assert np.array_equal(maps[0], maps[-1]) and predictor.network.description == "PyTorch, cpu, float32"
    model, image_processor = load_checkpoint(str(checkpoint))
    with torch.no_grad():
        outputs = model.eval()(**image_processor(pictures[2], return_tensors="pt"))
    [expected] = image_processor.post_process_saliency(outputs, [(64, 96)])
    np.testing.assert_allclose(maps[2], expected.numpy(), atol=1e-4)


@pytest.mark.skipif(
    os.environ.get("MLNET_COMPILE") is None, reason="needs a C++ compiler and a minute: MLNET_COMPILE=1"
)
def test_compiled_gives_equal_maps(checkpoint, pictures):
    arguments = {"device": "cpu", "dtype": "float32"}
    expected = SaliencyPredictor(checkpoint, **arguments)(pictures[0])
    compiled = SaliencyPredictor(checkpoint, **arguments, compile=True)
    np.testing.assert_allclose(compiled(pictures[0]), expected, atol=1e-4)
    assert compiled.network.description == "PyTorch, cpu, float32, compiled"


# --- processes


def test_a_predictor_can_be_pickled_and_copied(pictures):
    predictor = SaliencyPredictor("mini", device="cpu")
    expected = predictor(pictures[0])
    predictor.model  # noqa: B018 - loaded, and left behind
    content = pickle.dumps(predictor)
    assert len(content) < 10_000
    for second in (pickle.loads(content), copy.deepcopy(predictor), copy.copy(predictor)):
        assert np.array_equal(second(pictures[0]), expected)
    loaded = SaliencyPredictor(*load_checkpoint("mini"), device="cpu")
    assert np.array_equal(pickle.loads(pickle.dumps(loaded))(pictures[0]), expected)


def _predicted(arguments):
    predictor, picture = arguments
    return float(predictor(picture).mean())


def test_processes_that_are_spawned_predict():
    predictor = SaliencyPredictor("mini", device="cpu")
    expected = float(predictor(PICTURES[0]).mean())
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(_predicted, [(predictor, PICTURES[0])]) == [expected]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.parametrize("start", ["fork pool", "datasets"])
def test_a_process_that_was_forked_after_a_prediction_is_refused_at_once(start):
    code = (
        "import datasets, multiprocessing, sys\nfrom modeling_mlnet import SaliencyPredictor\n"
        f"pictures = {[str(item) for item in PICTURES]!r}\npredictor = SaliencyPredictor('mini', device='cpu')\n"
        "def work(row):\n    return {'mean': float(predictor(row['image']).mean())}\n"
        "predictor(pictures[0])\nrows = [{'image': one} for one in pictures]\n"
        "if sys.argv[1] == 'datasets':\n    datasets.Dataset.from_list(rows).map(work, num_proc=2)\n"
        "else:\n    multiprocessing.get_context('fork').Pool(2).map(work, rows)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, start], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode != 0 and "start the workers by 'spawn'" in done.stderr


def test_forked_processes_predict_if_their_parent_did_not():
    code = (
        "import multiprocessing\nfrom modeling_mlnet import SaliencyPredictor\n"
        f"pictures = {[str(item) for item in PICTURES]!r}\npredictor = SaliencyPredictor('mini', device='cpu')\n"
        "def work(picture):\n    return float(predictor(picture).mean())\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n    found = pool.map(work, pictures)\n"
        "assert found == [work(one) for one in pictures]\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=300, check=True)


# --- nothing phones home

WATCHED = """
import socket, sys
def refuse(*arguments, **options):
    print("LOOK-UP", arguments[:2], flush=True)
    raise OSError("no network here")
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = socket.socket.connect = refuse
from modeling_mlnet import SaliencyPredictor
predictor = SaliencyPredictor(sys.argv[1], device="cpu")
print(predictor(sys.argv[2]).shape)
import time; time.sleep(2)
"""


def test_prediction_asks_no_host_and_leaves_no_file(tmp_path, pictures):
    home = tmp_path / "home"
    home.mkdir()
    remaining = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
    environment = {name: os.environ[name] for name in remaining if name in os.environ}  # without CI, without HF_HOME
    environment |= {"HOME": str(home), "USERPROFILE": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    command = [sys.executable, "-B", "-c", WATCHED, "mini", str(pictures[0])]
    trace = tmp_path / "trace"
    if shutil.which("strace"):  # what libraries do below Python
        command = ["strace", "-f", "-e", "trace=connect,sendto", "-s", "200", "-o", str(trace), *command]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.strip() == "(40, 60)"
    assert not [item for item in home.rglob("*") if item.is_file()]
    if trace.exists():
        assert not [line for line in trace.read_text().splitlines() if "AF_INET" in line]


def test_openvino_is_imported_without_its_telemetry():
    code = "import modeling_mlnet.inference.network, sys; print(sys.modules['openvino_telemetry'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "None\n"


def test_the_embedded_graph_is_used_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert SaliencyPredictor("mini", device="cpu").network.description.startswith("OpenVINO, ")


def test_the_letterbox_of_a_file_is_the_image_processor_s(tmp_path):
    image, cells = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8), np.eye(42, 56, dtype=np.float32)
    for options in ({}, {"antialias": False, "do_rescale": True, "resample": 2}):
        image_processor = MLNetImageProcessor.from_pretrained(MINI, **options)
        image_processor.save_pretrained(tmp_path)
        letterbox = Letterbox.read(tmp_path / "preprocessor_config.json")
        [expected] = image_processor(image, return_tensors="np")["pixel_values"]
        assert np.array_equal(letterbox.pixel_values(image), expected)
        [saliency_map] = image_processor.post_process_saliency(torch.from_numpy(cells)[None], [(50, 70)])
        assert np.array_equal(letterbox.saliency_map(cells, (50, 70)), saliency_map.numpy())
    (tmp_path / "preprocessor_config.json").write_text("{}")
    assert Letterbox.read(tmp_path / "preprocessor_config.json") == Letterbox()
    (tmp_path / "preprocessor_config.json").write_text('{"size": {"height": 250, "width": 320}}')
    with pytest.raises(
        ValueError, match=r"preprocessor_config.json: cannot be read: size must hold .* multiples of 8"
    ):
        Letterbox.read(tmp_path / "preprocessor_config.json")


def test_several_threads_may_make_the_first_prediction():
    code = (
        "import os, sys, threading\nsys.setswitchinterval(1e-6)\nimport numpy as np\n"
        "from modeling_mlnet import MINI\nfrom modeling_mlnet.inference.network import OpenVINONetwork\n"
        "network = OpenVINONetwork(MINI / 'model.onnx', 'float32', (336, 448))\nbarrier = threading.Barrier(4)\n"
        "def predict():\n    barrier.wait()\n    network(np.zeros((3, 336, 448), np.float32))\n"
        "threads = [threading.Thread(target=predict) for _ in range(4)]\n"
        "[thread.start() for thread in threads]\n[thread.join() for thread in threads]"
    )
    for _ in range(3):  # without the first array of `network`, about one in six never ended
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
