"""What an environment of this project offers beyond Gymnasium, found through any number of wrappers."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import gymnasium

from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.specs import Array, EnvSpec
from robot_hil.errors import SpecError


@runtime_checkable
class HasSpec(Protocol):
    """The part of an environment that says what it gives and takes."""

    @property
    def env_spec(self) -> EnvSpec:
        """Names, units, shapes and limits of observation and action."""
        ...


def spec_of(env: gymnasium.Env[Any, Any]) -> EnvSpec:
    """Return the specification of `env`; refuses environments that have none and says how to get one."""
    layer = _find(env, "env_spec")
    if layer is None:
        raise SpecError(
            f"{env} has no specification. Make environments of other suites with "
            "robot_hil.envs.gym_adapter.make(id), which derives one."
        )
    spec: EnvSpec = layer.env_spec
    return spec


def control_hz_of(env: gymnasium.Env[Any, Any]) -> float:
    """Return the policy steps per second of `env`."""
    return spec_of(env).control_hz


def privileged_of(env: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    """Return the ground truth a simulated person may look at.

    Always: `tcp_pos` (3) and `target_pos` (3, commanded) [m, base], `tcp_quat` and `target_quat` (4, wxyz),
    `gripper_width` [m], `t` (simulated s), `episode` (resets so far), `step`; and what the task adds, all copies.
    """
    layer = _find(env, "privileged")
    if layer is None:
        raise SpecError(f"{env} gives no ground truth: a simulated person cannot work in it. Use a real device.")
    world: dict[str, Any] = layer.privileged()
    return world


def pixels_of(env: gymnasium.Env[Any, Any]) -> tuple[EnvSpec, Callable[[], dict[str, Array]]]:
    """Return specification and function of what `env` observes with cameras, for a judge beside a policy without.

    Call the function after each `reset` and `step`. Raises `SpecError` for an environment that has no cameras.
    """
    layer = _find(env, "pixels")
    if layer is None:
        raise SpecError(f"{env} shows no images, and a judge of images needs one. Use obs_type='pixels'.")
    spec: EnvSpec = layer.pixels_spec
    return spec, layer.pixels


def scale_of(env: gymnasium.Env[Any, Any]) -> ActionScale:
    """Return what an action of +-1 means; refuses environments whose actions are not motions of a tool."""
    scale: ActionScale = _driven(env).action_scale
    return scale


def tool_of(env: gymnasium.Env[Any, Any]) -> Callable[[], ToolState]:
    """Return a function that tells where the tool is commanded to be; see `scale_of`."""
    tool: Callable[[], ToolState] = _driven(env).tool
    return tool


def forward_of(env: gymnasium.Env[Any, Any]) -> Callable[[Array], tuple[Array, Array]]:
    """Return the arm's forward kinematics, joints (n,) [rad] -> tool position (3,) [m] and orientation wxyz (4,)."""
    forward: Callable[[Array], tuple[Array, Array]] | None = _driven(env).forward
    if forward is None:
        raise SpecError(f"{env} knows no forward kinematics of its arm: a leader arm cannot drive it.")
    return forward


def _driven(env: gymnasium.Env[Any, Any]) -> Any:
    layer = _find(env, "action_scale")
    if layer is None:
        raise SpecError(f"{env} is no robot with a tool: a person's device cannot drive it.")
    return layer


def _find(env: Any, name: str) -> Any:
    """Return the outermost layer whose class or instance has `name`, or None. Gymnasium wrappers hide attributes."""
    while env is not None:
        if hasattr(type(env), name) or name in getattr(env, "__dict__", {}):
            return env
        env = getattr(env, "env", None)
    return None
