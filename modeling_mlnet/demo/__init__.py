"""The web page: `launch` serves it, `build_demo` gives it as gradio Blocks. Needs the extra `demo`."""

from ..io.proxies import unproxied

with unproxied():  # importing gradio asks nobody, but makes the proxies ready
    from .page import build_demo
    from .server import launch, serving

__all__ = ["build_demo", "launch", "serving"]
