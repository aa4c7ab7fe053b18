"""`mlnet serve`."""

from typing import Annotated

import typer


def serve(
    model: Annotated[
        str,
        typer.Option(
            help="mini, vgg16, a checkpoint's folder or a Hub id.", envvar="MLNET_SERVE_MODEL", show_envvar=True
        ),
    ] = "mini",
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
) -> None:
    """Serve predictions over HTTP on this machine, until Ctrl-C or SIGTERM; requests that are in are answered first.

    More is set by environment variables, also for several processes (docs/service.md).

    Example: mlnet serve --port 8080, and then: curl -F image=@photo.jpg http://127.0.0.1:8080/v1/predict
    """
    from ..service import Settings
    from ..service.server import serve as run

    run(Settings.from_environment(model=model), host, port)
