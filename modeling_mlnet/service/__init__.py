"""The HTTP service: predictions, regions, comparisons and crops over HTTP, for several people at a time."""

from .app import create_app
from .settings import Settings

__all__ = ["Settings", "create_app"]
