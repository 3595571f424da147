"""How late the 20 Hz control period ends while a learner trains beside it on the same machine.

`python benchmarks/control_period.py` runs the simulated arm in real time, with and without `punctual`, beside a
process that trains critics with two threads at ordinary and at low priority. Writes results/control_period.json.
"""

import argparse
import itertools
import multiprocessing
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing.synchronize import Event
from pathlib import Path

import gymnasium
import numpy as np

import robot_hil.envs  # noqa: F401  registers the environments
from robot_hil.actor import loop as control_loop
from robot_hil.actor.arbiter import Arbiter, ArbiterConfig
from robot_hil.actor.loop import ControlLoop, LoopConfig
from robot_hil.actor.pacing import punctual
from robot_hil.actor.seeding import Stream
from robot_hil.data.specs import Array, Observation
from robot_hil.data.step import Step
from robot_hil.report.machine import Result, write_results

Keeper = Callable[[bool], AbstractContextManager[None]]
HZ = 20.0
TARGET_MS = 5.0
RESULTS = Path(__file__).parent / "results" / "control_period.json"


def train(ready: Event, done: Event, nice: int) -> None:
    """Train until told to stop: the load of a state-based learner (four critics, batch 256)."""
    import torch
    from torch import nn

    os.nice(nice)
    torch.set_num_threads(2)
    critics = nn.ModuleList(
        nn.Sequential(
            nn.Linear(32, 256), nn.LayerNorm(256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1)
        )
        for _ in range(4)
    )
    optimiser = torch.optim.Adam(critics.parameters(), lr=3e-4)
    batch = torch.randn(256, 32)
    while not done.is_set():
        loss = sum(critic(batch).square().mean() for critic in critics)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        ready.set()


class SmallPolicy:
    """An actor network of usual size, in numpy: the cost of acting without the noise of a second thread pool."""

    version = 0

    def __init__(self, observations: int, actions: int) -> None:
        rng = np.random.default_rng(0)
        sizes = (observations, 256, 256, actions)
        self._layers = [rng.normal(0, a**-0.5, (a, b)).astype(np.float32) for a, b in itertools.pairwise(sizes)]

    def act(self, obs: Observation, deterministic: bool = False) -> Array:
        """Return a small action."""
        x = obs["state"]
        for weights in self._layers:
            x = np.tanh(x @ weights)
        return 0.3 * x


def measure(seconds: float) -> tuple[Array, int]:
    """Run real-time episodes for `seconds`; return the lateness of each period [s] and the misses."""
    env = gymnasium.make("robot_hil/PickCube-v0", obs_type="state", control_hz=HZ, disable_env_checker=True)
    unwrapped = env.unwrapped
    actions = env.action_space.shape[0]
    policy = SmallPolicy(env.observation_space["state"].shape[0], actions)
    steps: list[int] = []

    def sink(step: Step) -> None:
        steps.append(step.step_index)
        if len(steps) >= seconds * HZ:
            loop.request_stop()

    loop = ControlLoop(
        env,
        policy,
        Arbiter(ArbiterConfig(action_dim=actions)),
        sink,
        LoopConfig(control_hz=HZ, realtime=True),
        gate=unwrapped.gate,
    )
    for episode in itertools.count():
        if loop.stop_requested:
            break
        loop.run_episode(Stream.TRAIN, episode)
    env.close()
    return loop.pacer.lateness(since_start=False), loop.pacer.misses


def beside_learner(seconds: float, nice: int, keeper: Keeper) -> tuple[Array, int]:
    """Run `measure` with `keeper` in place of `punctual` beside a learner of that niceness."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    learner = context.Process(target=train, args=(ready, done, nice))
    learner.start()
    control_loop.punctual = keeper
    try:
        ready.wait(60)
        return measure(seconds)
    finally:
        done.set()
        learner.join(20)


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a second and a half for each measurement instead of 15")
    seconds = 1.5 if parser.parse_args().quick else 15.0
    off: Keeper = lambda _: punctual(enabled=False)  # noqa: E731
    variants: dict[str, tuple[int, Keeper]] = {
        "plain": (0, off),
        "learner nice 10": (10, off),
        "punctual": (0, punctual),
    }
    results = []
    for name, (nice, keeper) in variants.items():
        late, misses = beside_learner(seconds, nice, keeper)
        p50, p99, worst = (float(v) * 1e3 for v in np.percentile(late, [50, 99, 100]))
        note = f"{late.size} periods at {HZ:g} Hz, {misses} missed, 2 training threads beside"
        print(f"{name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, worst {worst:.2f} ms; {note}")
        for kind, value in (("p50", p50), ("p99", p99), ("worst", worst)):
            goal = TARGET_MS if kind == "p99" and name == "punctual" else None
            title = f"control period lateness, {name}, {kind}"
            results.append(Result(name=title, value=value, unit="ms", higher_is_better=False, target=goal, note=note))
    write_results(RESULTS, results)


if __name__ == "__main__":
    main()
