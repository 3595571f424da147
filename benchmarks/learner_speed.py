"""How fast agents learn and act on this machine, with every backend that is installed; use a quiet machine.

`python benchmarks/learner_speed.py` writes benchmarks/results/learner_speed.json. Batches are made beforehand: this is
the agent alone, a whole call of `Agent.update`, which ends when the numbers are there. Variants take turns, together
with the products and convolutions from whose rates the floors come (`flops.py` counts). Acting includes scaling the
images down; it is measured in a process of its own that has one core.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import flops
import numpy as np
from floors import conv_flop, conv_work, product_work
from timing import CpuUse, in_turns, seconds_of

from robot_hil.data.specs import Array, ArraySpec, EnvSpec
from robot_hil.policies.config import AnchoredConfig, HilSerlConfig
from robot_hil.policies.registry import AgentConfig, make_agent
from robot_hil.protocols import Agent
from robot_hil.report.machine import Result, write_results

RESULTS = Path(__file__).parent / "results" / "learner_speed.json"
BACKENDS = ("torch", "jax")
THREADS = 2
STATE = {"state": ArraySpec(shape=(18,))}
CAMERAS = {name: ArraySpec(shape=(128, 128, 3), dtype="uint8") for name in ("front", "wrist")}
ACTIONS = 7
FLOAT32, BFLOAT16 = "float32", "bfloat16"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An agent whose rounds are timed."""

    name: str
    config: AgentConfig
    observation: Mapping[str, ArraySpec]
    rows: int
    """Of a minibatch."""
    work: flops.Work
    """Of a round."""
    targets: Mapping[str, float] = field(default_factory=dict)
    """Precision -> rounds per second."""
    others: str = ""


def soft_actor_critic(ensemble: int, updates: int) -> dict[str, Any]:
    """Return what the cases of the HIL-SERL agent have in common: state 18-d, no gripper critic."""
    return {
        "config": HilSerlConfig(ensemble=ensemble, critic_to_actor=updates),
        "observation": STATE,
        "rows": 256,
        "work": flops.hil_serl(features=18, actions=ACTIONS, rows=256, ensemble=ensemble, updates=updates),
    }


STATE_CASES = (
    Case(
        name="state, ensemble 2, full update",
        targets={FLOAT32: 220.0, BFLOAT16: 350.0},
        others="HIL-SERL 176, LeRobot 52",
        **soft_actor_critic(2, 1),
    ),
    Case(
        name="state, ensemble 10, full update",
        targets={FLOAT32: 65.0, BFLOAT16: 130.0},
        others="HIL-SERL 53, LeRobot 17",
        **soft_actor_critic(10, 1),
    ),
    Case(
        name="state, ensemble 10, 3 critic updates and a full one",
        targets={FLOAT32: 20.0, BFLOAT16: 40.0},
        others="HIL-SERL 16",
        **soft_actor_critic(10, 4),
    ),
    Case(
        name="state, default agent: 4 critic updates, 1 of the actor",
        config=AnchoredConfig(),
        observation=STATE,
        rows=256,
        work=flops.anchored(features=18, actions=ACTIONS, rows=256, ensemble=4, updates=4),
    ),
)
SMALL = flops.Convolutions(side=64, filters=(16, 32), strides=(2, 2), images=2 * 128)
PIXEL_CASES = (
    Case(
        name="two 64x64 cameras, small encoder trained end to end, full update, batch 128",
        config=AnchoredConfig(freeze_encoder=False, utd=1),
        observation=STATE | CAMERAS,
        rows=128,
        work=flops.anchored(
            features=18 + 192, actions=ACTIONS, rows=128, ensemble=4, updates=1, encoder=SMALL, encoded=192
        ),
        targets={FLOAT32: 15.0, BFLOAT16: 25.0},
        others="LeRobot 0.13 at 128x128, batch 256",
    ),
    Case(
        name="two 64x64 cameras, small encoder frozen and cached, full update, batch 128",
        config=AnchoredConfig(utd=1),
        observation=STATE | CAMERAS,
        rows=128,
        work=flops.anchored(features=18 + 192, actions=ACTIONS, rows=128, ensemble=4, updates=1),
    ),
)


def spec_with(observation: Mapping[str, ArraySpec]) -> EnvSpec:
    """Return an environment of 10 Hz with seven actions."""
    return EnvSpec(
        env_id="benchmark/Learner-v0",
        observation=dict(observation),
        action=ArraySpec(shape=(ACTIONS,), low=-1.0, high=1.0),
        control_hz=10.0,
        max_episode_steps=100,
    )


def batches(agent: Agent, spec: EnvSpec, rows: int, count: int = 4) -> list[dict[str, Array]]:
    """Return `count` random batches as the replay makes them; a quarter of the rows is imitated."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        batch: dict[str, Array] = {}
        for prefix, names in agent.reads.items():
            for name in names:
                array = agent.stored(spec)[name].drawn
                batch[f"{prefix}/{name}"] = np.stack([array.sample(rng) for _ in range(rows)])
        ended = rng.random(rows) < 0.05
        batch["action"] = rng.uniform(-1, 1, (rows, ACTIONS)).astype(np.float32)
        batch["reward"] = ended.astype(np.float32)
        batch["discount"] = np.where(ended, 0.0, 0.95).astype(np.float32)
        batch["imitate"] = (rng.random(rows) < 0.25).astype(np.float32)
        batch["critic_weight"] = batch["actor_weight"] = np.ones(rows, np.float32)
        made.append(batch)
    return made


class Rounds:
    """Rounds of one agent, one per call."""

    def __init__(self, case: Case, backend: str, precision: str) -> None:
        self.case, self.backend, self.precision = case, backend, precision
        spec = spec_with(case.observation)
        self._agent = make_agent(replace(case.config, precision=precision), backend=backend)
        self._state = self._agent.init(spec, 0)
        self._parts = itertools.cycle(batches(self._agent, spec, case.rows * self._agent.updates_per_round))
        begin = time.perf_counter()
        self()
        self.first_s = time.perf_counter() - begin

    def __call__(self) -> None:
        self._state, _ = self._agent.update(self._state, next(self._parts))

    @property
    def name(self) -> str:
        """Name of its row."""
        return f"{self.case.name}, {self.precision}, {self.backend}"

    def result(self, times: list[float], product_rate: float, convolution_rate: float, note: str) -> Result:
        """Return its row; the floor is that of float32 for both precisions where bfloat16 has no instructions."""
        goal = self.case.targets.get(self.precision)
        return Result(
            name=self.name,
            value=1.0 / float(np.median(times)),
            unit="1/s",
            higher_is_better=True,
            target=goal,
            floor=1.0 / self.case.work.seconds(product_rate, convolution_rate),
            others=self.case.others if self.precision == FLOAT32 else "",
            note=f"best {1.0 / min(times):.1f}, first call {self.first_s:.1f} s; {note}",
        )


def learning(cases: tuple[Case, ...], precisions: tuple[str, ...], backends: list[str], seconds: float) -> list[Result]:
    """Time rounds of all cases in turns; print and return a row for each."""
    rounds = []
    for case, precision, backend in itertools.product(cases, precisions, backends):
        rounds.append(Rounds(case, backend, precision))
        print(f"  made {rounds[-1].name} ({rounds[-1].first_s:.1f} s)", flush=True)
    use = CpuUse()
    size, batch = 256, 10
    works = {"product": product_work(size, batch, FLOAT32), "convolution": conv_work(FLOAT32)}
    times = in_turns(works | {one.name: one for one in rounds}, seconds)
    product = 2.0 * batch * size**3 / min(times["product"])
    convolution = conv_flop() / min(times["convolution"])
    steal, others = use.shares()
    note = f"{THREADS} threads; stolen {steal:.0%}, other processes {others:.0%}"
    results = [one.result(times[one.name], product, convolution, note) for one in rounds]
    for row in results:
        print(
            f"{row.name:100s} {row.value:9.2f} 1/s, target {row.target}, floor {row.floor:.0f}; {row.note}", flush=True
        )
    return results


def acting(backend: str, seconds: float) -> None:
    """Keep to one core; print median and 99th percentile of the time of one action as a line of JSON."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before a library makes its threads
    if backend == "torch":
        import torch

        torch.set_num_threads(1)
    rng, rows = np.random.default_rng(0), []
    for name, observation, target in (("state", STATE, 0.5), ("two cameras, small encoder", STATE | CAMERAS, 10.0)):
        spec = spec_with(observation)
        agent = make_agent(AnchoredConfig(), backend=backend)
        actor = agent.load_actor(agent.actor_params(agent.init(spec, 0)))
        views = itertools.cycle([{n: a.sample(rng) for n, a in spec.observation.items()} for _ in range(16)])
        for _ in range(50):
            agent.act(actor, next(views), False, rng)
        times = 1e3 * np.array(seconds_of(lambda a=agent, p=actor, v=views: a.act(p, next(v), False, rng), seconds))
        rows.append((f"one action, {name}, median, {backend}", float(np.median(times)), None))
        rows.append((f"one action, {name}, 99 %, {backend}", float(np.percentile(times, 99)), target))
    print(json.dumps(rows))


def acting_rows(backend: str, seconds: float) -> list[Result]:
    """Measure `acting` in a process with one core."""
    command = [sys.executable, __file__, "--acting", backend, "--seconds", str(seconds)]
    use = CpuUse()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    steal, others = use.shares()
    note = f"one core; stolen {steal:.0%}, other processes {others:.0%}"
    published = {"state": "HIL-SERL 0.17 median", "two cameras": "HIL-SERL 15 median, with a ResNet-10"}
    results = []
    for name, value, target in json.loads(done.stdout):
        known = next((text for part, text in published.items() if part in name and "median" in name), "")
        results.append(
            Result(name=name, value=value, unit="ms", higher_is_better=False, target=target, others=known, note=note)
        )
        print(f"{name:100s} {value:9.3f} ms, target {target}", flush=True)
    return results


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few cases in float32, half a second of each")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--acting", choices=BACKENDS, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    seconds = args.seconds or (0.5 if args.quick else 4.0)
    if args.acting:
        acting(args.acting, seconds)
        return
    backends = [name for name in BACKENDS if find_spec(name) is not None]
    for missing in sorted(set(BACKENDS) - set(backends)):
        print(f"{missing} is not installed: its rows are left out")
    prepare(backends)
    results = []
    for cases in (STATE_CASES, PIXEL_CASES):
        some = (cases[0], cases[-1]) if args.quick else cases
        results += learning(some, (FLOAT32,) if args.quick else (FLOAT32, BFLOAT16), backends, seconds)
    for backend in backends:
        results += acting_rows(backend, seconds)
    write_results(args.out, results)


def prepare(backends: list[str]) -> None:
    """Set this process up as the learner does."""
    if "torch" in backends:
        from robot_hil.policies.torch.runtime import prepare_training

        prepare_training(THREADS)


if __name__ == "__main__":
    main()
