"""The ONNX graph of a checkpoint: read from beside its weights or from the cache, else exported once with PyTorch.

A graph takes `pixel_values` `(1, 3, height, width)` on one canvas and gives `saliency_map` and `before_prior`, each
`(1, height/8, width/8)`, or `(1, kinds, height/8, width/8)` where the network knows several kinds of recording.
"""

import warnings
from pathlib import Path

from huggingface_hub import constants

from ..hub.checkpoint import load_checkpoint
from ..hub.registry import GRAPH, WEIGHTS, fingerprint
from ..io.atomic import write_whole
from .network import MADE_FOR, read_graph


class GraphWarning(UserWarning):
    """A graph could not be exported or saved; prediction continues without it."""


def cache_path(checkpoint: str, canvas: tuple[int, int]) -> Path:
    """Path of the cached graph of a checkpoint, given its `fingerprint`; beside the Hub's cache (`HF_HOME`)."""
    return Path(constants.HF_HOME) / "mlnet-graphs" / checkpoint / f"{canvas[0]}x{canvas[1]}.onnx"


def find_graph(folder: Path, canvas: tuple[int, int]) -> Path | None:
    """The graph of a checkpoint for a canvas; `None` if there is none that matches the weights."""
    path = folder / GRAPH
    if not (folder / WEIGHTS).exists() and path.is_file():  # of `mlnet export`, with its own weights, for any canvas
        return path
    checkpoint = fingerprint(folder)
    if path.is_file():
        try:
            graph, made_for = read_graph(path), ["framework", MADE_FOR]
            if not graph.has_rt_info(made_for) or graph.get_rt_info(made_for).value != checkpoint:
                raise ValueError(f"{path}: was made for other weights or settings")
            if graph.input().partial_shape == [1, 3, *canvas]:
                return path
        except ValueError as error:
            advice = "it is not used: `mlnet export --in-place` makes it anew"
            warnings.warn(f"{error}; {advice}", GraphWarning, stacklevel=2)
    path = cache_path(checkpoint, canvas)
    return path if path.is_file() else None


def make_graph(folder: Path, canvas: tuple[int, int]) -> Path | bytes | None:
    """Exports the graph of a checkpoint into the cache, which takes some seconds.

    Returns:
        The file; the content if the cache cannot be written; `None` if the network cannot be exported.
    """
    from .export import graph_bytes

    path, model = cache_path(fingerprint(folder), canvas), load_checkpoint(str(folder))[0].eval()
    try:
        content = graph_bytes(model, canvas)
    except Exception as error:  # of the network's code or of four libraries
        reason = " ".join(str(error).split())[:200]
        warnings.warn(f"{folder}: no graph can be made ({reason}); PyTorch predicts", GraphWarning, stacklevel=2)
        return None
    try:
        write_whole(path, lambda file: file.write(content))
    except OSError as error:
        warnings.warn(f"the network's graph is not kept for the next time: {error}", GraphWarning, stacklevel=2)
        return content
    return path
