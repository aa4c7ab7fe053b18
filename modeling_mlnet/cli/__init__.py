"""The command `mlnet`. Heavy modules are imported by the commands that need them, not for `--help`."""

import sys
import warnings
from typing import Any

import typer

from .data import app as data
from .demo import demo
from .evaluate import evaluate
from .explain import explain
from .export import export
from .figure import figure
from .models import models
from .predict import predict
from .push import push
from .train import train

EXTRAS = {
    "ot": "eval",
    "onnxruntime": "onnx",
    "gradio": "demo",
    "av": "demo",
    "pandas": "demo",
}

app = typer.Typer(
    name="mlnet",
    help="Predict where people look in pictures, with ML-Net.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(predict)
app.command()(evaluate)
app.command()(explain)
app.command()(figure)
app.command()(demo)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(train)
app.command()(models)
app.command()(push)
app.command()(export)
app.add_typer(data, name="data")


def main() -> None:
    """Runs the command line; what a user can set right ends in one line and exit status 2."""
    warnings.showwarning = _show_warning
    sys.exit(_run())


def _run() -> int:
    try:
        app()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (ValueError, OSError) as error:
        return _fail(str(error))
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0], "train")
        return _fail(f"{error}; install the extra with: pip install 'mlnet-saliency[{extra}]'")
    return 0


def _show_warning(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
    """The package's own warnings are for the user: one line, without the place in the code."""
    text = " ".join(str(message).split())
    if not category.__module__.startswith(f"{__package__.partition('.')[0]}."):
        text = warnings.formatwarning(message, category, *place[:2]).rstrip()
    print(f"mlnet: {text}", file=sys.stderr)


def _fail(message: str) -> int:
    print(f"mlnet: error: {' '.join(message.split())}", file=sys.stderr)
    return 2
