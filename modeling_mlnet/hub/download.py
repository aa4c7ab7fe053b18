"""Downloads of checkpoints from the Hub, with errors of one line."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
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
from .registry import CALIBRATION, CARD, CONFIG, PROCESSOR, WEIGHTS, sha256

STATUS = {401: "log in with `hf auth login`", 403: "your token may not do this", 429: "wait a while and try again"}


def fetch(hub_id: str, revision: str | None = None, expected_sha256: str | None = None) -> Path:
    """Downloads a checkpoint, unless it is in the cache.

    The configuration is downloaded first, so that a repository of another model is refused before its weights are
    loaded. All files are of the commit of the configuration.

    Args:
        hub_id: `owner/name`.
        revision: Branch, tag or commit; the main branch if not given.
        expected_sha256: SHA-256 of model.safetensors.

    Returns:
        The folder in the cache with config.json, model.safetensors, preprocessor_config.json and, if there is one,
        calibration.json. Its name is the commit.

    Raises:
        ValueError: If a file is missing or wrong, naming it. Weights with another sum are removed from the cache.
    """
    with one_line_errors(hub_id, revision):
        config = Path(hf_hub_download(hub_id, CONFIG, revision=revision))
        check_config(config, hub_id)
        commit = config.parent.name
        hf_hub_download(hub_id, PROCESSOR, revision=commit)
        weights = Path(hf_hub_download(hub_id, WEIGHTS, revision=commit))
        if try_to_load_from_cache(hub_id, CALIBRATION, revision=commit) is None:  # there may be one
            with suppress(EntryNotFoundError):
                hf_hub_download(hub_id, CALIBRATION, revision=commit)
    if expected_sha256 is not None and (actual := sha256(weights)) != expected_sha256:
        weights.resolve().unlink()  # the file that the link in the snapshot points to
        weights.unlink(missing_ok=True)
        raise ValueError(
            f"{hub_id}: {WEIGHTS} has sha256 {actual}, hubconfig.json expects {expected_sha256}; it was removed from "
            "the cache: try again, and if it happens twice, do not use this repository"
        )
    return config.parent


def fetch_card(hub_id: str, revision: str) -> Path | None:
    """Downloads the card of a checkpoint; `None` if there is none or the Hub cannot be reached."""
    try:
        with one_line_errors(hub_id, revision):
            return Path(hf_hub_download(hub_id, CARD, revision=revision))
    except ValueError:
        return None


def check_config(path: Path, name: str) -> None:
    """Raises a ValueError unless a config.json is one of ML-Net without a misspelt field.

    Args:
        path: The file.
        name: Name of the checkpoint in messages.
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
    """Turns errors of huggingface_hub and of the connection into a one-line ValueError with advice."""
    try:
        yield
    except GatedRepoError as error:
        address = f"{constants.ENDPOINT}/{hub_id}"
        raise ValueError(
            f"{hub_id}: is gated: ask for access at {address}, then log in with `hf auth login`"
        ) from error
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
    except (HTTPError, OSError) as error:  # the connection broke, the disk is full, or the cache cannot be written
        if isinstance(error, OSError) and error.filename is not None:
            reason = f"{error.filename}: {error.strerror}; HF_HOME may name another folder"
            raise ValueError(f"{hub_id}: cannot be kept in the cache: {reason}") from error
        raise ValueError(
            f"{hub_id}: the download was interrupted: {error or type(error).__name__}; it is not used: try again"
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
