"""The set-up picks the torch build that suits the machine, and gets the programs that tests need where it can."""

import importlib.util
import json
import os
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


class Machine:
    """A PATH with programs of our own that note what they were asked for; `apt-get` and `npm` really run."""

    def __init__(self, bootstrap: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bootstrap, self.log, self._bin = bootstrap, folder / "log", folder / "bin"
        self._bin.mkdir()
        self.log.touch()
        monkeypatch.setenv("PATH", str(self._bin))
        monkeypatch.setattr(bootstrap, "NODE", folder / "node")
        self.root(monkeypatch, True)

    def root(self, monkeypatch: pytest.MonkeyPatch, yes: bool) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0 if yes else 1000)

    def add(self, program: str, then: str = "true") -> None:
        path = self._bin / program
        path.write_text(f'#!/bin/sh\necho "{program} $*" >> {self.log}\n{then}\n')
        path.chmod(0o755)

    def tool(self, program: str, *packages: str) -> object:
        return self.bootstrap.Tool(program, f"tests of {program}", packages, lambda: self.bootstrap.on_path(program))

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def machine(bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(bootstrap, tmp_path, monkeypatch)


def test_only_what_is_missing_is_installed(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.add("there")
    machine.add(
        "apt-get", f"echo noise; [ $1 = update ] || (: > {machine._bin}/gone; /bin/chmod +x {machine._bin}/gone)"
    )
    tools = [machine.tool("there", "there-package"), machine.tool("gone", "gone-package", "gone-dev")]
    machine.bootstrap.install_tools(tools)
    install = "apt-get install -y --no-install-recommends gone-package gone-dev"
    assert machine.asked() == ["apt-get update", install]
    assert capsys.readouterr().out.count("\n") == 1
    machine.bootstrap.install_tools(tools)  # all there now: nothing is asked for, nothing is said
    assert machine.asked() == ["apt-get update", install]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("case", ["not root", "no apt-get", "apt-get fails"])
def test_a_missing_tool_never_stops_the_set_up_and_the_way_is_said(
    case: str, machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if case != "no apt-get":
        machine.add("apt-get", "exit 100" if case == "apt-get fails" else "true")
    machine.root(monkeypatch, case != "not root")
    machine.bootstrap.install_tools([machine.tool("gone", "gone-package")])
    assert "sudo apt-get install gone-package" in capsys.readouterr().out
    assert len(machine.asked()) == (2 if case == "apt-get fails" else 0)


def test_the_list_of_tools_tells_what_is_there(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    by_name = {tool.name: tool for tool in bootstrap.TOOLS}
    assert not by_name["Chromium"].found()
    assert not by_name["gcc"].found()
    assert all(tool.packages for tool in bootstrap.TOOLS)


def test_a_browser_counts_only_when_it_runs(machine: Machine) -> None:
    (chromium,) = (tool for tool in machine.bootstrap.TOOLS if tool.name == "Chromium")
    machine.add("chromium-browser", "exit 1")
    assert not chromium.found()
    machine.add("google-chrome")
    assert chromium.found()


def test_the_simulated_headset_is_fetched_once(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = machine.bootstrap.NODE / "node_modules" / "iwer" / "package.json"
    content = json.dumps({"version": machine.bootstrap.IWER}).replace('"', '\\"')
    machine.add("npm", f'/bin/mkdir -p {manifest.parent}; echo "{content}" > {manifest}')
    machine.bootstrap.install_iwer()
    assert machine.bootstrap.installed_iwer() == machine.bootstrap.IWER
    machine.bootstrap.install_iwer()
    (asked,) = machine.asked()
    assert asked.startswith(f"npm install --prefix {machine.bootstrap.NODE} ")
    assert asked.endswith(f" iwer@{machine.bootstrap.IWER}")
    assert capsys.readouterr().out.count("\n") == 1
    manifest.write_text('{"version": "1.0.0"}')  # another version is replaced
    machine.bootstrap.install_iwer()
    assert machine.bootstrap.installed_iwer() == machine.bootstrap.IWER


@pytest.mark.parametrize("npm", [False, True])
def test_without_npm_or_network_the_set_up_goes_on(
    npm: bool, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    if npm:
        machine.add("npm", "exit 1")
    machine.bootstrap.install_iwer()
    assert machine.bootstrap.installed_iwer() is None
    assert "are skipped without it" in capsys.readouterr().out
