"""House rules that no linter knows, checked over the syntax trees of the whole project."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ("robot_hil", "envs", "policies", "teleop", "experiments")
FOLDERS = (*LIBRARY, "tests", "benchmarks", ".ci")
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 80
BANNED_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
BANNED_CALLS = {"eval", "exec", "torch.load", "torch.save", "yaml.load"}
CONTROL_CODE = ("robot_hil/actor", "envs", "teleop", "robot_hil/transport", "robot_hil/learner", "robot_hil/replay")


def sources() -> list[Path]:
    """Return every Python file of the project once, relative to the root; links are not followed."""
    found = (path for top in FOLDERS for path in (ROOT / top).rglob("*.py"))
    relative = (path.relative_to(ROOT) for path in found)
    siblings = {Path("robot_hil") / name for name in ("envs", "policies", "teleop", "experiments")}
    return sorted(path for path in relative if not siblings & set(path.parents))


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` for an attribute chain or a name, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (head := dotted(node.value)):
        return f"{head}.{node.attr}"
    return ""


def length_faults(tree: ast.Module, lines: int) -> Iterator[str]:
    if lines > MAX_FILE_LINES:
        yield f"1: {lines} lines; at most {MAX_FILE_LINES}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{node.lineno}: function {node.name} has {length} lines; at most {MAX_FUNCTION_LINES}"


def import_faults(node: ast.AST) -> Iterator[str]:
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [node.module or ""]
        if node.level:
            yield f"{node.lineno}: relative import; folders and links would load one file twice"
    for name in names:
        if name.split(".")[0] in BANNED_MODULES:
            yield f"{node.lineno}: {name} runs code found in data; use msgspec or safetensors"  # type: ignore[attr-defined]


def call_faults(node: ast.AST, path: Path) -> Iterator[str]:
    if isinstance(node, ast.ExceptHandler) and node.type is None:
        yield f"{node.lineno}: bare except also catches Ctrl-C; name the errors"
    if not isinstance(node, ast.Call):
        return
    name, place = dotted(node.func), path.as_posix()
    if name in BANNED_CALLS:
        yield f"{node.lineno}: {name} runs code found in data"
    if any(keyword.arg == "allow_pickle" for keyword in node.keywords):
        yield f"{node.lineno}: allow_pickle runs code found in data"
    if name == "time.time" and place.startswith(CONTROL_CODE):
        yield f"{node.lineno}: time.time() jumps; take a Clock"
    if name == "print" and place.startswith(LIBRARY) and not place.startswith("robot_hil/cli/"):
        yield f"{node.lineno}: print in the library; use logging"


@pytest.mark.parametrize("path", sources(), ids=str)
def test_house_rules(path: Path) -> None:
    text = (ROOT / path).read_text()
    tree = ast.parse(text)
    faults = list(length_faults(tree, text.count("\n")))
    if not ast.get_docstring(tree):
        faults.append("1: no module docstring")
    for node in ast.walk(tree):
        faults += [*import_faults(node), *call_faults(node, path)]
    if path.parts[0] == "tests":  # tests may show what the library must refuse
        faults = [fault for fault in faults if "runs code found in data" not in fault]
    assert not faults, "\n".join(f"{path}:{fault}" for fault in faults)


def test_nothing_that_was_generated_is_committed() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:  # an unpacked sdist has no git
        return
    bad = [name for name in tracked.stdout.splitlines() if name.startswith(("runs/", "dist/", "build/", ".venv/"))]
    assert not bad
