"""How the episodes of training begin: afresh, graded by what is hard, or where the last one ended."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import gymnasium
import numpy as np

from robot_hil.actor.episode import EpisodeResult
from robot_hil.actor.seeding import Stream
from robot_hil.data.specs import Array, FloatArray, Observation
from robot_hil.data.step import Segment, Step
from robot_hil.errors import ConfigError, StorageError
from robot_hil.help.covariates import look
from robot_hil.help.graded import GradedSchedule, Moment, Plan, arrival
from robot_hil.help.practice import Practice, Turn
from robot_hil.report.metrics import JsonlSink, write_json

if TYPE_CHECKING:
    from robot_hil.cli.robot import Robot

ROWS_FILE, STATE_FILE = "practice.jsonl", "practice.json"
"""In the run folder: a row per episode with how it began and what it cost; what is needed to go on."""
BACK = 10
"""Steps before an intervention, or before a failure came to where it ended, that are returned to."""
GUIDED_STEPS = 2 * BACK
"""Steps that a simulated person drives in a guided episode: through what is hard, not only up to it."""
EVERY = 3
"""Every so many-th step of an episode is compared with the hard places."""


class Starts(gymnasium.Wrapper[dict[str, Array], Array, Any, Any]):
    """Begins the next episode as it was told, and remembers the one under way."""

    def __init__(self, env: gymnasium.Env[Any, Any], *, returns: bool) -> None:
        super().__init__(env)
        self.begin: dict[str, Any] = {}
        """Options of the next reset; the ones after that are plain."""
        self.seen: list[FloatArray] = []
        """Observations of the episode as numbers, the first one included."""
        self.states: list[dict[str, Any]] = []
        """The states of the environment behind them, where it `returns` to such."""
        self._returns = returns

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        begin, self.begin = self.begin, {}
        found: tuple[dict[str, Array], dict[str, Any]] = self.env.reset(seed=seed, options=begin or options)
        self.seen, self.states = [], []
        self._note(found[0])
        return found

    def step(self, action: Array) -> tuple[dict[str, Array], Any, bool, bool, dict[str, Any]]:
        found = self.env.step(action)
        self._note(found[0])
        return found

    def _note(self, obs: Observation) -> None:
        self.seen.append(look(obs))
        if self._returns:
            self.states.append(self.env.unwrapped.snapshot())  # type: ignore[attr-defined]


class Starter(Protocol):
    """Says how episodes begin, and hears how they ended."""

    @property
    def guided(self) -> bool:
        """Whether a person is to drive now."""
        ...

    def begin(self, stream: Stream, episode_id: int) -> None:
        """An episode of DEMO or TRAIN is about to begin."""
        ...

    def took(self, step: Step) -> Step:
        """Return a step of the episode as it is to be recorded."""
        ...

    def ended(self, result: EpisodeResult | None) -> None:
        """The episode of TRAIN is over; None when the safety gate ended it."""
        ...

    def close(self) -> None:
        """Close files; legal twice."""
        ...


class Graded:
    """See `robot_hil.help.graded`."""

    def __init__(self, robot: "Robot", env: Starts) -> None:
        self._robot, self._env = robot, env
        self.schedule = GradedSchedule()
        if saved := _saved(robot):
            self.schedule.load(saved)
        self._plan = self.schedule.plan()
        self._onset: int | None = None
        self._rows = JsonlSink(robot.run_folder.path / ROWS_FILE)

    @property
    def guided(self) -> bool:
        """See `Starter.guided`; once the person has driven through it is over."""
        return self._plan.guided and self._robot.human < GUIDED_STEPS

    def begin(self, stream: Stream, episode_id: int) -> None:
        """See `Starter.begin`."""
        self._plan, self._onset = Plan(grade=self.schedule.grade), None
        if stream is not Stream.TRAIN:
            return
        self._plan = self.schedule.plan()
        self._env.begin = {} if self._plan.state is None else {"state": dict(self._plan.state)}
        if self._plan.guided:
            self._robot.message = "a hard place: drive through it, then let go"
        elif self._plan.state is not None:
            self._robot.message = "back to a hard place"

    def took(self, step: Step) -> Step:
        """See `Starter.took`: what a person drives in a guided episode is `GUIDED`."""
        if step.onset and self._onset is None:
            self._onset = step.step_index
        return replace(step, segment=Segment.GUIDED) if self._plan.guided and step.is_human else step

    def ended(self, result: EpisodeResult | None) -> None:
        """See `Starter.ended`."""
        robot, plan, seen, states = self._robot, self._plan, self._env.seen, self._env.states
        success, helped = result is not None and result.success, robot.human > 0
        hard = None
        if seen and not (success and not helped) and not plan.guided:
            wrong = arrival(np.stack(seen), self.schedule.config.radius) if self._onset is None else self._onset
            at = max(0, wrong - BACK)
            hard = Moment(place=tuple(seen[at].tolist()), state=states[at])
        visited = [Moment(place=tuple(one.tolist()), state={}) for one in seen[::EVERY]]
        self.schedule.ended(plan, success=success, helped=helped, visited=visited, hard=hard)
        self._rows.write(
            {
                "episode_id": robot.episode, "grade": int(plan.grade), "place": plan.place, "success": success,
                "steps": robot.steps, "human_steps": robot.human, "human_s": robot.human / robot.spec.control_hz,
                "hard_places": len(self.schedule.places), "success_average": self.schedule.success,
            }
        )  # fmt: skip
        write_json(robot.run_folder.path / STATE_FILE, self.schedule.export(), durable=False)

    def close(self) -> None:
        """See `Starter.close`."""
        self._rows.close()


class ResetFree:
    """See `robot_hil.help.practice`. Demonstrations are of both goals in turn, each from a fresh start.

    What failed is tried again, so that there are as many of what is hard as of what is easy.
    """

    def __init__(self, robot: "Robot", env: Starts, goals: tuple[str, ...]) -> None:
        self._robot, self._env, self._goals = robot, env, goals
        self.practice = Practice(goals)
        if saved := _saved(robot):
            self.practice.load(saved)
        self._turn = self.practice.plan()
        self._rows = JsonlSink(robot.run_folder.path / ROWS_FILE)

    guided = False

    def begin(self, stream: Stream, episode_id: int) -> None:
        """See `Starter.begin`; where a person operates the robot, it waits for the reset it asked for."""
        if stream is Stream.DEMO:
            self._env.begin = {"goal": self._goals[self._robot.demos % 2]}
        if stream is not Stream.TRAIN:
            return
        self._turn = turn = self.practice.plan()
        self._env.begin = {"goal": turn.goal} if turn.reset else {"goal": turn.goal, "keep": True}
        self._robot.message = f"practice: {turn.goal}"
        if turn.reset:
            self._ask(turn)

    def took(self, step: Step) -> Step:
        """See `Starter.took`."""
        return step

    def ended(self, result: EpisodeResult | None) -> None:
        """See `Starter.ended`."""
        robot, success = self._robot, result is not None and result.success
        if result is None or not self._env.seen:
            self.practice.interrupted()
        else:
            self.practice.ended(success=success, seen=np.stack(self._env.seen))
        self._rows.write(
            {
                "episode_id": robot.episode, "goal": self._turn.goal, "reset": self._turn.reset,
                "reason": self._turn.reason, "success": success, "steps": robot.steps, "human_steps": robot.human,
                "resets": self.practice.resets,
            }
        )  # fmt: skip
        write_json(robot.run_folder.path / STATE_FILE, self.practice.export(), durable=False)

    def close(self) -> None:
        """See `Starter.close`."""
        self._rows.close()

    def _ask(self, turn: Turn) -> None:
        robot = self._robot
        words = f"please reset: {turn.reason}"
        robot.message = words
        robot.log("warning", words)
        if robot.operator is not None and self.practice.episodes:
            robot.arbiter.request_hold(f"{words}; put everything back to where it starts, then resume")


def starts_of(practice: str, env: gymnasium.Env[Any, Any]) -> Starts:
    """Return `env` so that its episodes can begin as `practice` wants; raises `ConfigError` where it cannot."""
    able = hasattr(env.unwrapped, "snapshot") and len(getattr(env.unwrapped, "goals", ())) > 0
    if not able or (practice == "reset_free" and len(env.unwrapped.goals) != 2):  # type: ignore[attr-defined]
        raise ConfigError(
            f"practice {practice!r} needs an environment that "
            + ("has a task and its way back as goals" if practice == "reset_free" else "can return to a stored state")
            + f", as robot_hil/PegSlot2D-v0 does; {env.unwrapped} cannot."
        )
    return Starts(env, returns=practice == "graded")


def make_starter(robot: "Robot", env: Starts, practice: str) -> Starter:
    """Return who says how the episodes of `robot` begin."""
    if practice == "graded":
        return Graded(robot, env)
    return ResetFree(robot, env, env.unwrapped.goals)  # type: ignore[attr-defined]


def _saved(robot: "Robot") -> dict[str, Any]:
    path = robot.run_folder.path / STATE_FILE
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}. Remove it to begin practice anew.") from error
    return found
