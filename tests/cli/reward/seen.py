"""A task that can be seen: a white bar walks to the right through a small picture; there it stands for a success.

Also written into folders from which `robot-hil` is started, as the module `seen`.
"""

from typing import Any

import gymnasium
import numpy as np

from robot_hil.data.specs import ArraySpec, EnvSpec

SIZE, GOAL = 12, 0.75


class Seen(gymnasium.Env[dict[str, np.ndarray], np.ndarray]):
    """The bar comes to the goal within a dozen steps or so, whatever is done, and stays there; that ends it soon."""

    metadata = {"render_modes": [], "render_fps": 10}  # noqa: RUF012
    env_spec = EnvSpec(
        env_id="Seen-v0",
        observation={
            "front": ArraySpec(shape=(SIZE, SIZE, 3), dtype="uint8", low=0, high=255),
            "state": ArraySpec(shape=(2,), low=-1.0, high=1.0),
        },
        action=ArraySpec(shape=(2,), low=-1.0, high=1.0),
        control_hz=10.0,
        max_episode_steps=18,
        task="walk to the right",
    )
    observation_space = gymnasium.spaces.Dict(
        {
            "front": gymnasium.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8),
            "state": gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32),
        }
    )
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.x = float(self.np_random.uniform(0.0, 0.2))
        self.held = 0
        return self.look(), {"success": False}

    def step(self, action: np.ndarray) -> Any:
        self.x = min(1.0, self.x + 0.08 + 0.02 * float(action[0]))
        success = self.x >= GOAL
        self.held += success
        return self.look(), float(success), self.held >= 4, False, {"success": success}

    def look(self) -> dict[str, np.ndarray]:
        image = np.full((SIZE, SIZE, 3), 40, np.uint8)
        at = round(self.x * (SIZE - 3))
        image[:, at : at + 3] = 230
        return {"front": image, "state": np.zeros(2, np.float32)}


if "Seen-v0" not in gymnasium.registry:  # a test runner may import this under two names
    gymnasium.register("Seen-v0", Seen)
