"""How many steps per second the simulated tasks make; run on a quiet machine: `python benchmarks/env_speed.py`."""

import argparse
import time
from pathlib import Path

import gymnasium
import numpy as np

import robot_hil.envs  # noqa: F401
from robot_hil.report.machine import Result, write_results

RESULTS = Path(__file__).parent / "results" / "env_speed.json"
TARGETS = {"state": 1500.0, "pixels": 400.0}
OTHERS = {"state": "gym-hil 147 to 174", "pixels": "gym-hil 2.6, two 128x128 cameras"}
"""Its PandaPickCube: MuJoCo's software rendering with shadows and multisampling, a mesh of the arm."""
TASKS = {"pick_cube": "robot_hil/PickCube-v0", "peg_insertion": "robot_hil/PegInsertion-v0"}
TOYS = {
    "peg_slot": "robot_hil/PegSlot2D-v0",
    "peg_two_slots": "robot_hil/PegTwoSlots2D-v0",
    "peg_grip": "robot_hil/PegGrip2D-v0",
    "reach_pillar": "robot_hil/ReachPillar2D-v0",
}
TOY_TARGETS = {"state": 20_000.0, "pixels": 3_000.0}


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
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="runs of a fifth of a second instead of two")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    results = []
    for task, env_id in (TASKS | TOYS).items():
        for obs_type, target in (TOY_TARGETS if task in TOYS else TARGETS).items():
            value = steps_per_second(env_id, obs_type, 0.2 if args.quick else 2.0)
            others = OTHERS[obs_type] if task == "pick_cube" else ""
            results.append(
                Result(
                    name=f"{task}, {obs_type}",
                    value=round(value, 1),
                    unit="steps/s",
                    higher_is_better=True,
                    target=target,
                    others=others,
                )
            )
            print(f"{task:14} {obs_type:7} {value:8.0f} steps/s (target {target:.0f})", flush=True)
    write_results(args.out, results)


if __name__ == "__main__":
    main()
