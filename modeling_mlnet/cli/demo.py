"""`mlnet demo`."""

from pathlib import Path
from typing import Annotated

import typer

# A wheel brings them beside the page's code; in a checkout they belong to the Space's folder.
EXAMPLES = next(filter(Path.is_dir, (Path(__file__).parents[n] / "demo" / "examples" for n in (1, 2))), None)


def demo(
    model: Annotated[
        str, typer.Option(help="mini, vgg16, a checkpoint's folder or a Hub id.", envvar="MODEL_ID", show_envvar=True)
    ] = "mini",
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 7860,
    examples: Annotated[
        Path | None, typer.Option(help="Folder of images to offer.", metavar="DIR", exists=True, file_okay=False)
    ] = None,
    share: Annotated[bool, typer.Option("--share", help="Also open a public link through gradio's servers.")] = False,
) -> None:
    """Serve the web page on this machine, until Ctrl-C.

    Example: mlnet demo --port 8080
    """
    from ..demo import launch

    try:
        launch(model, examples or EXAMPLES, server_name=host, server_port=port, share=share)
    except OSError as error:  # gradio's message speaks of its own parameters
        if "empty port" not in str(error):
            raise
        raise ValueError(f"port {port} is taken on {host}; choose another one with --port") from error
