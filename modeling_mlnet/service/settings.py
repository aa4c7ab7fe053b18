"""Settings of the service, from the environment: the same for `mlnet serve` and for `uvicorn --workers`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ..inference.network import usable_cores

PREFIX = "MLNET_SERVE_"  # of the environment variables: the name of a field in capitals follows


@dataclass(frozen=True)
class Settings:
    """How the service runs.

    Args:
        model: mini, vgg16, a checkpoint's folder or a Hub id.
        threads: Images worked on at a time; the number of cores by default.
        queue: Requests that may wait for a thread; further ones are answered with 429.
        timeout: Seconds from the start of a request to its answer.
        token: Required from requests to `/v1/` and `/metrics` as `Authorization: Bearer TOKEN`; default: none.
        cors: Origins whose pages may ask, with commas, or `*` for all; none by default.
    """

    model: str = "mini"
    threads: int = field(default_factory=usable_cores)
    queue: int = 64
    timeout: float = 60.0
    token: str | None = field(default=None, repr=False)
    cors: str = ""

    def __post_init__(self) -> None:
        for name in ("threads", "queue", "timeout"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{PREFIX}{name.upper()} must be above 0, got {value}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, **values: Any) -> "Settings":
        """Settings from `MLNET_SERVE_MODEL`, `MLNET_SERVE_QUEUE` and so on; an empty variable counts as not set.

        Args:
            environment: Variables with their values.
            values: Fields that are not read from the environment.

        Raises:
            ValueError: If a variable has no such field or a value of the wrong kind, naming it.
        """
        kinds = {entry.name: entry.type if entry.type in (int, float) else str for entry in fields(cls)}
        for variable, text in environment.items():
            name = variable.removeprefix(PREFIX).lower()
            if not variable.startswith(PREFIX) or not text or name in values:
                continue
            if name not in kinds:
                known = ", ".join(PREFIX + field.upper() for field in kinds)
                raise ValueError(f"{variable}: no such setting; there are {known}")
            try:
                values[name] = kinds[name](text)
            except ValueError:
                raise ValueError(f"{variable} must be a number, got {text!r}") from None
        return cls(**values)
