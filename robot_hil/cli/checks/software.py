"""Python, the packages that are needed, and those of the extras: not only installed, but importable."""

import importlib
import os
import platform
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata

from robot_hil.cli.checks.base import Finding, Verdict

GROUP = "software"
EXTRAS = {
    "spacemouse": "driving with a SpaceMouse",
    "gamepad": "driving with a gamepad plugged into this computer",
    "leader": "driving with a leader arm",
    "tune": "searching an experiment's numbers",
    "suites": "the tasks of Meta-World and Adroit",
}
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)\s*(\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?$")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


@dataclass(frozen=True, slots=True)
class Requirement:
    """A line of the package's metadata."""

    name: str
    versions: str
    """E.g. `>=2.1,<3`."""
    extra: str
    """Empty for what is always needed."""


def python() -> Iterator[Finding]:
    """Look at the interpreter."""
    wanted = metadata.metadata("robot_hil")["Requires-Python"]
    text = f"{platform.python_version()} ({sys.executable})"
    good = fits(platform.python_version(), wanted)
    fix = "" if good else "make PYTHON=python3.12 demo   (with a newer Python installed)"
    yield Finding(
        group=GROUP, name="Python", verdict=Verdict.PASS if good else Verdict.FAIL, text=f"{text}, needs {wanted}",
        fix=fix,
    )  # fmt: skip


def needed_packages() -> Iterator[Finding]:
    """Import everything that is always needed."""
    broken = {}
    wanted = [one for one in requirements() if not one.extra]
    for one in wanted:
        if problem := problem_of(one):
            broken[one.name] = problem
    if not broken:
        shown = [one.name for one in wanted if one.name in ("torch", "mujoco", "numpy")]
        text = f"{len(wanted)} import well"
        if shown:
            text += ", among them " + ", ".join(f"{name} {metadata.version(name)}" for name in shown)
        yield Finding(group=GROUP, name="packages", verdict=Verdict.PASS, text=text)
    for name, problem in broken.items():
        fix = f"pip install --upgrade --force-reinstall --no-deps {name}   (or set up again: python3 .ci/bootstrap.py)"
        yield Finding(group=GROUP, name=name, verdict=Verdict.FAIL, text=problem, fix=fix)


def extras() -> Iterator[Finding]:
    """Import what each extra brings."""
    wanted = requirements()
    for extra, purpose in EXTRAS.items():
        problems = [f"{one.name}: {problem}" for one in wanted if one.extra == extra and (problem := problem_of(one))]
        yield Finding(
            group=GROUP,
            name=f"extra {extra}",
            verdict=Verdict.ABSENT if problems else Verdict.PASS,
            text="; ".join(problems) if problems else f"for {purpose}",
            fix=f"for {purpose}: pip install robot_hil[{extra}]" if problems else "",
        )


def requirements() -> list[Requirement]:
    """Return what the installed package says it needs, without what is for developers."""
    found = []
    for line in metadata.requires("robot_hil") or []:
        match = _REQUIREMENT.match(line)
        assert match is not None, line
        name, _, versions, marker = match.groups()
        extra = _EXTRA.search(marker or "")
        found.append(Requirement(name, versions.strip(), extra.group(1) if extra else ""))
    return [one for one in found if one.extra in ("", *EXTRAS)]


def problem_of(wanted: Requirement) -> str:
    """Return what keeps a package from being used; empty when it imports and its version fits."""
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return "not installed"
    if not fits(version, wanted.versions):
        return f"version {version} is installed, {wanted.versions} is needed"
    module = _module_of(wanted.name)
    try:
        with _quiet_import():
            importlib.import_module(module)
    except Exception as error:
        return f"{version} is installed, but `import {module}` fails: {type(error).__name__}: {error}"
    return ""


def fits(version: str, wanted: str) -> bool:
    """Return whether `version` fulfils comparisons such as `>=2.1,<3`; numbers only, suffixes do not count.

    >>> fits("2.13.0+cpu", ">=2.4"), fits("3.0", ">=2.1,<3"), fits("1.0", "")
    (True, False, True)
    """
    compare: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
        ">=": lambda a, b: a >= b,
        "<=": lambda a, b: a <= b,
        "==": lambda a, b: a == b,
        "!=": lambda a, b: a != b,
        ">": lambda a, b: a > b,
        "<": lambda a, b: a < b,
    }
    for part in filter(None, (part.strip() for part in wanted.split(","))):
        match = re.match(r"(>=|<=|==|!=|>|<)\s*(.+)", part)
        if match is None:
            continue  # a form this project does not use
        if not compare[match.group(1)](*_padded(version, match.group(2))):
            return False
    return True


def _padded(*versions: str) -> list[tuple[int, ...]]:
    numbers = [[int(n) for n in re.findall(r"\d+", version.split("+")[0])] for version in versions]
    length = max(map(len, numbers))
    return [tuple(one + [0] * (length - len(one))) for one in numbers]


def _module_of(distribution: str) -> str:
    """Return the name under which a distribution is imported."""
    plain = re.sub(r"[-_.]+", "_", distribution).lower()
    files = [file.parts for file in metadata.files(distribution) or [] if file.suffix in (".py", ".so")]
    tops = {parts[0].split(".")[0] if len(parts) == 1 else parts[0] for parts in files}
    modules = sorted(top for top in tops if top.isidentifier() and not top.startswith("_"))
    return plain if plain in modules or not modules else modules[0]


@contextmanager
def _quiet_import() -> Iterator[None]:
    """Let MuJoCo choose a way to render first, and keep pygame's greeting out of the output."""
    from robot_hil.envs.mujoco.gl import choose_gl

    choose_gl(needed=False)
    before = os.environ.get("PYGAME_HIDE_SUPPORT_PROMPT")
    os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if before is None:
            del os.environ["PYGAME_HIDE_SUPPORT_PROMPT"]
