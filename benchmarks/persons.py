"""How good the simulated persons are when they drive alone: `python benchmarks/persons.py`, a minute.

Writes benchmarks/results/persons.json, the table of docs/simulated_person.md: of every profile and task the share of
`--episodes` demonstrations that succeed and the median of their steps, of at most 100 in the simulation.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

import gymnasium

import robot_hil.envs  # noqa: F401 - registers the ids
from robot_hil.clock import VirtualClock
from robot_hil.envs.base import privileged_of
from robot_hil.report.machine import Result, write_results
from robot_hil.teleop.simulated import experts
from robot_hil.teleop.simulated.gates import AlwaysGate
from robot_hil.teleop.simulated.person import SimulatedPerson
from robot_hil.teleop.simulated.profile import PROFILES

RESULTS = Path(__file__).parent / "results" / "persons.json"
TASKS = {
    "peg_slot": "robot_hil/PegSlot2D-v0",
    "pick_cube": "robot_hil/PickCube-v0",
    "peg_insertion": "robot_hil/PegInsertion-v0",
}
"""Expert -> where it demonstrates."""


def demonstrations(task: str, profile: str, episodes: int) -> tuple[int, list[int]]:
    """Return how many of `episodes` succeed and how many steps each takes, the person driving all the time."""
    env: Any = gymnasium.make(TASKS[task], obs_type="state", disable_env_checker=True).unwrapped
    expert = experts.make(task)
    person = SimulatedPerson(expert, AlwaysGate(), PROFILES[profile], lambda: privileged_of(env), VirtualClock())
    person.start()
    successes, lengths = 0, []
    for seed in range(episodes):
        env.reset(seed=seed)
        person.begin_episode(seed)
        steps, terminated, truncated = 0, False, False
        while not (terminated or truncated) and steps < 100:
            *_, terminated, truncated, _ = env.step(person.latest().action)
            steps += 1
        successes += terminated
        lengths.append(steps)
    env.close()
    return successes, lengths


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=80)
    parser.add_argument("--quick", action="store_true", help="a tenth of the episodes")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    episodes = max(1, args.episodes // (10 if args.quick else 1))
    results = []
    for task in TASKS:
        for profile in sorted(PROFILES):
            successes, lengths = demonstrations(task, profile, episodes)
            name, median = f"{task}, {profile}", float(statistics.median(lengths))
            rate = successes / episodes
            note = f"{episodes} demonstrations"
            results.append(Result(name=f"{name}: success", value=rate, unit="", higher_is_better=True, note=note))
            results.append(
                Result(name=f"{name}: median", value=median, unit="steps", higher_is_better=False, note=note)
            )
            print(f"{task:14s} {profile:16s} {rate:5.2f} {median:5.0f} steps", flush=True)
    write_results(args.out, results)


if __name__ == "__main__":
    main()
