"""`robot-hil console`: serve the operator's page, for a robot that runs or for a stored run."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from robot_hil.cli.runfolder import RunFolder
from robot_hil.console.address import is_loopback
from robot_hil.console.host import PARENT_VARIABLE, TOKEN_VARIABLE
from robot_hil.errors import ConfigError

if TYPE_CHECKING:
    from robot_hil.console.server import ConsoleServer

CONSOLE_FILE = "console.json"
"""Where a running console's addresses are; readable by its owner only, because they hold the token."""
_PARENT_PERIOD_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Console:
    """Serve the operator's console: cameras, who drives, buttons, e-stop, learning curves, episodes.

    With a run folder whose robot runs it attaches to that robot; otherwise it shows the stored run. Open the address
    that it prints; whoever has it may drive. It listens on this computer only, unless --host says otherwise.
    """

    run: tyro.conf.Positional[Path | None] = None
    """Run folder."""
    host: str = "127.0.0.1"
    """Interface to listen on, e.g. 0.0.0.0 for all; other than this computer's own means https."""
    port: int = 8443
    """Port to listen on; 0 for any free one."""
    tls: bool = False
    """Https on this computer's own interface, too."""
    cert: Path | None = None
    """Certificate chain of your own, PEM; needs --key."""
    key: Path | None = None
    """Its private key, PEM."""
    origin: tuple[str, ...] = ()
    """Further origins under which this console is reached, e.g. https://robot.example.org of a proxy."""
    link: str = ""
    """Endpoint of the robot's process, where there is no run folder that names it."""


def console(argv: Sequence[str]) -> int:
    """Serve until interrupted; return the exit code."""
    asked = tyro.cli(Console, args=list(argv), prog="robot-hil console", config=(tyro.conf.FlagCreatePairsOff,))
    if asked.run is None and not asked.link:
        raise ConfigError("say what to show: `robot-hil console RUN`. Runs lie in runs/ unless --out said otherwise.")
    if (asked.cert is None) != (asked.key is None):
        raise ConfigError("--cert and --key come together: a certificate chain and its private key, PEM files.")
    run = None
    if asked.run is not None:
        run = RunFolder(asked.run)
        if not asked.link:
            run.config()  # says so when it is no run folder
        _lock(run)
    return asyncio.run(_serve(asked))


def _lock(run: RunFolder) -> None:
    """One console per run: two would have two pilots."""
    try:
        run.lock("console")
    except ConfigError as error:
        known = _addresses(run.path).get("url", "")
        raise ConfigError(f"{run.path} has a console already" + (f": open {known}" if known else ".")) from error


def _addresses(folder: Path) -> dict[str, str]:
    try:
        content = json.loads((folder / CONSOLE_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


async def _serve(asked: Console) -> int:
    from robot_hil.console import auth, server
    from robot_hil.teleop import webxr

    tls: bool | tuple[Path, Path] = asked.tls or not is_loopback(asked.host)
    if asked.cert is not None and asked.key is not None:
        tls = (asked.cert, asked.key)
    config = server.ConsoleConfig(
        token=os.environ.pop(TOKEN_VARIABLE, "") or auth.new_token(),
        link=asked.link,
        folder=asked.run,
        host=asked.host,
        port=asked.port,
        tls=tls,
        pages={"/xr": Path(str(webxr.__file__)).parent / "static"},
        origins=asked.origin,
    )
    served = server.ConsoleServer(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await served.start()
    child = PARENT_VARIABLE in os.environ
    written = _write_addresses(asked.run, served) if asked.run is not None else None
    try:
        if child:
            _end_with_parent(loop, stop)
        else:
            _greet(served)
        await _until_stopped(served, stop, child)
    finally:
        await served.stop()
        if written is not None:
            written.unlink(missing_ok=True)
    return 0


async def _until_stopped(served: "ConsoleServer", stop: asyncio.Event, child: bool) -> None:
    """Wait for a signal, the parent's end, or a failure of the console, which is raised."""
    failed = asyncio.ensure_future(served.wait())
    parent = int(os.environ.get(PARENT_VARIABLE, "0") or 0)
    try:
        while not stop.is_set() and not failed.done():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _PARENT_PERIOD_S)
            if child and parent and os.getppid() != parent:
                stop.set()
        if failed.done():
            failed.result()
    finally:
        failed.cancel()


def _end_with_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set `stop` when the pipe that the parent holds is closed, by its end or on purpose."""

    def readable() -> None:
        if not os.read(handle, 1024):
            loop.remove_reader(handle)
            stop.set()

    handle = sys.stdin.fileno()
    with contextlib.suppress(PermissionError):  # not a pipe: the parent's process id is looked at as well
        loop.add_reader(handle, readable)


def _write_addresses(folder: Path, served: "ConsoleServer") -> Path:
    """Write the addresses where their owner finds them, and nobody else."""
    path = folder / CONSOLE_FILE
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    content = {
        "url": served.url(),
        "xr": served.url("/xr/"),
        "observer": served.url(observer=True),
        "port": served.port,
        "pid": os.getpid(),
    }
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(json.dumps(content, indent=2) + "\n")
    temporary.replace(path)
    return path


def _greet(served: "ConsoleServer") -> None:
    print(f"console:   {served.url()}")
    print(f"headset:   {served.url('/xr/')}")
    print(f"observers: {served.url(observer=True)}   (may watch and stop)")
    if is_loopback(served.config.host):
        print(f"A headset on a USB cable reaches it after `adb reverse tcp:{served.port} tcp:{served.port}`.")
    else:
        import segno

        segno.make(served.url(), micro=False).terminal(compact=True)
        print(f"Browsers warn of the certificate once; to avoid it import {served.url('/ca.crt').partition('#')[0]}")
    print("Ctrl-C ends it.", flush=True)
