"""What is pushed, to a Hub that runs here, and what users of every kind then get from it."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ask
from huggingface_hub import HfApi, ModelCard
from loopback_hub import Spoilt, running_hub
from PIL import Image
from typer.testing import CliRunner

from modeling_mlnet import MINI, SaliencyPredictor
from modeling_mlnet.cli import app
from modeling_mlnet.hub.model_card import CITATION, USE
from modeling_mlnet.hub.push import CODE, REQUIREMENTS, push

ID = "someone/eyes"
ENDPOINT = {"handler.py", "requirements.txt"}
CHECKPOINT = {"config.json", "model.safetensors", "preprocessor_config.json", "README.md", *ENDPOINT, *CODE}


@pytest.fixture
def checkpoint(small_checkpoint, tmp_path) -> Path:
    """A checkpoint among the files that a training run leaves beside it."""
    folder = tmp_path / "run"
    shutil.copytree(small_checkpoint, folder)
    for name in ("training_args.bin", "optimizer.pt", "trainer_state.json", "checkpoint-3/optimizer.pt", ".env"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"private")
    return folder


def pushed(hub, branch="main", repository=f"models/{ID}"):
    return hub.files(repository, hub.heads[repository][branch])


def test_a_push_is_one_commit_of_the_checkpoint_and_nothing_else(hub, checkpoint):
    sizes, address = push(str(checkpoint), ID)
    files = pushed(hub)
    assert set(files) == set(sizes) == CHECKPOINT and address.endswith(hub.heads[f"models/{ID}"]["main"])
    assert sum("/commit/" in item for item in hub.requests) == 1
    info = HfApi(endpoint=hub.address).model_info(ID)
    assert info.sha == hub.heads[f"models/{ID}"]["main"] and {item.rfilename for item in info.siblings or ()} == set(
        files
    )
    assert files["model.safetensors"] == (checkpoint / "model.safetensors").read_bytes()
    for name in CODE:
        assert files[name] == (Path(__file__).parent.parent / "modeling_mlnet" / name).read_bytes()


def test_a_dry_run_prints_what_would_go_and_sends_nothing(hub, checkpoint):
    result = CliRunner().invoke(app, ["push", str(checkpoint), ID, "--dry-run"])
    assert result.exit_code == 0, result.output
    assert {line.split()[-1] for line in result.stdout.splitlines()[:-1]} == CHECKPOINT
    assert "would be sent to someone/eyes" in result.stdout and not hub.requests


def test_private_and_revision_reach_the_hub(hub, checkpoint):
    result = CliRunner().invoke(app, ["push", str(checkpoint), ID, "--private", "--revision", "v2"])
    assert result.exit_code == 0, result.output
    assert hub.private == {f"models/{ID}"}
    assert not pushed(hub) and set(pushed(hub, "v2")) == CHECKPOINT


def test_a_second_push_keeps_what_others_added(hub, checkpoint):
    push(str(checkpoint), ID)
    hub.commit(f"models/{ID}", "main", {"notes.md": b"mine"})
    push(str(checkpoint), ID, message="again")
    assert set(pushed(hub)) == {*CHECKPOINT, "notes.md"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 100),
            "no ML-Net checkpoint could be",
        ),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "no ML-Net checkpoint could be"),
        (
            lambda folder: (folder / "README.md").write_text("---\nmodel-index: 3\n---\n# x"),
            "matter is not valid",
        ),
        (lambda folder: (folder / "README.md").write_text("---\n[\n---\n# x"), "matter is not valid"),
    ],
)
def test_what_cannot_be_used_is_not_published(hub, checkpoint, spoil, message):
    spoil(checkpoint)
    with pytest.raises(ValueError, match=message):
        push(str(checkpoint), ID)
    assert not hub.requests


def test_refused_tokens_and_wrong_names_are_one_line(hub, checkpoint):
    hub.spoil("/repos/create", Spoilt(401, times=9))
    with pytest.raises(ValueError, match=r"^someone/eyes: the Hub answered with status 401: log in with"):
        push(str(checkpoint), ID)
    with pytest.raises(ValueError, match="is called OWNER/NAME"):
        push(str(checkpoint), "eyes")


def test_the_card_says_how_to_use_the_model_from_where_it_is(hub, checkpoint):
    push(str(checkpoint), ID)
    card = ModelCard(pushed(hub)["README.md"].decode())
    assert card.data.library_name == "transformers" and card.data.pipeline_tag == "image-to-image"
    assert card.text.count(f'"{ID}"') >= 4 and "trust_remote_code=True" in card.text
    assert CITATION.strip() in card.text and "must not be used to judge" in card.text


def test_an_own_card_keeps_its_words_and_only_the_pictures_that_are_beside_it(hub, checkpoint):
    (checkpoint / "images").mkdir()
    Image.new("RGB", (8, 8)).save(checkpoint / "images" / "worst.png")
    Image.new("RGB", (8, 8)).save(checkpoint / "images" / "unused.png")
    text = (
        "---\nlicense: cc-by-4.0\ntags: [mine]\n---\n# Mine\n\nWords.\n\n![a](images/worst.png)\n![b](../secret.png)\n"
    )
    (checkpoint / "README.md").write_text(text)
    push(str(checkpoint), ID)
    files = pushed(hub)
    assert set(files) == {*CHECKPOINT, "images/worst.png"}
    card = ModelCard(files["README.md"].decode())
    assert card.data.license == "cc-by-4.0" and card.data.tags[0] == "mine" and "saliency" in card.data.tags
    assert "# Mine\n\nWords." in card.text and "secret" not in card.text and USE[0] in card.text


def test_the_embedded_checkpoint_s_card_has_every_part(hub):
    push("mini", ID)
    files = pushed(hub)
    card = ModelCard(files["README.md"].decode())
    assert card.data.license == "mit" and card.data.datasets and card.data.base_model
    result = {(item.dataset_name, item.metric_name): item.metric_value for item in card.data.eval_results}
    scores = json.loads((Path(__file__).parent.parent / "experiments" / "mini_scores.json").read_text())["tuebingen"]
    assert result["OSIE", "NSS (tuebingen)"] == pytest.approx(
        scores["OSIE"]["mini"]["metrics"]["NSS"]["mean"], abs=1e-4
    )
    shown = {name for name in files if name.startswith("images/")}
    assert {"images/examples.jpg", "images/worst.png", "images/importance.png"} <= shown
    for part in ("inter-observer", "centre", "## Limits", "@inproceedings", "mlnet train recipes/mini.yaml"):
        assert part in card.text, part


ENVIRONMENT = {"HF_TOKEN": "hf_nobody", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


def run(python, code, tmp_path, address):
    settings = {**os.environ, **ENVIRONMENT, "HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": address}
    settings.pop("PYTHONPATH", None)
    done = subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=False, env=settings, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory) -> Path:
    """Python with every library but this package: another environment that borrows this one's site-packages.

    Of a folder named in a .pth file, Python does not read .pth files, by which the package itself is installed here.
    """
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    [site] = folder.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    code = "import numpy, importlib.util as u; print(getattr(u.find_spec('modeling_mlnet'), 'loader', None) is None)"
    result = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    if result.stdout.strip() != "True":
        pytest.skip("the package is installed in site-packages itself: install it with pip install -e")
    return python


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A Hub with the embedded checkpoint."""
    folder = tmp_path_factory.mktemp("published")
    with running_hub(folder / "hub") as hub:
        with pytest.MonkeyPatch.context() as patch:
            ask(hub, folder / "cache", patch)
            push("mini", ID)
        yield hub


def code_blocks(text, language="python"):
    return [part.split("```")[0] for part in text.split(f"```{language}\n")[1:]]


def test_the_card_s_code_works_when_pasted_where_the_package_is_not_installed(published, bare_python, tmp_path):
    shutil.copy(Path(__file__).parent / "fixtures" / "images" / "coffee.jpg", tmp_path / "photo.jpg")
    expected = SaliencyPredictor("mini", dtype="float32")(tmp_path / "photo.jpg")
    fastest = SaliencyPredictor("mini")(tmp_path / "photo.jpg")
    blocks = [item for item in code_blocks(pushed(published)["README.md"].decode()) if ID in item]
    package, pipeline, classes = blocks
    save = "\nimport numpy; numpy.save('map.npy', {})\n"
    for python, code, result, wanted in (
        (sys.executable, package, "saliency_map", fastest),
        (bare_python, pipeline, "result['saliency_map'].numpy()", expected),
        (bare_python, classes, "saliency_map.numpy()", expected),
    ):
        run(python, code + save.format(result), tmp_path, published.address)
        np.testing.assert_allclose(np.load(tmp_path / "map.npy"), wanted, atol=1e-4)
        (tmp_path / "map.npy").unlink()


def test_with_the_package_nobody_is_asked_to_trust_anything(published, tmp_path):
    shutil.copy(Path(__file__).parent / "fixtures" / "images" / "coffee.jpg", tmp_path / "photo.jpg")
    code = f"""
import modeling_mlnet
from transformers import AutoConfig, AutoImageProcessor, AutoModel, pipeline
for one in (AutoConfig, AutoModel, AutoImageProcessor):
    print(type(one.from_pretrained("{ID}")).__module__)
saliency = pipeline("saliency-prediction", model="{ID}")
print(type(saliency).__module__, saliency("photo.jpg")["heatmap"].size)
"""
    assert run(sys.executable, code, tmp_path, published.address).split("\n")[:4] == [
        "modeling_mlnet.configuration_mlnet",
        "modeling_mlnet.modeling_mlnet",
        "modeling_mlnet.image_processing_mlnet",
        "modeling_mlnet.pipeline_mlnet (600, 400)",
    ]


ENDPOINT_RUNTIME = f"""
import base64, importlib.util, io, sys
from pathlib import Path
from huggingface_hub import snapshot_download
from PIL import Image

folder = snapshot_download("{ID}", local_dir="repository")
# by name, path and call as huggingface-inference-toolkit does it
spec = importlib.util.spec_from_file_location("handler.EndpointHandler", Path(folder, "handler.py"))
sys.path.insert(0, folder)
module = importlib.util.module_from_spec(spec)
sys.modules["handler.EndpointHandler"] = module
spec.loader.exec_module(module)
handler = module.EndpointHandler(folder)

content = Path("photo.jpg").read_bytes()
decoded = Image.open(io.BytesIO(content)).convert("RGB")  # a body of the type image/jpeg
text = base64.b64encode(content).decode()  # JSON
handler(dict(inputs=decoded)).save("map.png")
handler(dict(inputs=text, parameters=dict(apply_prior=False))).save("before_prior.png")
for wrong in ("http://127.0.0.1/photo.jpg", "photo.jpg", ["photo.jpg"], None):
    try:
        handler(dict(inputs=wrong))
    except ValueError as error:
        print(error)
"""


def test_the_runtime_of_an_inference_endpoint_gets_maps_from_the_handler(published, bare_python, tmp_path):
    photo = shutil.copy(Path(__file__).parent / "fixtures" / "images" / "coffee.jpg", tmp_path / "photo.jpg")
    printed = run(bare_python, ENDPOINT_RUNTIME, tmp_path, published.address)
    assert printed.count("inputs must be an image file in base64") == 2 and printed.count("must be one image") == 2
    predictor = SaliencyPredictor("mini", dtype="float32")
    for name, expected in (("map", predictor(photo)), ("before_prior", predictor(photo, apply_prior=False))):
        values = np.asarray(Image.open(tmp_path / f"{name}.png"))
        np.testing.assert_allclose(values / 255, expected, atol=0.5 / 255 + 1e-4)


def test_an_endpoint_installs_what_the_package_asks_for():
    root = Path(__file__).parent.parent
    asked = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    lines = REQUIREMENTS.splitlines()
    assert [line for line in lines if line not in asked] == ["torchvision"]  # that fits the container's own torch


def test_torch_hub_works_from_a_bare_checkout(bare_python, tmp_path):
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("hubconf.py", "hubconfig.json"):
        shutil.copy(Path(__file__).parent.parent / name, checkout)
    shutil.copytree(MINI.parent.parent, checkout / "modeling_mlnet", ignore=shutil.ignore_patterns("__pycache__"))
    picture = Path(__file__).parent / "fixtures" / "images" / "coffee.jpg"
    code = f"""
import numpy, torch
saliency = torch.hub.load({str(checkout)!r}, "saliency", source="local")
numpy.save("map.npy", saliency({str(picture)!r}))
untrained = torch.hub.load({str(checkout)!r}, "mlnet", source="local", pretrained=False, backbone="resnet10t")
print(untrained.config.backbone)
"""
    printed = run(bare_python, code, tmp_path, "http://127.0.0.1:9")
    assert "resnet10t" in printed
    np.testing.assert_allclose(np.load(tmp_path / "map.npy"), SaliencyPredictor("mini")(picture), atol=1e-6)


def test_the_code_on_the_hub_imports_only_its_neighbours_and_known_libraries():
    from transformers.dynamic_module_utils import get_imports, get_relative_imports

    allowed = {"torch", "torchvision", "timm", "transformers", "huggingface_hub", "safetensors", "numpy", "PIL"}
    for name in CODE:
        path = Path(__file__).parent.parent / "modeling_mlnet" / name
        assert set(get_imports(path)) - set(sys.stdlib_module_names) <= allowed, name
        assert {f"{item}.py" for item in get_relative_imports(path)} <= set(CODE), name


def test_maps_do_not_change_on_the_way(hub, checkpoint, pictures):
    push(str(checkpoint), ID)
    here, there = SaliencyPredictor(str(checkpoint)), SaliencyPredictor(ID)
    for name, tensor in here.model.state_dict().items():
        assert torch.equal(tensor, there.model.state_dict()[name])
    np.testing.assert_array_equal(here(pictures[0]), there(pictures[0]))
