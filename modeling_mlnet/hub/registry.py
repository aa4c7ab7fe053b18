"""The registry of checkpoints, `hubconfig.json`, and what a `--model` argument refers to."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parent.parent
ALIASES = {"mini": "mlnet-mini", "vgg16": "mlnet-vgg16"}
# The files of a checkpoint; graph, card and calibration may be missing.
CONFIG, WEIGHTS, PROCESSOR = "config.json", "model.safetensors", "preprocessor_config.json"
GRAPH = "model.onnx"  # written by `mlnet export`
CARD = "README.md"
CALIBRATION = "calibration.json"  # written by `mlnet calibrate`


@dataclass(frozen=True)
class Checkpoint:
    """An entry of the registry.

    Args:
        path: Folder inside the package, or `None`.
        hub_id: Repository on the Hub, or `None`.
        revision: Commit of that repository, or `None`.
        sha256: SHA-256 of `model.safetensors`; `None` if the checkpoint is not published.
        license: SPDX identifier.
        description: One line.
        backbone: Name of the architecture in timm.
        parameters: Number of parameters.
        scores: `{data set: {metric: mean}}` on images kept out of training, under the protocol `tuebingen`.
    """

    path: str | None
    hub_id: str | None
    revision: str | None
    sha256: str | None
    license: str
    description: str
    backbone: str
    parameters: int
    scores: dict[str, dict[str, float]]


class CheckpointSource(NamedTuple):
    """Source of a checkpoint.

    Args:
        location: A folder, or a Hub id.
        revision: Revision of the repository on the Hub; `None` is its main branch.
        sha256: SHA-256 of model.safetensors; `None` if it is not known.
    """

    location: str
    revision: str | None = None
    sha256: str | None = None


def read_manifest() -> dict[str, Checkpoint]:
    """Reads the registry: all checkpoints by name."""
    # At the root of a checkout, where torch.hub users look for it; inside the package when installed from a wheel.
    candidates = (PACKAGE / "hubconfig.json", PACKAGE.parent / "hubconfig.json")
    path = next(candidate for candidate in candidates if candidate.is_file())
    entries = json.loads(path.read_text(encoding="utf-8"))["checkpoints"]
    return {name: Checkpoint(**entry) for name, entry in entries.items()}


def find_entry(name: str) -> Checkpoint | None:
    """The checkpoint that a name or an alias stands for; `None` if it is not in the registry."""
    return read_manifest().get(ALIASES.get(name, name))


def resolve_model(name: str) -> CheckpointSource:
    """Finds where a checkpoint comes from, without a download.

    Args:
        name: A name in the registry (`mini` for `mlnet-mini`), the folder of a checkpoint, or a Hub id.

    Raises:
        ValueError: If the name is in the registry but not published, or looks like a path that does not exist.
    """
    entry = find_entry(name)  # before folders: a folder called mini must not hide the default
    is_published = entry is not None and (entry.path or entry.hub_id)
    if entry is None or (not is_published and Path(name).is_dir()):  # the folder may hold a converted checkpoint
        if Path(name).expanduser().is_dir():
            return CheckpointSource(str(Path(name).expanduser()))
        if name.count("/") != 1 or name.startswith((".", "/", "~")):
            known = ", ".join([*ALIASES, *read_manifest()])
            raise ValueError(f"{name}: no such checkpoint folder, and not one of the known models ({known})")
        return CheckpointSource(name)
    if entry.path is not None:
        return CheckpointSource(str(PACKAGE / entry.path))
    if entry.hub_id is None:
        raise ValueError(
            f"{name} is not published yet: convert the authors' file with conversion/convert_keras_weights.py "
            "and name the folder, or name a Hub id"
        )
    return CheckpointSource(entry.hub_id, entry.revision, entry.sha256)


def is_embedded(name: str) -> bool:
    """Whether this names a checkpoint inside the package; the path of its folder does not."""
    entry = find_entry(name)
    return entry is not None and entry.path is not None


def is_here(entry: Checkpoint) -> bool:
    """Whether a checkpoint can be used without a download."""
    if entry.path is not None:
        return True
    if entry.hub_id is None:
        return False

    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(entry.hub_id, WEIGHTS, revision=entry.revision), str)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(folder: Path) -> str:
    """SHA-256 of what a checkpoint's maps depend on: its configurations and weights, or its graph if it is no more."""
    digest = hashlib.sha256()
    for name in (CONFIG, PROCESSOR, WEIGHTS if (folder / WEIGHTS).is_file() else GRAPH):
        if (folder / name).is_file():
            digest.update(sha256(folder / name).encode())
    return digest.hexdigest()
