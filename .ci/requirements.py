"""Prints the direct requirements of pyproject.toml, at their lowest versions or without upper bounds, for pip.

python .ci/requirements.py lowest|newest EXTRA [EXTRA ...]
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIREMENT = re.compile(r"([\w.-]+(?:\[.*\])?)>=([\d.]+)(?:,<[\d.]+)?")


def requirements(extras: list[str]) -> set[str]:
    """Of the project and its extras, those that extras name themselves included."""
    lines = {line for extra in extras for line in PROJECT["optional-dependencies"][extra]}
    own = {line for line in lines if line.startswith(f"{PROJECT['name']}[")}
    named = {name.strip() for line in own for name in line.partition("[")[2].rstrip("]").split(",")}
    return lines - own | (requirements(sorted(named)) if named else set(PROJECT["dependencies"]))


def main() -> None:
    which, *extras = sys.argv[1:]
    for line in sorted(requirements(extras)):
        match = REQUIREMENT.fullmatch(line)
        assert match, f"pyproject.toml: expected NAME>=VERSION or NAME>=VERSION,<VERSION, got {line}"
        name, version = match.groups()
        if which == "newest":
            print(name)
        elif name == "torch":  # == would also admit a local build, which may not fit PyPI's torchvision
            print(f"torch==={version}{'.0' * (2 - version.count('.'))}")
        else:
            print(f"{name}=={version}")


if __name__ == "__main__":
    main()
