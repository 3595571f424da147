"""Rows as a real run writes them: a policy that learns, helped less and less."""

from collections.abc import Callable

import numpy as np
import pytest

from robot_hil.report.metrics import EpisodeRow

MakeEpisodes = Callable[..., list[EpisodeRow]]


@pytest.fixture
def make_episodes() -> MakeEpisodes:
    return fake_episodes


def fake_episodes(seed: int = 0, online: int = 90, half_way: int = 25, evaluation: int = 50) -> list[EpisodeRow]:
    """Return demonstrations, online episodes in which skill grows around episode `half_way`, and an evaluation."""
    rng = np.random.default_rng(seed)
    rows: list[EpisodeRow] = []
    t, env_steps = 0.0, 0

    def add(phase: str, steps: int, success: bool, human: int, interventions: int) -> None:
        nonlocal t, env_steps
        t += steps * (0.09 if phase == "train" else 0.02)
        env_steps += steps if phase == "train" else 0
        rows.append(
            EpisodeRow(
                t_wall_s=t,
                env_steps=env_steps,
                episode_id=len(rows),
                steps=steps,
                success=success,
                human_steps=human,
                interventions=interventions,
                phase=phase,
                policy_version=env_steps // 10,
                policy_age_s=0.4,
            )
        )

    for _ in range(20):
        steps = int(rng.integers(38, 52))
        add("demo", steps, True, steps, 0)
    for number in range(online):
        skill = 1 / (1 + np.exp((half_way - number) / 4))
        alone = rng.random() < skill
        steps = int(rng.integers(20, 28)) + int((1 - skill) * rng.integers(10, 50))
        human = 0 if alone else int(steps * rng.uniform(0.3, 0.6))
        add("train", steps, bool(alone or rng.random() < 0.9), human, 0 if alone else int(rng.integers(1, 3)))
    for _ in range(evaluation):
        add("eval", int(rng.integers(19, 26)), bool(rng.random() < 0.99), 0, 0)
    return rows
