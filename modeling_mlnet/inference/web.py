"""A checkpoint as a folder for web servers: the page, the module behind it, onnxruntime-web and the network."""

import base64
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from PIL.Image import Resampling

from ..hub.checkpoint import checkpoint_folder, read_recordings
from ..hub.registry import GRAPH, PROCESSOR, fingerprint
from ..io.atomic import whole_folder
from ..letterbox_mlnet import Letterbox
from .graph import find_graph, make_graph
from .web_graph import SmallGraph, shrink

ROOTS = [Path(__file__).parents[n] for n in (1, 2)]  # a wheel brings the page inside the package, a checkout beside it
PAGE, MODULE, EXAMPLES = "demo/static", "packages/web", "demo/examples"
ORT = "onnxruntime-web"
ORT_VERSION = "1.30.0"
# of the npm package
ORT_SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
ORT_WASM = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")  # WebAssembly only, half the size
ORT_FILES = (*ORT_WASM, "ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.wasm")
IMPORT = re.compile(r'(\bfrom |\bimport\()(["`])\./')


def export_web(model: str, output_dir: Path, onnxruntime_web: Path | None = None) -> tuple[Path, SmallGraph]:
    """Writes a folder for any web server, and in it `offline.html`, the same page in one file that opens from disk.

    Args:
        model: As in `SaliencyPredictor`.
        output_dir: A new folder.
        onnxruntime_web: The npm package of `ORT_VERSION`, as `npm pack` brings it; `None` calls `npm pack`, which
            needs the network.

    Returns:
        The page, and the network's graph.

    Raises:
        ValueError: If the folder already exists, the checkpoint cannot be run in a browser or cannot be loaded, or
            the npm package is another; nothing is left then.
    """
    if output_dir.exists():
        raise ValueError(f"{output_dir}: already exists; name a new folder")
    folder = checkpoint_folder(model)
    letterbox, recordings = Letterbox.read(folder / PROCESSOR), read_recordings(folder)
    if not letterbox.do_resize or letterbox.resample != Resampling.BILINEAR:
        raise ValueError(
            f"{folder / PROCESSOR}: a browser resizes images to one canvas, bilinearly (do_resize, resample 2)"
        )
    with whole_folder(output_dir) as temporary:
        for source, target in ((PAGE, "."), (MODULE, "mlnet-saliency-web"), (EXAMPLES, "examples")):
            ignore = shutil.ignore_patterns("test")
            shutil.copytree(_bundled(source), temporary / target, dirs_exist_ok=True, ignore=ignore)
        _unpack_onnxruntime(onnxruntime_web, temporary / ORT)
        images = sorted(path for path in (temporary / "examples").iterdir() if path.suffix != ".md")
        credits = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", (temporary / "examples" / "CREDITS.md").read_text("utf-8"))
        _write_json(temporary / "page.json", {"examples": [path.name for path in images], "credits": credits})
        graph = find_graph(folder, letterbox.size) or make_graph(folder, letterbox.size)
        if graph is None:
            raise ValueError(f"{model}: no graph can be made of this network")
        small = shrink(graph, letterbox, recordings, images)
        (temporary / "model").mkdir()
        (temporary / "model" / GRAPH).write_bytes(small.content)
        config = {"name": Path(model).name, "letterbox": asdict(letterbox), "recordings": recordings}
        made_of = {"checkpoint": fingerprint(folder), "mlnet-saliency": version("mlnet-saliency")}
        _write_json(temporary / "model" / "model.json", {**config, "weights": small.dtype, **made_of})
        (temporary / "offline.html").write_text(_in_one_file(temporary, images), encoding="utf-8")
    return output_dir / "index.html", small


def _in_one_file(folder: Path, images: list[Path]) -> str:
    """The page in a single file, as a page from disk cannot read other files.

    Imports of modules become bare names, which `offline.js` maps to their contents.
    """
    modules = [*folder.glob("mlnet-saliency-web/*.js"), folder / ORT / ORT_WASM[0]]
    modules += [path for path in folder.glob("*.js") if path.name != "offline.js"]
    data = [folder / ORT / ORT_WASM[1], folder / "page.json", *(folder / "model").iterdir(), *images]
    files = {}
    for path in (*modules, *data):
        name, values = path.relative_to(folder), path.read_bytes()
        if path in modules:
            prefix = "" if name.parent == Path() else f"{name.parent.as_posix()}/"
            values = IMPORT.sub(rf"\1\2{prefix}", values.decode()).encode()
        files[name.as_posix()] = base64.b64encode(gzip.compress(values, mtime=0)).decode()
    script = (folder / "offline.js").read_text(encoding="utf-8")
    style = (folder / "style.css").read_text(encoding="utf-8")
    parts = {
        '<link rel="stylesheet" href="style.css">': f"<style>{style}</style>",
        '<script type="module" src="page.js"></script>': (
            f'<script type="application/json" id="files">{json.dumps(files)}</script>\n<script>{script}</script>'
        ),
    }
    page = (folder / "index.html").read_text(encoding="utf-8")
    for tag, content in parts.items():
        page = page.replace(tag, content, 1)
    return page


def _unpack_onnxruntime(package: Path | None, output_dir: Path) -> None:
    """Writes the files of onnxruntime-web that a page needs, from its npm package."""
    with tempfile.TemporaryDirectory() as folder:
        path = _npm_pack(Path(folder)) if package is None else package
        digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
        if digest != ORT_SHA512:
            raise ValueError(f"{path}: is not the npm package {ORT} {ORT_VERSION}: `npm pack {ORT}@{ORT_VERSION}`")
        output_dir.mkdir()
        with tarfile.open(path) as archive:
            for name in ORT_FILES:
                member = archive.extractfile(f"package/dist/{name}")
                assert member is not None  # the digest says so
                (output_dir / name).write_bytes(member.read())


def _npm_pack(folder: Path) -> Path:
    package = f"{ORT}@{ORT_VERSION}"
    command = [shutil.which("npm") or "npm", "pack", package, "--silent", "--pack-destination", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = " ".join((getattr(error, "stderr", "") or str(error)).split())[:200]
        raise ValueError(
            f"{package}: npm cannot fetch it ({reason}); fetch it elsewhere with `npm pack {package}` and name "
            "the file with --onnxruntime-web"
        ) from error
    return folder / f"{ORT}-{ORT_VERSION}.tgz"


def _bundled(path: str) -> Path:
    return next(root / path for root in ROOTS if (root / path).is_dir())


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
