"""How many steps per second the simulated tasks make; run on a quiet machine: `python benchmarks/env_speed.py`."""

import argparse
import datetime
import json
import os
import platform
import subprocess
import time
from pathlib import Path

import gymnasium
import numpy as np

import robot_hil.envs  # noqa: F401

TARGETS = {"state": 1500.0, "pixels": 400.0}
TASKS = {"pick_cube": "robot_hil/PickCube-v0", "peg_insertion": "robot_hil/PegInsertion-v0"}


def steps_per_second(env_id: str, obs_type: str, seconds: float) -> float:
    """Return steps per second of random actions at 10 Hz control, resets included; best of three runs."""
    env = gymnasium.make(env_id, obs_type=obs_type).unwrapped
    actions = np.random.default_rng(0).uniform(-1, 1, (1000, *(env.action_space.shape or ()))).astype(np.float32)
    env.reset(seed=0)
    best = 0.0
    for _ in range(3):
        steps, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < seconds:
            _, _, terminated, truncated, _ = env.step(actions[steps % len(actions)])
            steps += 1
            if terminated or truncated:
                env.reset()
        best = max(best, steps / (time.perf_counter() - begin))
    env.close()
    return best


def main() -> None:
    """Measure, print and write `results/env_speed.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one run; three are made per figure")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "env_speed.json")
    args = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    rows = []
    for task, env_id in TASKS.items():
        for obs_type, target in TARGETS.items():
            value = steps_per_second(env_id, obs_type, args.seconds)
            rows.append(
                {
                    "name": f"{task}, {obs_type}",
                    "value": round(value, 1),
                    "unit": "steps/s",
                    "target": target,
                    "machine": f"{platform.machine()}, {os.cpu_count()} cores, no GPU",
                    "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
                    "commit": commit,
                }
            )
            print(f"{task:14} {obs_type:7} {value:8.0f} steps/s (target {target:.0f})")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
