"""The set-up picks the torch build that suits the machine."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / ".ci" / "bootstrap.py"


@pytest.fixture
def bootstrap(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.platform, "system", lambda: "Linux")
    return module


def requests(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, *, gpu: bool, present: str | None, local: bool = True
) -> list[tuple[str, ...]]:
    """Return what pip is asked for; `local` says whether a CPU wheel is in the configured sources."""
    asked: list[tuple[str, ...]] = []

    def pip(*arguments: str, quiet: bool = False) -> bool:
        asked.append(arguments)
        return gpu or local or "--index-url" in arguments

    monkeypatch.setattr(bootstrap, "pip", pip)
    monkeypatch.setattr(bootstrap, "has_nvidia_gpu", lambda: gpu)
    monkeypatch.setattr(bootstrap, "installed_torch", lambda: present)
    bootstrap.install_torch()
    return asked


@pytest.mark.parametrize("local", [True, False])
def test_without_gpu_only_the_cpu_build_is_asked_for(
    local: bool, bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = requests(bootstrap, monkeypatch, gpu=False, present=None, local=local)
    assert all(arguments[0].endswith("+cpu") for arguments in asked)
    assert [bootstrap.CPU_INDEX in arguments for arguments in asked] == ([False] if local else [False, True])


@pytest.mark.parametrize("present", [None, "2.13.0+cpu"])
def test_with_gpu_the_cpu_build_is_excluded(
    present: str | None, bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    (asked,) = requests(bootstrap, monkeypatch, gpu=True, present=present)
    assert asked[0].endswith(f"!={bootstrap.TORCH}+cpu")


@pytest.mark.parametrize(("gpu", "present"), [(True, "2.13.0"), (False, "2.13.0+cpu"), (False, "2.14.0")])
def test_a_suitable_torch_is_left_alone(
    gpu: bool, present: str, bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert requests(bootstrap, monkeypatch, gpu=gpu, present=present) == []


def test_a_failed_download_never_falls_back_to_the_cuda_build(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "pip", lambda *arguments, quiet=False: False)
    monkeypatch.setattr(bootstrap, "has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(bootstrap, "installed_torch", lambda: None)
    with pytest.raises(SystemExit, match="torch for CPU could not be installed"):
        bootstrap.install_torch()
