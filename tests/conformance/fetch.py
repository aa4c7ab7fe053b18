"""Fetches transformers' own shared tests, which its wheel leaves out, from the source distribution of that version."""

import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

CACHE = Path(__file__).parent.parent.parent / ".cache"
FILES = ("test_modeling_common.py", "test_configuration_common.py")
# What these files import from parts of transformers' test suite that no distribution contains.
STUBS = {
    "__init__.py": "",
    "exporters/__init__.py": "",
    "exporters/test_export.py": "class ExportTesterMixin:\n    pass\n",
    "generation/__init__.py": "",
    "generation/test_utils.py": "class GenerationTesterMixin:\n    pass\n",
    "utils/__init__.py": "",
    "utils/test_configuration_utils.py": (
        "config_common_kwargs = {\n"
        '    "output_hidden_states": True, "return_dict": False, "dtype": "float16", "chunk_size_feed_forward": 5,\n'
        '    "is_encoder_decoder": True, "architectures": ["MLNetModel"], "problem_type": "regression",\n'
        '    "id2label": {0: "label"}, "label2id": {"label": 0},\n'
        "}\n"
    ),
}


def fetch() -> Path:
    """The folder that holds the package `transformers_tests`; downloads it once per version."""
    installed = version("transformers")
    folder = CACHE / f"transformers-{installed}"
    if (folder / "complete").is_file():
        return folder
    package = folder / "transformers_tests"
    package.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        requirement = f"transformers=={installed}"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*command, "--dest", temporary, requirement], check=True)
        [archive] = Path(temporary).glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            for name in FILES:
                member = tar.extractfile(f"transformers-{installed}/tests/{name}")
                assert member is not None, f"the source distribution has no tests/{name}"
                (package / name).write_bytes(member.read())
    for name, content in STUBS.items():
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text(content, encoding="utf-8")
    (folder / "complete").touch()
    return folder
