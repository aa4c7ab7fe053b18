"""The web page: `launch` serves it, `build_demo` gives it as gradio Blocks. Needs the extra `demo`."""

from .page import build_demo, launch, serving

__all__ = ["build_demo", "launch", "serving"]
