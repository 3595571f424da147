"""The tasks of other suites: how well their person drives alone, and how fast they run: `python benchmarks/suites.py`.

Needs the extra `suites`. Writes benchmarks/results/suites.json, the table of docs/suites.md: of every task of
Meta-World that has an id here the share of `--episodes` demonstrations that succeed and the median of their steps, as
`--profile` drives; of all tasks the steps per second of processor time, with state and resets.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import robot_hil.envs  # noqa: F401 - registers the ids
from robot_hil.clock import VirtualClock
from robot_hil.envs.base import privileged_of
from robot_hil.envs.suites import ADROIT, METAWORLD
from robot_hil.report.machine import Result, write_results
from robot_hil.teleop.simulated import experts
from robot_hil.teleop.simulated.gates import AlwaysGate
from robot_hil.teleop.simulated.person import SimulatedPerson
from robot_hil.teleop.simulated.profile import PROFILES

RESULTS = Path(__file__).parent / "results" / "suites.json"
FIRST_SEED = 1000
"""Of the episodes: none that anything was tuned on."""


def make(name: str) -> Any:
    """Return the environment `robot_hil/<name>-v0`, whose policy sees the state."""
    return gymnasium.make(f"robot_hil/{name}-v0", obs_type="state", disable_env_checker=True).unwrapped


def demonstrations(env: Any, profile: str, episodes: int) -> tuple[int, list[int]]:
    """Return how many of `episodes` succeed and how many steps each takes, the person driving all the time."""
    expert = experts.make("metaworld")
    person = SimulatedPerson(expert, AlwaysGate(), PROFILES[profile], lambda: privileged_of(env), VirtualClock())
    person.start()
    successes, lengths = 0, []
    for seed in range(FIRST_SEED, FIRST_SEED + episodes):
        env.reset(seed=seed)
        person.begin_episode(seed)
        steps, terminated, truncated = 0, False, False
        while not (terminated or truncated):
            *_, terminated, truncated, _ = env.step(person.latest().action)
            steps += 1
        successes += terminated
        lengths.append(steps)
    return successes, lengths


def steps_per_second(env: Any, seconds: float) -> float:
    """Return random steps per second of processor time, resets included."""
    rng = np.random.default_rng(0)
    env.reset(seed=FIRST_SEED)
    steps, begin = 0, time.process_time()
    while time.process_time() - begin < seconds:
        *_, terminated, truncated, _ = env.step(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32))
        steps += 1
        if terminated or truncated:
            env.reset()
    return steps / (time.process_time() - begin)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="competent")
    parser.add_argument("--quick", action="store_true", help="a tenth of the episodes and of the time")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    episodes, seconds = (max(1, args.episodes // 10), 0.2) if args.quick else (args.episodes, 2.0)
    results: list[Result] = []
    for task in METAWORLD:
        name = f"MetaWorld{task.title().replace('-', '')}"
        env = make(name)
        successes, lengths = demonstrations(env, args.profile, episodes)
        note = f"{episodes} demonstrations by {args.profile}"
        share, median = successes / episodes, float(statistics.median(lengths))
        results += [
            Result(name=f"{name}: success", value=share, unit="", higher_is_better=True, note=note),
            Result(name=f"{name}: median", value=median, unit="steps", higher_is_better=False, note=note),
            speed(name, env, seconds),
        ]
        print(f"{name:28s} {share:5.2f} {median:5.0f} steps {results[-1].value:6.0f} steps/s", flush=True)
        env.close()
    for task in ADROIT:
        env = make(f"Adroit{task}")
        results.append(speed(f"Adroit{task}", env, seconds))
        print(f"{results[-1].name:28s} {results[-1].value:6.0f} steps/s", flush=True)
        env.close()
    write_results(args.out, results)


def speed(name: str, env: Any, seconds: float) -> Result:
    """Return the row on how fast `env` runs."""
    value = round(steps_per_second(env, seconds), 1)
    note = "of processor time, random actions, state"
    return Result(name=f"{name}: speed", value=value, unit="steps/s", higher_is_better=True, note=note)


if __name__ == "__main__":
    main()
