"""The manifest of published checkpoints, `hubconfig.json`, and what a `--model` argument means."""

import json
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parent
ALIASES = {"mini": "mlnet-mini"}


@dataclass(frozen=True)
class Checkpoint:
    """One entry of the manifest.

    Args:
        path: Folder inside the package, or `None`.
        hub_id: Repository on the Hub, or `None`.
        revision: Commit of that repository, or `None`.
        sha256: Of `model.safetensors`, or `None` as long as it is not published.
        license: SPDX name.
        description: One line.
    """

    path: str | None
    hub_id: str | None
    revision: str | None
    sha256: str | None
    license: str
    description: str


def read_manifest() -> dict[str, Checkpoint]:
    """All published checkpoints by name."""
    # At the root of a checkout, where torch.hub users look for it; inside the package when installed from a wheel.
    candidates = (PACKAGE / "hubconfig.json", PACKAGE.parent / "hubconfig.json")
    path = next(one for one in candidates if one.is_file())
    entries = json.loads(path.read_text(encoding="utf-8"))["checkpoints"]
    return {name: Checkpoint(**entry) for name, entry in entries.items()}


def resolve_model(name: str) -> tuple[str, str | None]:
    """What a name given as model stands for: `(folder or Hub id, revision)`.

    Args:
        name: A name of the manifest (`mini` for `mlnet-mini`), a checkpoint's folder, or a Hub id.

    Raises:
        ValueError: If it is listed but not published, or looks like a path that does not exist.
    """
    entry = read_manifest().get(ALIASES.get(name, name))  # first: a folder called mini must not hide the default
    if entry is None:
        if Path(name).expanduser().is_dir():
            return str(Path(name).expanduser()), None
        if name.count("/") != 1 or name.startswith((".", "/", "~")):
            known = ", ".join([*ALIASES, *read_manifest()])
            raise ValueError(f"{name}: no such checkpoint folder, and not one of the known models ({known})")
        return name, None
    if entry.path is not None:
        return str(PACKAGE / entry.path), None
    if entry.hub_id is None:
        raise ValueError(
            f"{name} is not published yet: convert the authors' file with conversion/convert_keras_weights.py "
            "and name the folder, or name a Hub id"
        )
    return entry.hub_id, entry.revision
