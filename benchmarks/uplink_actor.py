"""The actors of `benchmarks/uplink.py`, each a process of its own: they put steps, slowly or as fast as they may.

Speaks JSON lines: says {"ready"} once it is welcome, waits for a line, works, and says what it measured.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from robot_hil.data.specs import ArraySpec, EnvSpec
from robot_hil.data.step import Step
from robot_hil.transport.keys import load_keys
from robot_hil.transport.uplink import Uplink

SPEC = EnvSpec(
    env_id="benchmark/Pixels-v0",
    observation={
        "front": ArraySpec(shape=(128, 128, 3), dtype="uint8"),
        "wrist": ArraySpec(shape=(128, 128, 3), dtype="uint8"),
        "state": ArraySpec(shape=(18,)),
    },
    action=ArraySpec(shape=(7,), low=-1.0, high=1.0),
    control_hz=20.0,
    max_episode_steps=100,
)
_VIEWS = 16
_WAITING = 192
"""Steps that an actor without pace lets wait for the learner."""


def make_steps(count: int) -> Iterator[Step]:
    """Yield the steps of episodes of 100, with random pixels; `t_cmd` is the time at which each is taken."""
    rng = np.random.default_rng(0)
    views = [{name: spec.sample(rng) for name, spec in SPEC.observation.items()} for _ in range(_VIEWS)]
    action = SPEC.action.sample(rng)
    first = Step(
        obs=views[0],
        action_policy=action,
        action_human=np.full(7, np.nan, np.float32),
        action_executed=action,
        authority=np.zeros(7, np.uint8),
        reward={"env": 0.0},
        terminated=False,
        truncated=False,
        success=False,
        episode_id=0,
        step_index=0,
    )
    for number in range(count):
        episode, index = divmod(number, SPEC.max_episode_steps)
        last = index == SPEC.max_episode_steps - 1
        yield replace(
            first,
            obs=views[number % _VIEWS],
            final_obs=views[(number + 1) % _VIEWS] if last else None,
            truncated=last,
            episode_id=episode,
            step_index=index,
            t_cmd=time.monotonic(),
        )


def main() -> None:
    """Put steps and say how long each `put` took [s], and when the first was put and the last was acknowledged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("endpoint")
    parser.add_argument("spool", type=Path)
    parser.add_argument("--name", default="actor")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--hz", type=float, default=0.0, help="steps per second; 0: as many as the learner takes")
    parser.add_argument("--delay", type=float, default=0.0, help="of the first step [s]")
    parser.add_argument("--keys", type=Path)
    parser.add_argument("--sync-after", type=float)
    args = parser.parse_args()
    options = {} if args.sync_after is None else {"sync_after": args.sync_after}
    keys = None if args.keys is None else load_keys(args.keys)
    costs = []
    with Uplink(args.spool, SPEC, endpoint=args.endpoint, actor_id=args.name, keys=keys, **options) as uplink:
        uplink.wait_welcome(30)
        # as fast as it goes: what is measured is the uplink, so the steps are there before
        steps = make_steps(args.steps) if args.hz else list(make_steps(args.steps))
        _say({"ready": True})
        sys.stdin.readline()
        time.sleep(args.delay)
        begin = time.monotonic()
        cpu = time.process_time()
        for number, step in enumerate(steps):
            start = time.perf_counter()
            uplink.put(step)
            costs.append(time.perf_counter() - start)
            if args.hz:
                time.sleep(max(0.0, begin + (number + 1) / args.hz - time.monotonic()))
            elif number % 16 == 15:
                while uplink.info().unacked > _WAITING:
                    time.sleep(0.001)
        if not uplink.flush(120):
            raise SystemExit(f"not everything was acknowledged: {uplink.info()}")
        _say({"begin": begin, "end": time.monotonic(), "cpu": time.process_time() - cpu, "costs": costs})


def _say(row: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
