"""How fast are one image and a folder, beside an earlier version of this package?

    git worktree add ../before 2e736a7
    python benchmarks/inference.py --before ../before --data osie:DIR --images 500 --many 5000 [--output FILE]

Networks take turns, pass by pass, each in a process of its own that holds its model, so that a machine which others
use as well changes its pace for all of them: compare within a row only. Of both versions, `auto` and `float32` are
measured, of this one `bfloat16` as well, where the processor multiplies it; the earlier version's float32 is ONNX
Runtime's, as its graph is made beside the checkpoint. vgg16 has random weights, on which its speed does not depend.
Folders are predicted by the whole command, in turns as well. Without --before, this version alone is measured. The
last lines are the table of docs/speed.md.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from modeling_mlnet.inference.network import has_bfloat16

HERE = Path(__file__).parent.parent
CASES = {"vgg16": [(480, 640)], "mini": [(480, 640), (336, 448), (240, 320)]}  # the second of mini is its own
FIXTURES = HERE / "tests" / "fixtures" / "images"
SECONDS, LEAST = 10.0, 5  # of a row, and passes of each network in it
PAUSE = 0.1  # seconds between turns: threads of ONNX Runtime wait in loops for a while, on the next one's cores
FOLDER_SIZE, TURNS = (800, 600), 2
WORKER = """
import json, sys, time
import numpy as np
from PIL import Image
from modeling_mlnet import SaliencyPredictor
folder, dtype, file = sys.argv[1:]
predictor = SaliencyPredictor(folder, device="cpu", dtype=dtype)
image = np.asarray(Image.open(file).convert("RGB"))
saliency_map = predictor(image)
if hasattr(predictor, "letterbox"):
    pixel_values, words = predictor.letterbox.pixel_values(image), predictor.network.description
    run = lambda: predictor.network(pixel_values)
else:  # before there was one letterbox
    import torch
    pixel_values, words = predictor._prepare(image, False).pixel_values, predictor.choice
    run = torch.inference_mode()(lambda: predictor.network(pixel_values, True))
np.save(f"{folder}/{dtype}.npy", saliency_map)
print(json.dumps(words), flush=True)
for _ in sys.stdin:
    started = time.perf_counter()
    run()
    print(time.perf_counter() - started, flush=True)
"""


class Worker:
    """A network in a process of its own."""

    def __init__(self, tree: Path, folder: Path, dtype: str, image: Path):
        command = [sys.executable, "-c", WORKER, str(folder), dtype, str(image)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, **place(tree), stdin=pipe, stdout=pipe)
        self.words = json.loads(self.process.stdout.readline())
        self.saliency_map = np.load(folder / f"{dtype}.npy")

    def __call__(self) -> float:
        """Seconds of a pass."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def place(tree: Path) -> dict[str, Any]:
    """Options of a process that imports that version; ONNX Runtime of the earlier one must not report its use."""
    return {"cwd": tree, "env": {**os.environ, "PYTHONPATH": str(tree), "ORT_DISABLE_TELEMETRY": "1"}}


def take_turns(works: dict[str, Callable[[], Any]], seconds: float) -> dict[str, list[float]]:
    """Seconds of each pass of each work, which returns them or is timed; they take turns for so many seconds."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    while min(map(len, times.values())) < LEAST or sum(map(sum, times.values())) < seconds:
        for name, work in works.items():
            time.sleep(PAUSE)
            started = time.perf_counter()
            measured = work()
            times[name].append(measured if isinstance(measured, float) else time.perf_counter() - started)
    return times


def make_checkpoint(tree: Path, folder: Path, name: str, canvas: tuple[int, int]) -> None:
    """mini, or a vgg16 of random weights, on a canvas, with the graph of that version beside it."""
    code = (
        "import sys, torch\nfrom modeling_mlnet import MINI, MLNetConfig, MLNetImageProcessor, MLNetModel\n"
        "folder, name, height, width = sys.argv[1:]\nsize = {'height': int(height), 'width': int(width)}\n"
        "torch.manual_seed(0)\nis_mini = name == 'mini'\n"
        "(MLNetModel.from_pretrained(MINI) if is_mini else MLNetModel(MLNetConfig())).save_pretrained(folder)\n"
        "processor = MLNetImageProcessor.from_pretrained(MINI) if is_mini else MLNetImageProcessor()\n"
        "type(processor)(**{**processor.to_dict(), 'size': size}).save_pretrained(folder)\n"
    )
    words = [str(folder), name, *map(str, canvas)]
    subprocess.run([sys.executable, "-c", code, *words], **place(tree), check=True, capture_output=True)
    export = ["-m", "modeling_mlnet.cli", "export", str(folder), "--in-place"]
    subprocess.run([sys.executable, *export], **place(tree), check=True, capture_output=True)


def one_image(
    trees: dict[str, Path], name: str, canvas: tuple[int, int], scratch: Path, seconds: float
) -> dict[str, Any]:
    """A row: the networks of one image, in turns."""
    image = scratch / "image.png"
    Image.open(sorted(FIXTURES.glob("*.jpg"))[0]).convert("RGB").resize(canvas[::-1]).save(image)
    workers = {}
    for version, tree in trees.items():
        folder = scratch / f"{version}-{name}-{canvas[0]}x{canvas[1]}"
        make_checkpoint(tree, folder, name, canvas)
        shows_bfloat16 = version == "now" and has_bfloat16()
        for dtype in ("float32", "auto", *(["bfloat16"] if shows_bfloat16 else [])):
            workers[f"{version} {dtype}"] = Worker(tree, folder, dtype, image)
    times = take_turns(dict(workers), seconds)
    exact = workers["now float32"].saliency_map
    row: dict[str, Any] = {"model": name, "canvas": list(canvas), "ms": {}, "network": {}, "correlation": {}}
    for form, worker in workers.items():
        worker.end()
        row["ms"][form] = 1000 * float(np.median(times[form]))
        row["network"][form] = worker.words
        row["correlation"][form] = float(np.corrcoef(exact.ravel(), worker.saliency_map.ravel())[0, 1])
    return row


def write_images(folder: Path, data: str | None, count: int) -> None:
    """Real images of 800x600 as JPEG files; beyond 500, links to them."""
    folder.mkdir()
    files, distinct = sorted(FIXTURES.glob("*.jpg")), min(count, 500)
    rows = None
    if data is not None:
        from modeling_mlnet.data import load

        rows = load(data)
    for index in range(distinct):
        image = Image.open(files[index % len(files)]) if rows is None else rows[index % len(rows)]["image"]
        image.convert("RGB").resize(FOLDER_SIZE).save(folder / f"{index:05d}.jpg", quality=92)
    for index in range(distinct, count):
        (folder / f"{index:05d}.jpg").hardlink_to(folder / f"{index % distinct:05d}.jpg")


def predict(tree: Path, images: Path) -> tuple[float, float]:
    """Seconds and peak memory in MiB of `mlnet predict`, the results being thrown away."""
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "-m", "modeling_mlnet.cli", "predict", str(images), "-o", output]
        started = time.perf_counter()
        process = subprocess.Popen(command, **place(tree), stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError(f"{' '.join(command)} ended with status {status}")
        return time.perf_counter() - started, used.ru_maxrss / 1024


def folders(trees: dict[str, Path], data: str | None, count: int, many: int, scratch: Path) -> dict[str, Any]:
    """The whole command on folders, in turns."""
    results: dict[str, Any] = {"images": count, "seconds": {}, "memory_mib": {}, "one_image_s": {}}
    write_images(scratch / "images", data, count)
    runs: dict[str, list[tuple[float, float]]] = {version: [] for version in trees}
    for _ in range(TURNS):
        for version, tree in trees.items():
            runs[version].append(predict(tree, scratch / "images"))
    for version, tree in trees.items():
        results["seconds"][version] = min(seconds for seconds, _ in runs[version])
        results["memory_mib"][version] = max(memory for _, memory in runs[version])
        results["one_image_s"][version] = min(predict(tree, scratch / "images" / "00000.jpg")[0] for _ in range(5))
    if many:
        write_images(scratch / "many", data, many)
        seconds, memory = predict(trees["now"], scratch / "many")
        results["many"] = {"images": many, "seconds": seconds, "memory_mib": memory}
    return results


def steps(image: Path) -> dict[str, float]:
    """Milliseconds of what surrounds the network, for one image of 800x600 with mini, on one thread."""
    from modeling_mlnet import SaliencyPredictor
    from modeling_mlnet.images_mlnet import read_image
    from modeling_mlnet.inference.outputs import write_result
    from modeling_mlnet.inference.predictor import Prediction

    predictor = SaliencyPredictor("mini", device="cpu")
    array = read_image(image)
    pixel_values = predictor.letterbox.pixel_values(array)
    cells = predictor.network(pixel_values)
    prediction = Prediction(image, predictor.letterbox.saliency_map(cells, array.shape[:2]))
    works = {
        "read": lambda: read_image(image),
        "letterbox": lambda: predictor.letterbox.pixel_values(array),
        "network": lambda: predictor.network(pixel_values),
        "inverse": lambda: predictor.letterbox.saliency_map(cells, array.shape[:2]),
        "write": lambda: write_result(image.with_suffix(".map.png"), prediction, "map", {}),
    }
    return {name: 1000 * float(np.median(times)) for name, times in take_turns(works, 3).items()}


def table(results: dict[str, Any]) -> Iterator[str]:
    """The lines of docs/speed.md."""
    forms = ("before float32", "now float32", "before auto", "now auto")
    rows = [["", *(f"`{form.split()[1]}`, {form.split()[0]}" for form in forms)], ["---"] * 5]
    for row in results["networks"]:
        name = f"{row['model']}, {row['canvas'][0]}x{row['canvas'][1]}, ms"
        rows.append([name, *(f"{row['ms'][form]:.1f}" if form in row["ms"] else "" for form in forms)])
    if folder := results.get("folder"):
        of = f"of {folder['images']} images of {FOLDER_SIZE[0]}x{FOLDER_SIZE[1]}, mini"
        for name, values in ((f"folder {of}, s", folder["seconds"]), ("its memory, MiB", folder["memory_mib"])):
            cells = (f"{values[version]:.4g}" if version in values else "" for version in ("before", "now"))
            rows.append([name, "", "", *cells])
    for row in rows:
        yield f"| {' | '.join(row)} |"
    if folder and (many := folder.get("many")):
        yield f"{many['images']} images take {many['seconds']:.1f} s and {many['memory_mib']:.0f} MiB."
    if steps_ms := results.get("steps_ms"):
        yield f"An image on one thread: {', '.join(f'{name} {ms:.1f}' for name, ms in steps_ms.items())} ms."


def processor() -> str:
    """Its name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    """Prints the table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="a checkout of the earlier version")
    parser.add_argument("--data", help="real images for the folders, NAME:DIR")
    parser.add_argument("--models", nargs="*", default=list(CASES), help="none: the folders alone")
    parser.add_argument("--images", type=int, default=500, help="of the folder; 0 leaves it out")
    parser.add_argument("--many", type=int, default=0, help="of a larger folder, for its memory")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each row of one image")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    trees = {"now": HERE} | ({"before": arguments.before.resolve()} if arguments.before else {})
    machine = {"processor": processor(), "cores": os.cpu_count(), "load": os.getloadavg()}
    results: dict[str, Any] = {"machine": machine, "networks": []}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for model in arguments.models:
            for canvas in CASES[model]:
                row = one_image(trees, model, canvas, scratch, arguments.seconds)
                results["networks"].append(row)
                cells = (f"{form} {ms:.1f} ms ({row['network'][form]})" for form, ms in row["ms"].items())
                print(f"{model} {canvas[0]}x{canvas[1]}: {', '.join(cells)}", flush=True)
        if arguments.images:
            results["folder"] = folders(trees, arguments.data, arguments.images, arguments.many, scratch)
            results["steps_ms"] = steps(scratch / "images" / "00000.jpg")
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"{machine['processor']}, {machine['cores']} cores", *table(results), sep="\n")


if __name__ == "__main__":
    main()
