"""Helpers for the tests of the page that predicts in the browser: its files, and a server for them."""

import os
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from modeling_mlnet.inference.web import ORT, ORT_VERSION

ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


def npm_package() -> Path:
    """onnxruntime-web as `npm pack` brings it; skips the test where it is not at hand."""
    path = os.environ.get("MLNET_ONNXRUNTIME_WEB")
    if not path:
        pytest.skip(f"MLNET_ONNXRUNTIME_WEB does not name the file of `npm pack {ORT}@{ORT_VERSION}`")
    return Path(path)


class Handler(SimpleHTTPRequestHandler):
    headers_sent: dict[str, str] = {}

    def end_headers(self):
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def serve(folder: Path, is_isolated: bool = True):
    """The folder on this machine, with the headers that let WebAssembly use threads or without."""
    handler = type("Isolated", (Handler,), {"headers_sent": ISOLATION if is_isolated else {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
