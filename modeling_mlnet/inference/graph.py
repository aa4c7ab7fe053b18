"""The ONNX graph of a checkpoint: found beside its weights or in the cache, or made with PyTorch once.

A graph takes `pixel_values` `(1, 3, height, width)` on one canvas and gives `saliency_map` and `before_prior`, each
`(1, height/8, width/8)`, or `(1, kinds, height/8, width/8)` where the network knows several kinds of recording.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import constants

from ..hub.registry import GRAPH, WEIGHTS, fingerprint
from ..io.atomic import write_whole
from .network import MADE_FOR, read_graph

if TYPE_CHECKING:
    from ..modeling_mlnet import MLNetModel


class GraphWarning(UserWarning):
    """A graph could not be made or kept; prediction goes on."""


def cache_path(checkpoint: str, canvas: tuple[int, int]) -> Path:
    """Where the graph of a checkpoint is kept, beside the Hub's cache (`HF_HOME`).

    Args:
        checkpoint: `fingerprint` of its folder.
        canvas: Height and width in pixels that it takes.
    """
    return Path(constants.HF_HOME) / "mlnet-graphs" / checkpoint / f"{canvas[0]}x{canvas[1]}.onnx"


def find_graph(folder: Path, canvas: tuple[int, int]) -> Path | None:
    """The graph of a checkpoint on this machine, `None` if there is none that fits its weights and the canvas."""
    path = folder / GRAPH
    if not (folder / WEIGHTS).exists() and path.is_file():  # of `mlnet export`, with its own weights, for any canvas
        return path
    checkpoint, reason = fingerprint(folder), ""
    if path.is_file():
        try:
            graph, made_for = read_graph(path), ["framework", MADE_FOR]
            if not graph.has_rt_info(made_for) or graph.get_rt_info(made_for).value != checkpoint:
                reason = f"{path}: was made for other weights or settings"
            elif graph.input().partial_shape == [1, 3, *canvas]:
                return path
        except ValueError as error:
            reason = str(error)
    if reason:
        warnings.warn(f"{reason}; it is not used: `mlnet export --in-place` makes it anew", GraphWarning, stacklevel=2)
    path = cache_path(checkpoint, canvas)
    return path if path.is_file() else None


def make_graph(folder: Path, canvas: tuple[int, int], load: Callable[[], "MLNetModel"]) -> Path | bytes | None:
    """Makes the graph of a checkpoint and keeps it in the cache, which takes PyTorch some seconds.

    Args:
        folder: Of the checkpoint.
        canvas: Height and width in pixels.
        load: Gives its model.

    Returns:
        The file; its content if it cannot be written; `None` if this network cannot be made a graph.
    """
    from .export import graph_bytes

    checkpoint, model = fingerprint(folder), load()
    try:
        content = graph_bytes(model, canvas)
    except Exception as error:  # the exporter raises what the network's code and four libraries raise
        reason = " ".join(str(error).split())[:200]
        warnings.warn(f"{folder}: no graph can be made ({reason}); PyTorch predicts", GraphWarning, stacklevel=2)
        return None
    path = cache_path(checkpoint, canvas)
    try:
        write_whole(path, lambda file: file.write(content))
    except OSError as error:
        warnings.warn(f"the network's graph is not kept for the next time: {error}", GraphWarning, stacklevel=2)
        return content
    return path
