"""Logs as one JSON object a line on stderr: times, sizes and statuses; never contents or names of images."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

LOGGER = logging.getLogger("modeling_mlnet.service")
OTHERS = ("uvicorn", "py.warnings")  # whose lines are written the same way


class JsonFormatter(logging.Formatter):
    """A record as JSON: time, level, logger, message, the record's `details`, and the traceback of an error."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        values = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().strip(),
            **getattr(record, "details", {}),
        }
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return json.dumps(values, ensure_ascii=False, default=str)


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what `sys.stderr` is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def configure_logging() -> None:
    """Logs the service, uvicorn and warnings as JSON lines, without uvicorn's line for each request."""
    handler = _Stderr()
    handler.setFormatter(JsonFormatter())
    for name in (LOGGER.name, *OTHERS):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
    logging.getLogger("uvicorn.error").handlers.clear()
    logging.getLogger("uvicorn.error").propagate = True  # to uvicorn's
    logging.getLogger("uvicorn.access").disabled = True
    LOGGER.setLevel(logging.INFO)
    logging.captureWarnings(True)
