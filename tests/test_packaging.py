"""pyproject.toml and the tree agree: what is on disk is what gets installed."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SIBLINGS = ("envs", "experiments", "policies", "teleop")


def test_the_package_list_names_every_package_on_disk() -> None:
    folders = {"robot_hil": ROOT / "robot_hil", **{f"robot_hil.{name}": ROOT / name for name in SIBLINGS}}
    on_disk = set()
    for package, folder in folders.items():
        for init in folder.rglob("__init__.py"):  # does not follow the links inside robot_hil/
            if not any((folder / part).is_symlink() for part in init.relative_to(folder).parts[:1]):
                on_disk.add(".".join((package, *init.parent.relative_to(folder).parts)))
    assert sorted(PYPROJECT["tool"]["setuptools"]["packages"]) == sorted(on_disk)


def test_every_folder_with_modules_is_a_package() -> None:
    for top in ("robot_hil", *SIBLINGS):
        for module in (ROOT / top).rglob("*.py"):
            assert (module.parent / "__init__.py").exists(), f"{module.parent} needs an __init__.py"


@pytest.mark.parametrize("name", SIBLINGS)
def test_sibling_is_mapped_and_linked(name: str) -> None:
    assert PYPROJECT["tool"]["setuptools"]["package-dir"][f"robot_hil.{name}"] == name
    link = ROOT / "robot_hil" / name
    assert link.is_symlink(), f"robot_hil/{name} must be a symbolic link; static checkers need it"
    assert link.readlink() == Path("..") / name


def test_data_files_are_in_the_package_data() -> None:
    """Every file in a package folder that is not Python must match a declared pattern."""
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]
    packages = {"robot_hil": ROOT / "robot_hil", **{f"robot_hil.{name}": ROOT / name for name in SIBLINGS}}
    declared = set()
    for package, globs in patterns.items():
        top = next(name for name in (".".join(package.split(".")[:2]), "robot_hil") if name in packages)
        folder = packages[top].joinpath(*package.split(".")[top.count(".") + 1 :])
        declared |= {path for glob in globs for path in folder.glob(f"{glob}/*" if glob.endswith("**") else glob)}
    for folder in packages.values():
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix not in {".py", ".pyc"} and path.name != "__pycache__":
                assert path in declared, f"{path.relative_to(ROOT)} would be missing in the wheel"
