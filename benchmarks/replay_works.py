"""What is measured of the replay buffer, and the bare copies that it is compared with."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from floors import aligned
from timing import Work, in_turns

from robot_hil.data.specs import Array, ArraySpec
from robot_hil.data.step import Segment, Step
from robot_hil.methods.base import Method
from robot_hil.replay.buffer import ReplayBuffer

CAMERAS = {name: ArraySpec(shape=(128, 128, 3), dtype="uint8") for name in ("front", "wrist")}
STATE = {"state": ArraySpec(shape=(20,))}
FEATURES = {"encoding": ArraySpec(shape=(2, 4096), dtype="float16", variants=8)}
ACTION_DIM, BATCH, EPISODE, CHUNK = 7, 256, 100, 100
TOGETHER = 32  # as the learner adds steps that wait


def steps(observation: dict[str, ArraySpec], count: int) -> list[Step]:
    """Return `count` steps of episodes of `EPISODE`; every fifth is a demonstration, steps 40 to 49 a correction."""
    rng = np.random.default_rng(0)
    views = [{name: spec.sample(rng) for name, spec in observation.items()} for _ in range(32)]
    action = np.zeros(ACTION_DIM, np.float32)
    made = []
    for i in range(count):
        episode, t = divmod(i, EPISODE)
        demo, human = episode % 5 == 0, 40 <= t < 50
        made.append(
            Step(
                obs=views[i % 32],
                action_policy=action,
                action_human=action,
                action_executed=action,
                authority=np.full(ACTION_DIM, int(demo or human), np.uint8),
                reward={"env": 0.0},
                terminated=t == EPISODE - 1,
                truncated=False,
                success=False,
                episode_id=episode,
                step_index=t,
                segment=Segment.DEMO if demo else Segment.CORRECTION if human else Segment.NONE,
                onset=human and t == 40,
                final_obs=views[0] if t == EPISODE - 1 else None,
            )
        )
    return made


def medians(seconds: float, *works: Work) -> list[float]:
    """Return the median time of each of `works`, which take turns."""
    times = in_turns({str(i): work for i, work in enumerate(works)}, seconds)
    return [float(np.median(taken)) for taken in times.values()]


class Inserting:
    """Adds the same thousand steps again and again, always as another log; `CHUNK` of them in a call.

    A thousand, as steps that arrive were decoded just before: they lie in the cache.
    """

    def __init__(self, buffer: ReplayBuffer, some: Sequence[Step], together: int = TOGETHER) -> None:
        self._buffer, self._steps, self._together, self._done = buffer, some[:1_000], together, 0

    def __call__(self) -> None:
        """Add the next chunk."""
        per_log = len(self._steps) // CHUNK
        log, chunk = divmod(self._done, per_log)
        source = f"again {log}, {self._together} together"
        end = (chunk + 1) * CHUNK
        for i in range(chunk * CHUNK, end, self._together):
            self._buffer.add_all(self._steps[i : min(i + self._together, end)], source)
        self._done += 1


class Copying:
    """Copies the frames of `CHUNK` steps into rows of a large array: what inserting cannot beat."""

    def __init__(self, array: Array, some: Sequence[Step]) -> None:
        self._array, self._done = array, 0
        self._frames = [step.obs[name].reshape(-1) for step in some[:32] for name in CAMERAS]

    def __call__(self) -> None:
        """Copy the next chunk."""
        begin = self._done * 2 * CHUNK % (len(self._array) - 2 * CHUNK + 1)
        for i in range(2 * CHUNK):
            self._array[begin + i] = self._frames[i % len(self._frames)]
        self._done += 1


def gathering(sources: Sequence[Array], threads: int) -> Work:
    """Return what the machine itself can do: copying the random rows of one batch out of `sources`, twice of each."""
    rng, outs = np.random.default_rng(0), [aligned((BATCH, source.shape[1])) for source in (*sources, *sources)]
    pool = ThreadPoolExecutor(threads)

    def part(source: Array, rows: Array, out: Array) -> None:
        np.take(source, rows, axis=0, out=out, mode="clip")

    def work() -> None:
        cut = BATCH // threads
        for source, out in zip((*sources, *sources), outs, strict=True):
            rows = rng.integers(0, len(source), BATCH)
            parts = [slice(i * cut, (i + 1) * cut) for i in range(threads)]
            others = [pool.submit(part, source, rows[p], out[p]) for p in parts[1:]]
            part(source, rows[parts[0]], out[parts[0]])
            for other in others:
                other.result()

    return work


def sampling(buffer: ReplayBuffer, method: Method) -> Work:
    """Return how a batch is drawn by `method`, into arrays used again."""
    rng, out = np.random.default_rng(0), buffer.empty_batch(BATCH)
    return lambda: buffer.sample_view(method, rng, BATCH, 0.97, 0, out)
