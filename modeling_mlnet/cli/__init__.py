"""The command `mlnet`. Heavy modules are imported by the commands that need them, not for `--help`."""

import gc
import os
import signal
import sys
import warnings
from importlib import metadata
from io import TextIOWrapper
from typing import Annotated

import typer

from ..io.atomic import reason_of
from .calibrate import calibrate
from .compare import compare
from .crop import crop
from .data import app as data
from .demo import demo
from .evaluate import evaluate
from .explain import explain
from .export import export
from .figure import figure
from .models import models
from .predict import predict
from .push import push
from .regions import regions
from .report import report
from .serve import serve
from .submit import submit
from .table import table
from .train import train

EXTRAS = {
    "ot": "eval",
    "onnxruntime": "onnx",
    "gradio": "demo",
    "av": "demo",
    "pandas": "demo",
    "fastapi": "serve",
    "prometheus_client": "serve",
    "python_multipart": "serve",
    "uvicorn": "serve",
    "h5py": "eval",
    "pymovements": "gaze",
    "ray": "ray",
    "fsspec": "scale",
    "upath": "scale",
}

app = typer.Typer(
    name="mlnet",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(predict)
app.command()(evaluate)
app.command()(calibrate)
app.command()(explain)
app.command()(regions)
app.command()(compare)
app.command()(crop)
app.command()(report)
app.command()(table)
app.command()(figure)
app.command()(demo)
app.command()(serve)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(train)
app.command()(models)
app.command()(push)
app.command()(export)
app.command()(submit)
app.add_typer(data, name="data")


ENVIRONMENT = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")  # whole numbers, as torchrun sets them
CACHES = ("HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "XDG_CACHE_HOME", "MPLCONFIGDIR", "HOME")
SETTINGS = ("HF_", "TRANSFORMERS_", "TORCH_", "MLNET_")  # beginnings of variables that the libraries read
BARS = ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS")  # would interleave with ours
TRACEBACK = "MLNET_TRACEBACK"  # set to anything, an error that is not expected shows where it was raised


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"mlnet-saliency {metadata.version('mlnet-saliency')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Predict where people look in images, with ML-Net."""
    for name in BARS:
        os.environ[name] = "1"


def main() -> None:
    """Runs the command line; what a user can set right ends in one line and exit status 2."""
    for number in (signal.SIGINT, signal.SIGTERM):  # so that no partial file stays
        signal.signal(number, _stop)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no UTF-8; stderr does so by itself
    warnings.showwarning = _show_warning
    warnings.filterwarnings("ignore", "Cannot enable progress bars")  # which `options` turns off
    status = _run()
    gc.freeze()  # the garbage of a million objects need not be searched for at the end: .07 of .7 s
    sys.exit(status)


def _stop(number: int, frame: object) -> None:
    for later in (signal.SIGINT, signal.SIGTERM):  # another one would break off the tidying up
        signal.signal(later, signal.SIG_IGN)
    os.write(2, b"mlnet: stopped\n")  # print may be at work already
    raise SystemExit(128 + number)


def _run() -> int:
    try:
        for name in ENVIRONMENT:
            if not os.environ.get(name, "0").isdecimal():
                raise ValueError(f"the environment variable {name} must be a whole number, got {os.environ[name]!r}")
        app()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0], "train")
        return _fail(f"{error}; install the extra with: pip install 'mlnet-saliency[{extra}]'")
    except Exception as error:
        is_expected = isinstance(error, (ValueError, OSError))
        if TRACEBACK in os.environ and not is_expected:
            raise
        return _fail(_describe(error) if is_expected else f"{_describe(error)} ({TRACEBACK}=1 shows where)")
    return 0


def _describe(error: Exception) -> str:
    """Error message, starting with the file, and the part of the environment that may cause it."""
    message, names = reason_of(error), []
    if isinstance(error, OSError) and error.filename is not None:
        path = os.path.abspath(os.fsdecode(error.filename))
        names = [name for name in CACHES if path.startswith(os.path.abspath(os.environ.get(name) or "\0"))][:1]
    for name, value in os.environ.items():
        is_proxy = name.lower().endswith("_proxy") and "proxy" in message.lower()
        is_quoted = name.startswith(SETTINGS) and name not in BARS and repr(value) in message
        if value and (is_proxy or is_quoted):
            names.append(name)
    return f"{message}; see the environment variable {' and '.join(names)}" if names else message


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    sys.stderr.write(f"mlnet: warning: {' '.join(str(message).split())}\n")  # at once: images are read in threads


def _fail(message: str) -> int:
    print(f"mlnet: error: {' '.join(message.split())}", file=sys.stderr)
    return 2
