"""Checkpoints from the Hub: whole files of one commit, those that the manifest means, and one line for what fails."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ..configuration_mlnet import MLNetConfig
from .registry import CARD, CONFIG, PROCESSOR, WEIGHTS, sha256

STATUS = {401: "log in with `hf auth login`", 403: "your token may not do this", 429: "wait a while and try again"}


def fetch(hub_id: str, revision: str | None = None, expected_sha256: str | None = None) -> Path:
    """Downloads a checkpoint, or finds it in the cache.

    Its configuration comes first: a repository of another kind is refused before its weights are loaded. All files
    are of the commit that the first one came from.

    Args:
        hub_id: `owner/name`.
        revision: Branch, tag or commit; the main branch if not given.
        expected_sha256: Of model.safetensors.

    Returns:
        The folder in the cache that holds config.json, model.safetensors and preprocessor_config.json; its name is
        the commit.

    Raises:
        ValueError: If anything is missing or wrong, naming it. A file with another sum is removed from the cache.
    """
    with one_line_errors(hub_id, revision):
        config = Path(hf_hub_download(hub_id, CONFIG, revision=revision))
        check_config(config, hub_id)
        commit = config.parent.name
        hf_hub_download(hub_id, PROCESSOR, revision=commit)
        weights = Path(hf_hub_download(hub_id, WEIGHTS, revision=commit))
    if expected_sha256 is not None and (found := sha256(weights)) != expected_sha256:
        weights.resolve().unlink()  # the content that the name in the snapshot points to
        weights.unlink(missing_ok=True)
        raise ValueError(
            f"{hub_id}: {WEIGHTS} has sha256 {found}, hubconfig.json expects {expected_sha256}; it was removed from "
            "the cache: try again, and if it happens twice, do not use this repository"
        )
    return config.parent


def fetch_card(hub_id: str, revision: str) -> Path | None:
    """The card of a checkpoint on the Hub; `None` if it has none or cannot be reached."""
    try:
        with one_line_errors(hub_id, revision):
            return Path(hf_hub_download(hub_id, CARD, revision=revision))
    except ValueError:
        return None


def check_config(path: Path, name: str) -> None:
    """Raises a ValueError unless a config.json is one of ML-Net without a misspelt field.

    Args:
        path: The file.
        name: What the message calls the checkpoint.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        model_type = config.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"{name}: its {CONFIG} cannot be read: {error}") from error
    if model_type != MLNetConfig.model_type:
        raise ValueError(f"{name}: is a checkpoint of model type {model_type!r}, not of ML-Net")
    try:
        MLNetConfig.refuse_misspelt_fields(config)
    except ValueError as error:
        raise ValueError(f"{name}: its {CONFIG} cannot be used: {error}") from error


@contextmanager
def one_line_errors(hub_id: str, revision: str | None = None) -> Iterator[None]:
    """Turns what the Hub and the way to it can answer into a ValueError of one line that says what to do."""
    try:
        yield
    except GatedRepoError as error:
        place = f"{constants.ENDPOINT}/{hub_id}"
        raise ValueError(f"{hub_id}: is gated: ask for access at {place}, then log in with `hf auth login`") from error
    except RepositoryNotFoundError as error:
        raise ValueError(
            f"{hub_id}: there is no such repository at {constants.ENDPOINT}, or it is private: check the name, or log "
            "in with `hf auth login`"
        ) from error
    except RevisionNotFoundError as error:
        raise ValueError(f"{hub_id}: has no revision {revision!r}") from error
    except RemoteEntryNotFoundError as error:
        missing = str(error.response.url).rpartition("/")[2] if error.response is not None else "a file"
        raise ValueError(f"{hub_id}: is no ML-Net checkpoint: it has no {missing}") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise ValueError(f"{hub_id}: {_unreachable(error)}") from error
    except HfHubHTTPError as error:
        raise ValueError(f"{hub_id}: {_answered(error)}") from error
    except (HFValidationError, EntryNotFoundError) as error:
        raise ValueError(f"{hub_id}: {error}") from error
    except (HTTPError, OSError) as error:  # the connection broke, or the disk is full
        raise ValueError(
            f"{hub_id}: the transfer was cut off: {error or type(error).__name__}; nothing of it is used: try again"
        ) from error


def _unreachable(error: Exception) -> str:
    reason = error.__cause__ or error
    if isinstance(reason, HfHubHTTPError):
        return _answered(reason)
    why = "offline mode is on (HF_HUB_OFFLINE)" if isinstance(reason, OfflineModeIsEnabled) else "it cannot be reached"
    return (
        f"is not in the cache, and {constants.ENDPOINT} was not asked or did not answer: {why}; use the embedded "
        "checkpoint (mini), a checkpoint's folder, or try again with a connection"
    )


def _answered(error: HfHubHTTPError) -> str:
    status = error.response.status_code if error.response is not None else 0
    return f"the Hub answered with status {status}: {STATUS.get(status, 'try again later')}"
