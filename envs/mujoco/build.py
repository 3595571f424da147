"""Put a simulated task together: world, arm, safety gate, cameras, environment."""

from collections.abc import Callable

from robot_hil.actor.safety import SafetyGate
from robot_hil.envs.mujoco.arm import MujocoArm, limits
from robot_hil.envs.mujoco.camera import MujocoCamera, Renderer
from robot_hil.envs.mujoco.world import World
from robot_hil.envs.robot_env import RobotEnv
from robot_hil.envs.task import ObsType, Task
from robot_hil.errors import ConfigError

Corner = tuple[float, float, float]


def build_env(
    scene: str,
    task_of: Callable[[World], Task],
    *,
    low: Corner,
    high: Corner,
    obs_type: ObsType,
    control_hz: float,
    image_size: int,
    render_mode: str | None,
    max_seconds: float | None = None,
    held: str = "",
) -> RobotEnv:
    """Return the environment of `scene`; `low` and `high` are the corners of the tool's workspace [m]."""
    if render_mode not in (None, "rgb_array"):
        raise ConfigError(f"render_mode is {render_mode!r}; choose None or 'rgb_array'.")
    if not 1.0 <= control_hz <= 100.0:
        raise ConfigError(f"control_hz is {control_hz}; allowed are 1 to 100 policy steps per second.")
    if not 16 <= image_size <= 640:
        raise ConfigError(f"image_size is {image_size}; allowed are 16 to 640 pixels.")
    world = World(scene, pictures=obs_type == "pixels" or render_mode is not None, held=held)
    arm = MujocoArm(world)
    gate = SafetyGate(arm, limits(low, high, world.model), world, period_s=1.0 / control_hz)
    small, large = Renderer(world, image_size), Renderer(world, 480)

    def close() -> None:
        small.close()
        large.close()

    return RobotEnv(
        task_of(world),
        gate,
        {
            "front": MujocoCamera(world, small, "front"),
            "wrist": MujocoCamera(world, small, "held_wrist" if held else "wrist"),
        },
        world.advance,
        obs_type=obs_type,
        control_hz=control_hz,
        image_size=image_size,
        max_seconds=max_seconds,
        forward=arm.forward_kinematics,
        render=(lambda: large.picture("overview")) if render_mode else None,
        on_close=close,
    )
