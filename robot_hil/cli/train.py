"""`robot-hil train`: start learner and actor, show how it goes, save whatever happens, evaluate at the end."""

import os
import time
from dataclasses import replace
from typing import Any

from robot_hil.cli import compose
from robot_hil.cli.children import Child, free_ports
from robot_hil.cli.options import CLOCK_VARIABLE, Parsed, without
from robot_hil.cli.runfolder import RunFolder
from robot_hil.cli.signals import PARENT_VARIABLE, StopRequest
from robot_hil.cli.stepwise import REFRESH_S, StepwiseDisplay
from robot_hil.errors import RobotHilError

_LEARNER_ENDS_S = 5.0
_LEARNER_THREADS = "2"


class ChildFailedError(RobotHilError):
    """A process of the run ended by itself."""


def train_run(parsed: Parsed, run: RunFolder) -> int:
    """Train, evaluate and report; return the exit code."""
    experiment, made = parsed.experiment, parsed.options
    compose.require_person(experiment, bool(made.teleop))
    run.lock("train")
    origin = run.start_clock()
    title = f"{experiment.name} · seed {made.seed}"
    print(f"run folder {run.path}", flush=True)
    if made.operator.console:
        made = _with_console(made)
        parsed = replace(parsed, options=made, argv=(*parsed.argv, "--console-port", str(made.console_port)))
    stop = StopRequest()
    with StepwiseDisplay(run.path, title) as display:
        if made.in_process:
            from robot_hil.cli.inprocess import InProcess

            InProcess(experiment, run, made.seed, stop, display.refresh_seldom, made.operator).run()
        else:
            _processes(parsed, run, origin, stop, display)
        if not stop:
            from robot_hil.cli.finish import evaluate_run

            evaluate_run(experiment, run, made.seed, stop, display.refresh_seldom, made.operator)
    if stop:
        print(f"\nStopped and saved. Go on with: robot-hil train --resume {run.path}")
        return 130
    from robot_hil.cli.finish import write_results

    write_results(experiment, run, made.seed)
    return 0


def _with_console(made: Any) -> Any:
    """Settle the console's address for all processes of this run, and print it."""
    from robot_hil.console.address import console_url, is_loopback
    from robot_hil.console.auth import new_token
    from robot_hil.console.host import TOKEN_VARIABLE, free_port

    token = os.environ.setdefault(TOKEN_VARIABLE, new_token())
    host, port = made.console_host, free_port(made.console_host, made.console_port)
    print(f"console: {console_url(host, port, not is_loopback(host), token, '/')}", flush=True)
    return replace(made, console_port=port)


def _processes(parsed: Parsed, run: RunFolder, origin: float, stop: StopRequest, display: StepwiseDisplay) -> None:
    """Run learner and actor until the actor is done or a stop is asked for; both have saved on return."""
    learner, actor = _children(parsed, run, origin)
    actor_code: int | None = None
    try:
        learner.start()
        actor.start()
        while not stop and actor_code is None:
            display.refresh()
            time.sleep(REFRESH_S)
            actor_code = actor.code()
            if learner.code() is not None and actor_code is None:
                break
    finally:
        if learner.code() is not None:
            # nobody acknowledges any more: what the actor has is safe in its spool
            actor_code = actor.end(grace_s=30.0)
        else:
            actor_code = actor.end(tick=display.refresh_seldom)
            if actor_code == 0 and not stop:
                learner.wait(_LEARNER_ENDS_S, display.refresh_seldom, kill=False)  # the actor told it
        learner_code = learner.end(tick=display.refresh_seldom)
        display.refresh()
    for child, code in ((learner, learner_code), (actor, actor_code)):
        if code:
            raise ChildFailedError(_obituary(child, code, run))


def _children(parsed: Parsed, run: RunFolder, origin: float) -> tuple[Child, Child]:
    ports = free_ports(2)
    name, *overrides = without(parsed.argv, {"--in-process": 0})
    common = [
        name, *overrides, "--out", str(run.path),
        "--endpoint", f"tcp://127.0.0.1:{ports[0]}", "--weights-endpoint", f"tcp://127.0.0.1:{ports[1]}",
    ]  # fmt: skip
    env: dict[str, Any] = {
        CLOCK_VARIABLE: repr(origin),
        PARENT_VARIABLE: str(os.getpid()),
        "PYTHONUNBUFFERED": "1",
    }
    threads = os.environ.get("OMP_NUM_THREADS", _LEARNER_THREADS)
    learner = Child("learner", ["learner", *common], run.log("learner"), {**env, "OMP_NUM_THREADS": threads})
    actor = Child("actor", ["actor", *common], run.log("actor"), {**env, "OMP_NUM_THREADS": "1"})
    return learner, actor


def _obituary(child: Child, code: int, run: RunFolder) -> str:
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return (
        f"the {child.name} {how}:\n{child.last_words()}\n"
        f"What was recorded is safe. Full output: {child.log}. Go on with: robot-hil train --resume {run.path}"
    )
