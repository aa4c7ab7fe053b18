"""How fast is the network, and how far is that from what the machine's matrix product could do?

Every row is a process of its own, so that its memory is its own: a network, a canvas, a batch, a form of it. A machine
that others use as well may be twice as fast a minute later, so the passes of a form take turns with those of the plain
network and with products of two matrices in the form's precision. Medians are compared: how many times faster than the
plain network, and which share of the matrix rate, counting the operations of the plain network, whichever work a
form leaves out. The correlation is with the plain network's map on real pictures. ONNX Runtime's threads wait by
spinning, which slows what comes after them: its rows are better told by their milliseconds.

    python benchmarks/inference.py [--data NAME:DIR] [--models vgg16 mini] [--forms plain fused] [--batches 1 8]
        [--canvases 480x640] [--output FILE.json]

vgg16 has random weights here: its speed does not depend on them, its correlation means less than mini's.
`onnx int8` is quantised per channel by ONNX Runtime, calibrated on pictures of --data.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from modeling_mlnet.devices import has_fast_bfloat16
from modeling_mlnet.engines import build_network, correlation
from modeling_mlnet.onnx_export import export_onnx
from modeling_mlnet.onnx_graph import Graph
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
from peak_memory import peak_memory_mib
from torch.utils.flop_counter import FlopCounterMode

from modeling_mlnet import MLNetConfig, MLNetImageProcessor, MLNetModel
from modeling_mlnet.hub.checkpoint import load_checkpoint
from modeling_mlnet.hub.registry import GRAPH

FORMS = {
    "plain": ("eager", "float32"),  # the baseline: NCHW, as transformers loads it
    "fused": ("fused", "float32"),
    "fused bf16": ("fused", "bfloat16"),
    "compiled": ("compiled", "float32"),
    "compiled bf16": ("compiled", "bfloat16"),
    "onnx": ("onnx", "float32"),
    "onnx int8": ("onnx", "int8"),
}
CANVASES = {"vgg16": ["480x640", "240x320"], "mini": ["480x640", "336x448", "240x320"]}  # the second is mini's own
BATCHES = (1, 8)
SECONDS, LEAST = 8.0, 3  # of measuring a row, and rounds
CALIBRATION, COMPARED = 200, 8  # pictures
FIXTURES = Path(__file__).parent.parent / "tests" / "fixtures" / "images"


def load(name: str) -> tuple[MLNetModel, MLNetImageProcessor]:
    """vgg16 or mini, ready for inference."""
    if name == "mini":
        model, processor = load_checkpoint("mini")
        return model.eval(), processor
    torch.manual_seed(0)
    return MLNetModel(MLNetConfig()).eval(), MLNetImageProcessor()


def real_pictures(data: str | None, count: int) -> Iterable[Any]:
    """Of the data set, or the four of the tests again and again."""
    if data is None:
        files = sorted(FIXTURES.glob("*.jpg"))
        return [files[index % len(files)] for index in range(count)]
    from modeling_mlnet.data import load as load_rows

    rows = load_rows(data)
    return (rows[index % len(rows)]["image"] for index in range(count))


def to_pixels(
    processor: MLNetImageProcessor, pictures: Iterable[Any], canvas: tuple[int, int]
) -> Iterator[torch.Tensor]:
    """Each letterboxed on the canvas, `(1, 3, height, width)`."""
    size = {"height": canvas[0], "width": canvas[1]}
    return (processor(one, return_tensors="pt", size=size)["pixel_values"] for one in pictures)


def prepare_graph(name: str, dtype: str, canvas: tuple[int, int], data: str | None, scratch: Path) -> Path:
    """The folder of a row's ONNX graph, made once a run, in int8 once for every canvas; not in the row's process."""
    folder, quantized = scratch / f"{name}-onnx", scratch / f"{name}-{canvas[0]}x{canvas[1]}-int8"
    if not folder.exists():
        model, processor = load(name)
        model.save_pretrained(scratch / name)
        processor.save_pretrained(scratch / name)
        export_onnx(str(scratch / name), folder)
    if dtype != "int8":
        return folder
    if quantized.exists():
        return quantized
    quantized.mkdir()
    left = to_pixels(load(name)[1], real_pictures(data, CALIBRATION), canvas)

    class Reader(CalibrationDataReader):
        def get_next(self):
            one = next(left, None)
            return None if one is None else {"pixel_values": one.numpy()}

    quantize_static(folder / GRAPH, quantized / GRAPH, Reader(), quant_format=QuantFormat.QDQ, per_channel=True)
    return quantized


def onnx_network(folder: Path) -> Callable:
    """The package's own run of a graph."""
    threads = torch.get_num_threads()
    graph = Graph(folder, threads)
    return lambda x, _: torch.from_numpy(graph(x.numpy(), threads))


def expectation(model: MLNetModel, pixel_values: torch.Tensor, path: Path) -> tuple[torch.Tensor, float]:
    """The plain network's maps and a picture's work in GFLOP, computed once a run for every canvas."""
    if not path.exists():
        with FlopCounterMode(display=False) as counter:
            maps = torch.cat([model(one).saliency_map for one in pixel_values.split(1)])
        np.savez(path, maps=maps.numpy(), gflop=counter.get_total_flops() / 1e9 / len(pixel_values))
    with np.load(path) as found:
        return torch.from_numpy(found["maps"]), float(found["gflop"])


@torch.inference_mode()
def measure(
    name: str, form: str, canvas: tuple[int, int], batch: int, data: str | None, scratch: Path, graph: str
) -> dict[str, Any]:
    """One row; `graph` is the folder of an ONNX form, empty for others."""
    model, processor = load(name)
    engine, dtype = FORMS[form]
    pixel_values = torch.cat(list(to_pixels(processor, real_pictures(data, COMPARED), canvas)))
    network = onnx_network(Path(graph)) if graph else build_network(model, engine, getattr(torch, dtype))
    expected, gflop = expectation(model, pixel_values, scratch / f"{name}-{canvas[0]}x{canvas[1]}.npz")
    inputs = pixel_values[:batch]
    started = time.perf_counter()
    network(inputs, True)
    first = time.perf_counter() - started
    found = torch.cat([network(one, True) for one in pixel_values.split(batch) if len(one) == batch])
    memory = peak_memory_mib()
    multiply, product_gflop = matrix_product(torch.bfloat16 if form.endswith("bf16") else torch.float32)
    works = {"form": lambda: network(inputs, True), "product": multiply}
    if form != "plain":
        works["plain"] = lambda: model(inputs)
    took = take_turns(works)
    median = {work: float(np.median(one)) for work, one in took.items()}
    rate = product_gflop / median["product"]
    correlations = [correlation(one.float(), other) for one, other in zip(found, expected, strict=False)]
    return {
        "model": name,
        "canvas": list(canvas),
        "batch": batch,
        "form": form,
        "pictures_per_second": batch / median["form"],
        "latency_ms": {"median": 1e3 * median["form"], "p95": 1e3 * float(np.quantile(took["form"], 0.95))},
        "first_pass_s": first,
        "gflop_per_picture": gflop,
        "matrix_gflop_per_second": rate,
        "times_plain": median.get("plain", median["form"]) / median["form"],
        "share_of_matrix_rate": batch * gflop / median["form"] / rate,
        "correlation": {"least": min(correlations), "mean": float(np.mean(correlations))},
        "peak_memory_mib": memory,
    }


def take_turns(works: dict[str, Callable[[], Any]], seconds: float = SECONDS) -> dict[str, list[float]]:
    """Seconds of each pass of each work; they take turns for so many seconds."""
    took: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    while min(map(len, took.values())) < LEAST or sum(map(sum, took.values())) < seconds:
        for name, work in works.items():
            started = time.perf_counter()
            work()
            took[name].append(time.perf_counter() - started)
    return took


def matrix_product(dtype: torch.dtype) -> tuple[Callable[[], Any], float]:
    """PyTorch's product of two 2048x2048 matrices, and its work in GFLOP.

    Where bfloat16 is not in hardware, such a product would take most of a minute: its sides are 512 there.
    """
    side = 2048 if dtype == torch.float32 or has_fast_bfloat16(torch.device("cpu")) else 512
    first, second = torch.rand(side, side).to(dtype), torch.rand(side, side).to(dtype)
    return lambda: first @ second, 2 * side**3 / 1e9


def matrix_rates() -> dict[str, float]:
    """GFLOP/s of the machine's own matrix products, the best of two seconds."""
    rates = {}
    for dtype in (torch.float32, torch.bfloat16):
        multiply, gflop = matrix_product(dtype)
        rates[str(dtype).removeprefix("torch.")] = gflop / min(take_turns({"product": multiply}, 2.0)["product"])
    return rates


def row(name: str, form: str, canvas: tuple[int, int], batch: int, data: str | None, scratch: Path) -> dict[str, Any]:
    """`measure` in a process of its own."""
    engine, dtype = FORMS[form]
    graph = prepare_graph(name, dtype, canvas, data, scratch) if engine == "onnx" else ""
    words = [sys.executable, __file__, "--row", name, form, *map(str, (*canvas, batch, scratch, graph))]
    words += ["--data", data] if data else []
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}, {form}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="real pictures for correlation and calibration, NAME:DIR")
    parser.add_argument("--models", nargs="+", default=["vgg16", "mini"])
    parser.add_argument("--forms", nargs="+", default=list(FORMS))
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument("--canvases", nargs="+", metavar="HEIGHTxWIDTH")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--row", nargs=7, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        name, form, height, width, batch, scratch, graph = arguments.row
        found = measure(name, form, (int(height), int(width)), int(batch), arguments.data, Path(scratch), graph)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as scratch:
        measure_all(arguments, Path(scratch))


def measure_all(arguments: argparse.Namespace, scratch: Path) -> None:
    """All rows, each printed and written as soon as it is there."""
    rates = matrix_rates()
    print(", ".join(f"{name} matrix product {rate:.0f} GFLOP/s" for name, rate in rates.items()))
    print("| network | canvas | batch | form | ms a picture | 95 % | x plain | of the rate | correlation | MiB |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    machine = {
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "fast_bfloat16": has_fast_bfloat16(torch.device("cpu")),
        "matrix_gflop_per_second": rates,
    }
    rows: list[dict[str, Any]] = []
    found = {"machine": machine, "data": (arguments.data or "the tests' pictures").partition(":")[0], "rows": rows}
    cases = [(name, one) for name in arguments.models for one in arguments.canvases or CANVASES[name]]
    for (name, words), batch in product(cases, arguments.batches):
        canvas = tuple(map(int, words.split("x")))
        for form in arguments.forms:
            one = row(name, form, canvas, batch, arguments.data, scratch)
            rows.append(one)
            print(
                f"| {name} | {canvas[0]}x{canvas[1]} | {batch} | {form} | {one['latency_ms']['median'] / batch:.1f} "
                f"| {one['latency_ms']['p95'] / batch:.1f} | {one['times_plain']:.2f} "
                f"| {one['share_of_matrix_rate']:.2f} | {one['correlation']['least']:.5f} "
                f"| {one['peak_memory_mib']:.0f} |",
                flush=True,
            )
            if arguments.output:  # what was measured stays if a later row fails
                arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
