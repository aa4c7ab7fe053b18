"""What people wait for: whole folders against the network's own time, a clip, and the start of the commands.

Folders of real JPEGs (of --data, else the four of the tests) are predicted and written as `mlnet predict` does it; the
network's own time is that of as many passes over batches that lie ready, one after another on all threads or beside
each other on their share of them, whichever is faster over all pictures. All are taken in turns, a hundred pictures at
a time. `mini` is also given so many pictures that memory would show if it grew. The clip is decoded, predicted,
overlaid and encoded by the web page's code, on all cores, which the page shares among its visitors.

    python benchmarks/prediction.py [--data NAME:DIR] [--images 500] [--vgg-images 40] [--many 5000] [--output FILE]
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from inference import load, real_pictures
from modeling_mlnet.onnx_prediction import OnnxPredictor
from modeling_mlnet.threads import MOST_PASSES, in_order, start_workers
from peak_memory import peak_memory_mib
from PIL import Image

from modeling_mlnet import MINI, MLNetImageProcessor, MLNetModel, SaliencyPredictor
from modeling_mlnet.cli.predict import choose_predictor
from modeling_mlnet.demo import video
from modeling_mlnet.demo.limits import Upload
from modeling_mlnet.inference.inputs import find_images
from modeling_mlnet.inference.outputs import predict_files

TURN = 100  # pictures
CLIP_FRAMES, CLIP_SIZE, FRAME_RATE = 250, (320, 240), 25
CLIP_CANVASES = ((240, 320), (336, 448))  # the second is mini's own
STARTS = {
    "mlnet --help": ["-m", "modeling_mlnet.cli", "--help"],
    "python": ["-c", "pass"],
    "import modeling_mlnet": ["-c", "import modeling_mlnet"],
    "import torch": ["-c", "import torch"],
    "import torch, transformers.modeling_utils": ["-c", "import torch, transformers.modeling_utils"],
    "import transformers": ["-c", "import transformers"],
    "import transformers, modeling_mlnet": ["-c", "import transformers, modeling_mlnet"],
}


def seconds(work: Callable[[], Any]) -> float:
    """Wall time."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def write_pictures(folder: Path, data: str | None, count: int) -> None:
    """Real pictures as JPEG files; beyond those at hand, links to them."""
    folder.mkdir()
    distinct = min(count, 500)
    for index, picture in enumerate(real_pictures(data, distinct)):
        image = Image.open(picture) if isinstance(picture, Path) else picture
        image.convert("RGB").save(folder / f"{index:05d}.jpg", quality=92)
    for index in range(distinct, count):
        (folder / f"{index:05d}.jpg").hardlink_to(folder / f"{index % distinct:05d}.jpg")


def folder(name: str, data: str | None, count: int) -> dict[str, Any]:
    """A folder, and the network alone."""
    if name == "mini":
        predictor = choose_predictor(count, "mini", "auto", "auto", "auto", True, 8)
    else:
        predictor = SaliencyPredictor(*load(name))
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        write_pictures(place / "pictures", data, count)
        jobs = find_images([str(place / "pictures")], place / "maps").jobs
        predict_files(predictor, jobs[: predictor.batch_size], place / "first")  # chooses the network
        whole, alone = 0.0, np.zeros(2)
        for start in range(0, count, TURN):  # in turns, as a machine that others use changes its pace
            part = jobs[start : start + TURN]
            whole += seconds(lambda part=part: predict_files(predictor, part, place / "maps"))
            if isinstance(predictor, OnnxPredictor):
                alone += graph_alone(predictor, len(part))
            else:
                alone += network_alone(predictor, [job.source for job in part[: predictor.batch_size]], len(part))
    memory = peak_memory_mib()
    return {
        "network": predictor.choice,
        "pictures": count,
        "whole_s": whole,
        "network_s": float(alone.min()),
        "ratio": float(whole / alone.min()),
        "peak_memory_mib": memory,
    }


def network_alone(predictor: SaliencyPredictor, pictures: list[Path], count: int) -> list[float]:
    """Seconds of as many passes over a batch that lies ready, in both ways of `both_ways`."""
    [ready] = list(predictor.batches(pictures))[:1]
    pixel_values = torch.cat([one.pixel_values for one in ready if one.pixel_values is not None])
    passes = -(-count // len(pixel_values))
    network = predictor.network
    assert network is not None

    @torch.inference_mode()
    def run(_: int) -> None:
        network(pixel_values, True)

    workers = min(torch.get_num_threads(), MOST_PASSES)
    return both_ways(run, range(passes), range(passes), workers, torch.get_num_threads() // workers)


def graph_alone(predictor: OnnxPredictor, count: int) -> list[float]:
    """The same of an ONNX graph: a picture on all threads, or one on each."""
    pixel_values = np.random.default_rng(0).normal(size=(1, 3, *predictor.letterbox.canvas)).astype(np.float32)
    workers = min(predictor.threads, MOST_PASSES)
    run = partial(predictor.graph, pixel_values)
    share = predictor.threads // workers
    run(share)  # opens it
    return both_ways(run, [predictor.threads] * count, [share] * count, workers, 1)


def both_ways(
    run: Callable[[Any], None], alone: Sequence[Any], beside: Sequence[Any], workers: int, threads: int
) -> list[float]:
    """Seconds of the passes, one after another or beside each other, each worker on so many threads."""
    with start_workers(workers, threads) as executor:
        return [
            seconds(lambda: [run(one) for one in alone]),
            seconds(lambda: list(in_order(executor, run, beside, ahead=workers))),
        ]


def write_clip(path: Path) -> None:
    """A real picture that moves, so that frames differ."""
    picture = np.asarray(Image.open(next(iter(real_pictures(None, 1)))).resize((480, 360)))
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=FRAME_RATE)
        stream.width, stream.height, stream.pix_fmt = *CLIP_SIZE, "yuv420p"
        for index in range(CLIP_FRAMES):
            x, y = index % 160, index % 120
            view = np.ascontiguousarray(picture[y : y + CLIP_SIZE[1], x : x + CLIP_SIZE[0]])
            output.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")))
        output.mux(stream.encode())


def clip(canvas: tuple[int, int]) -> dict[str, float]:
    """Frames a second of mini on a canvas, all of a clip's frames predicted."""
    video.FRAMES_A_SECOND = FRAME_RATE
    size = {"height": canvas[0], "width": canvas[1]}
    image_processor = MLNetImageProcessor.from_pretrained(MINI, size=size)
    predictor = SaliencyPredictor(MLNetModel.from_pretrained(MINI), image_processor, batch_size=4)
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "clip.mp4"
        write_clip(source)
        count = 0

        def render() -> None:
            nonlocal count
            opened = video.Clip(Upload(source, source.name))
            count = sum(1 for _ in video.render_clip(predictor, opened, source.with_name("out.mp4"), 0.6, "inferno"))

        render()
        took = seconds(render)
    return {"frames": count, "seconds": took, "frames_per_second": count / took}


def starts() -> dict[str, float]:
    """Seconds of the fastest of five."""
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        picture = str(next(iter(real_pictures(None, 1))))
        predict = ["-m", "modeling_mlnet.cli", "predict", picture, "-o", temporary]
        for name, words in {**STARTS, "mlnet predict photo.jpg": predict}.items():
            run = lambda words=words: subprocess.run([sys.executable, *words], check=True, capture_output=True)  # noqa: E731
            found[name] = min(seconds(run) for _ in range(5))
    return found


def main() -> None:
    """Prints what was measured and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="real pictures, NAME:DIR")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--vgg-images", type=int, default=40)
    parser.add_argument("--many", type=int, default=5000)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    machine = {"processor": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__}
    found: dict[str, Any] = {"machine": machine, "starts_s": starts()}
    for name, took in found["starts_s"].items():
        print(f"{name:42} {took:5.2f} s")
    found["clip"] = {}
    for canvas in CLIP_CANVASES:
        one = found["clip"][f"{canvas[0]}x{canvas[1]}"] = clip(canvas)
        print(
            f"clip of 320x240 on a canvas of {canvas[0]}x{canvas[1]}: {one['frames_per_second']:.1f} frames a second, "
            "decoded, overlaid and encoded"
        )
    found["folders"] = {}
    runs = {"mini": arguments.images, "mini, many": arguments.many, "vgg16": arguments.vgg_images}
    for name, count in runs.items():
        if count:
            one = found["folders"][name] = folder(name.partition(",")[0], arguments.data, count)
            print(
                f"{name:12} {count} pictures: {one['whole_s']:.1f} s, the network alone {one['network_s']:.1f} s, "
                f"{one['ratio']:.2f} times; {one['peak_memory_mib']:.0f} MiB",
                flush=True,
            )
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
