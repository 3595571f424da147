"""How fast the default agent learns and acts on this machine; run it while nothing else runs.

`python benchmarks/learner_speed.py` writes benchmarks/results/learner_speed.json. Batches are made beforehand: this
is the agent alone. Acting includes scaling the images down, and uses one thread as the actor does.
"""

import argparse
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robot_hil.data.specs import Array, ArraySpec, EnvSpec
from robot_hil.policies.config import AnchoredConfig
from robot_hil.policies.torch.anchored import AnchoredRlpd
from robot_hil.policies.torch.runtime import prepare_training
from robot_hil.report.machine import Result, write_results

RESULTS = Path(__file__).parent / "results" / "learner_speed.json"
STATE = {"state": ArraySpec(shape=(20,))}
CAMERAS = {name: ArraySpec(shape=(128, 128, 3), dtype="uint8") for name in ("front", "wrist")}
STATE_AGENT = AnchoredConfig(ensemble=4, utd=4)
PIXEL_AGENT = AnchoredConfig(ensemble=4, utd=1, image_size=64)
WARM_UP = 10


def spec_with(observation: dict[str, ArraySpec]) -> EnvSpec:
    """Return an environment of 10 Hz with seven actions."""
    return EnvSpec(
        env_id="benchmark/Learner-v0",
        observation=observation,
        action=ArraySpec(shape=(7,), low=-1.0, high=1.0),
        control_hz=10.0,
        max_episode_steps=100,
    )


def batches(agent: AnchoredRlpd, spec: EnvSpec, rows: int, count: int = 4) -> list[dict[str, Array]]:
    """Return `count` random batches as the replay makes them; a quarter of the rows is imitated."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        batch: dict[str, Array] = {}
        for prefix in ("obs", "next_obs"):
            for name, array in agent.stored(spec).items():
                batch[f"{prefix}/{name}"] = np.stack([array.sample(rng) for _ in range(rows)])
        ended = rng.random(rows) < 0.05
        batch["action"] = rng.uniform(-1, 1, (rows, 7)).astype(np.float32)
        batch["reward"] = ended.astype(np.float32)
        batch["discount"] = np.where(ended, 0.0, 0.95).astype(np.float32)
        batch["imitate"] = (rng.random(rows) < 0.25).astype(np.float32)
        batch["critic_weight"] = batch["actor_weight"] = np.ones(rows, np.float32)
        made.append(batch)
    return made


def seconds_each(work: Callable[[], object], seconds: float) -> Array:
    """Return how long each call of `work` took, for about `seconds`."""
    for _ in range(WARM_UP):
        work()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return np.array(times)


def rate(work: Callable[[], object], seconds: float) -> float:
    """Return calls per second, from the median."""
    return 1.0 / float(np.median(seconds_each(work, seconds)))


def learning(agent: AnchoredRlpd, spec: EnvSpec, rows: int, seconds: float) -> tuple[float, float]:
    """Return critic updates per second and whole rounds per second."""
    state: Any = agent.init(spec, 0)
    parts = itertools.cycle(batches(agent, spec, rows * agent.updates_per_round))
    critics = rate(lambda: agent._update_critics(state, next(parts)), seconds) * agent.updates_per_round
    return critics, rate(lambda: agent.update(state, next(parts)), seconds)


def acting(agent: AnchoredRlpd, spec: EnvSpec, seconds: float) -> tuple[float, float]:
    """Return median and 99th percentile of the time of one action [ms]."""
    rng = np.random.default_rng(0)
    actor = agent.load_actor(agent.actor_params(agent.init(spec, 0)))
    views = itertools.cycle([{n: a.sample(rng) for n, a in spec.observation.items()} for _ in range(16)])
    times = 1e3 * seconds_each(lambda: agent.act(actor, next(views), False, rng), seconds)
    return float(np.median(times)), float(np.percentile(times, 99))


def measure(threads: int, seconds: float) -> list[Result]:
    """Measure everything."""
    prepare_training(threads)
    note = f"{threads} threads"
    state_spec, pixel_spec = spec_with(STATE), spec_with(STATE | CAMERAS)
    state_agent, pixel_agent = AnchoredRlpd(STATE_AGENT), AnchoredRlpd(PIXEL_AGENT)
    results = []

    def add(name: str, value: float, unit: str, target: float | None = None, higher: bool = True) -> None:
        made = Result(name=name, value=round(value, 3), unit=unit, higher_is_better=higher, target=target, note=note)
        results.append(made)
        print(f"{name:64s} {value:10.2f} {unit:4s} target {target}")

    critic, rounds = learning(state_agent, state_spec, 256, seconds)
    add("critic updates, state, ensemble 4, batch 256", critic, "1/s", 150.0)
    add("rounds of 4 critic updates and 1 of the actor, state, batch 256", rounds, "1/s")
    critic, rounds = learning(pixel_agent, pixel_spec, 128, seconds)
    add("critic updates, two 64x64 cameras, ensemble 4, batch 128", critic, "1/s")
    add("rounds of 1 critic update and 1 of the actor, two 64x64 cameras", rounds, "1/s")
    torch.set_num_threads(1)
    note = "1 thread"
    for name, agent, spec in (("state", state_agent, state_spec), ("two cameras", pixel_agent, pixel_spec)):
        median, worst = acting(agent, spec, seconds)
        add(f"one action, {name}, median", median, "ms", higher=False)
        add(f"one action, {name}, 99 %", worst, "ms", higher=False)
    return results


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2, help="threads that train")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    write_results(args.out, measure(args.threads, args.seconds))


if __name__ == "__main__":
    main()
