"""The server of one process, behind `mlnet serve`."""

import signal
import socket

import uvicorn

from .app import create_app
from .settings import Settings

GRACE = 5  # seconds beyond a request's own time until the server ends although something is not answered


def serve(settings: Settings, host: str, port: int) -> None:
    """Serves until SIGINT or SIGTERM, then finishes pending requests and returns.

    Args:
        settings: Settings of the service.
        host: Address to listen on.
        port: To listen on; 0 takes a free one.

    Raises:
        ValueError: If a setting is wrong, the model cannot be loaded, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(
            f"cannot listen on {host}, port {port}: {reason}; choose others with --host, --port"
        ) from None
    with listener:
        app = create_app(settings)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=int(settings.timeout) + GRACE,
        )
        shown = f"[{host}]" if family == socket.AF_INET6 else host
        # uvicorn sends itself the signal again when it has ended: that is no error here
        before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            print(f"http://{shown}:{listener.getsockname()[1]} (documentation at /docs)", flush=True)
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
