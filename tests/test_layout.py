"""The map of the code in CONTRIBUTING.md is true: rooms are named, imports keep to the stated order, no circles."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "modeling_mlnet"
MAP = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
HUB_FILES = "*_mlnet"
FREE = {"__init__", "auto_registration"}  # they only tie names together, on first use
LONGEST = 300  # lines


def room_of(module: str) -> str:
    """The room of a module, given by its dotted name inside the package."""
    name = module.partition(".")[0]
    return HUB_FILES if name.endswith("_mlnet") else name


def modules() -> dict[str, Path]:
    paths = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in paths.items()}


def imports(module: str, path: Path) -> set[str]:
    """Modules of the package that a module imports, at once or on first use; for type checks they do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    package = module.split(".") if path.stem == "__init__" else module.split(".")[:-1]
    targets = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (node.module or "").split(".") * bool(node.module)
            for name in node.names:
                targets.add(".".join([*base, name.name] if ".".join([*base, name.name]) in MODULES else base))
    return targets - {"", module}


MODULES = modules()
IMPORTS = {name: imports(name, path) for name, path in MODULES.items() if name not in FREE}


def floors() -> dict[str, int]:
    """The floor of every room in the order that CONTRIBUTING.md states; the lowest is 0."""
    [line] = re.findall(r"^    (cli > .*)$", MAP, re.MULTILINE)
    names = [re.split(r", ", floor) for floor in reversed(line.split(" > "))]
    return {name: number for number, floor in enumerate(names) for name in floor}


def test_the_map_names_every_room_and_every_room_has_a_floor():
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    named = {name.rstrip("/") for name in re.findall(r"^\| `([a-z_]+/)` \|", MAP, re.MULTILINE)}
    assert rooms - named == set() and rooms - floors().keys() == set()


def test_nothing_lies_outside_of_the_rooms():
    top = {path.stem for path in PACKAGE.glob("*.py")} - FREE
    assert {name for name in top if room_of(name) != HUB_FILES} == set()


def test_imports_keep_to_the_order_of_the_rooms():
    floor = floors()
    wrong = [
        f"{module} imports {target}"
        for module, targets in IMPORTS.items()
        for target in sorted(targets)
        if room_of(target) != room_of(module) and floor[room_of(target)] >= floor[room_of(module)]
    ]
    assert wrong == []


def test_no_modules_import_each_other():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def test_the_files_for_the_hub_import_one_another_by_a_single_dot_and_nothing_else_of_the_package():
    for module, path in MODULES.items():
        if room_of(module) == HUB_FILES:
            assert {room_of(target) for target in IMPORTS[module]} <= {HUB_FILES}, module
            assert not re.search(r"^\s*from (\.\.|modeling_mlnet)", path.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("path", [pytest.param(path, id=name) for name, path in sorted(MODULES.items())])
def test_files_stay_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST
