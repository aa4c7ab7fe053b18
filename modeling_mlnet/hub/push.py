"""Publishing a checkpoint on the Hub in one commit."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, ModelCard

from ..io.json_types import JsonObject
from .checkpoint import checkpoint_folder, load_checkpoint
from .download import one_line_errors
from .model_card import compose, for_hub, front_matter
from .registry import ALIASES, CALIBRATION, CARD, CONFIG, PROCESSOR, WEIGHTS

CODE = (  # copied beside the checkpoint, for `trust_remote_code=True`
    "architecture_mlnet.py",
    "backbones_mlnet.py",
    "configuration_mlnet.py",
    "image_files_mlnet.py",
    "image_processing_mlnet.py",
    "images_mlnet.py",
    "layers_mlnet.py",
    "letterbox_mlnet.py",
    "losses_mlnet.py",
    "modeling_mlnet.py",
    "pipeline_mlnet.py",
)
HANDLER = "handler.py"  # for Hugging Face Inference Endpoints, with what it needs besides the container's own torch
REQUIREMENTS = "pillow>=11.0\nsafetensors>=0.8\ntimm>=1.0.31\ntorchvision\ntransformers>=5.23\n"
CONFIG_CODE = {
    "auto_map": {"AutoConfig": "configuration_mlnet.MLNetConfig", "AutoModel": "modeling_mlnet.MLNetModel"},
    "custom_pipelines": {
        "saliency-prediction": {
            "impl": "pipeline_mlnet.SaliencyPredictionPipeline",
            "pt": ["AutoModel"],
            "type": "image",
        }
    },
}
PROCESSOR_CODE = {"auto_map": {"AutoImageProcessor": "image_processing_mlnet.MLNetImageProcessor"}}
IMAGE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)\n*")


@contextmanager
def staged(model: str, hub_id: str) -> Iterator[Path]:
    """Prepares a folder to push: weights, configurations, calibration, code, handler, card, images.

    Args:
        model: As in `resolve_model`. It is loaded once, so that only checkpoints that work are published.
        hub_id: `owner/name`, for the card.

    Raises:
        ValueError: If the checkpoint is incomplete, or its card is not valid.
    """
    source = checkpoint_folder(model)
    load_checkpoint(model)
    with tempfile.TemporaryDirectory(prefix="mlnet-push-") as temporary:
        folder = Path(temporary)
        for name, code in ((CONFIG, CONFIG_CODE), (PROCESSOR, PROCESSOR_CODE)):
            values = json.loads((source / name).read_text(encoding="utf-8")) | code
            (folder / name).write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        shutil.copyfile(source / WEIGHTS, folder / WEIGHTS)
        if (source / CALIBRATION).is_file():
            shutil.copyfile(source / CALIBRATION, folder / CALIBRATION)
        for name in CODE:
            shutil.copyfile(Path(__file__).parent.parent / name, folder / name)
        shutil.copyfile(Path(__file__).with_name("endpoint_handler.py"), folder / HANDLER)
        (folder / "requirements.txt").write_text(REQUIREMENTS, encoding="utf-8")
        card = source / CARD
        text = card.read_text(encoding="utf-8") if card.is_file() else _plain_card(source, hub_id)
        try:
            text = for_hub(text, hub_id)
            ModelCard(text)
        except Exception as error:  # the YAML reader's, or another one that a wrong value causes
            reason = " ".join(str(error).split())
            raise ValueError(f"{card}: its front matter is not valid: {reason}") from error
        (folder / CARD).write_text(_with_images(text, source, folder), encoding="utf-8")
        yield folder


def _plain_card(source: Path, hub_id: str) -> str:
    """The card of a checkpoint without one."""
    config: JsonObject = json.loads((source / CONFIG).read_text(encoding="utf-8"))
    backbone = config.get("backbone", "vgg16")
    text = (
        f"ML-Net (Cornia et al., ICPR 2016, arXiv 1609.01064) on the timm backbone `{backbone}`. Its training and its "
        "scores are not documented."
    )
    title = hub_id.partition("/")[2]
    return compose(front_matter(title, {}, "tuebingen", {}, license="unknown"), title, text, title, {})


def _with_images(text: str, source: Path, folder: Path) -> str:
    """Copies the images that the card shows, and removes links to those that are missing or outside of the folder."""

    def copy_image(match: re.Match) -> str:
        name = match[1]
        image = source / name
        if "://" in name:
            return match[0]
        if Path(name).is_absolute() or ".." in Path(name).parts or not image.is_file():
            return ""
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image, folder / name)
        return match[0]

    return IMAGE.sub(copy_image, text)


def push(
    model: str,
    hub_id: str,
    private: bool | None = None,
    revision: str | None = None,
    dry_run: bool = False,
    token: str | None = None,
    message: str | None = None,
) -> tuple[dict[str, int], str | None]:
    """Publishes a checkpoint on the Hub in one commit; other files of the repository stay as they are.

    Args:
        model: As in `resolve_model`.
        hub_id: `owner/name`; the repository is created if it does not exist.
        private: Whether a new repository is private; `None` is the default of the account.
        revision: Branch, created if it does not exist; the main branch if not given.
        dry_run: Whether to return the files without sending them.
        token: Replaces the one of `hf auth login`.
        message: Message of the commit.

    Returns:
        The size in bytes of every file, and the address of the commit, which is `None` for a dry run.

    Raises:
        ValueError: If the checkpoint is incomplete, or the Hub refuses it.
    """
    if hub_id.count("/") != 1:
        raise ValueError(f"{hub_id}: a repository on the Hub is called OWNER/NAME")
    with staged(model, hub_id) as folder:
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        sizes = {name: (folder / name).stat().st_size for name in names}
        if dry_run:
            return sizes, None
        api = HfApi(token=token)
        with one_line_errors(hub_id, revision):
            ModelCard.load(folder / CARD).validate()
            api.create_repo(hub_id, private=private, exist_ok=True)
            if revision is not None:
                api.create_branch(hub_id, branch=revision, exist_ok=True)
            name = ALIASES.get(model, Path(model).name)
            commit = api.upload_folder(
                repo_id=hub_id,
                folder_path=folder,
                commit_message=message or f"ML-Net checkpoint {name}",
                revision=revision,
            )
    return sizes, commit.commit_url
