"""What an experiment is: environment, person, agent, method and numbers. A file per experiment holds one of these."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from robot_hil.actor.arbiter import ArbiterConfig, TailDriver
from robot_hil.errors import ConfigError
from robot_hil.help.asking import AskConfig
from robot_hil.learner.learner import LearnerConfig
from robot_hil.methods.anchored import Anchored
from robot_hil.methods.base import Method
from robot_hil.methods.published import Published
from robot_hil.policies.config import AnchoredConfig, EncoderConfig
from robot_hil.policies.registry import config_type


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonConfig:
    """The simulated person of an experiment."""

    expert: Literal[
        "pick_cube", "peg_insertion", "peg_slot", "peg_grip",
        "reach_pillar", "reach_over", "reach_under", "reach_mixed", "metaworld", "none",
    ] = "none"  # fmt: skip
    """Which scripted expert moves the person's hand; `none` runs without a person."""
    profile: Literal[
        "careful", "steady", "competent", "sixty_percent", "thirty_percent", "biased", "poor",
        "delayed", "noisy", "tired",
    ] = "steady"  # fmt: skip
    """How well the person drives."""
    gate: Literal["progress", "predicted_failure", "imminent", "value", "random", "never"] = "progress"
    """When the person takes over."""
    patience_steps: int = 20
    """Steps without progress that the person watches before taking over (gate `progress`): two seconds at 10 Hz."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """When training ends."""

    max_env_steps: int = 5000
    """Online steps after which training ends in any case."""
    max_train_s: float = 3600.0
    """Training time after which it ends in any case [s]."""
    settle_episodes: int = 20
    """Episodes to go on after the first window of 20 with >= 95 % success and <= 5 % human steps; the newest 20 must
    then succeed to 95 % without help."""
    cycle_ratio: float = 0.6
    """Go on until the last 20 episodes took at most this share of the demonstrations' steps; 0 does not ask."""
    check_episodes: int = 20
    """Once all that holds, so many trials without the person must succeed, as fast, by one policy; 0 does not ask.
    Twenty good episodes of training alone say little: a policy of 88 % has such a stretch now and then."""
    check_pause: int = 10
    """Episodes of training after a failed check before the next one."""

    def __post_init__(self) -> None:
        for name in ("settle_episodes", "cycle_ratio", "check_episodes", "check_pause"):
            if getattr(self, name) < 0:
                raise ConfigError(f"goal.{name} is {getattr(self, name)}; it must be at least 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Everything a run needs besides its seed and folder."""

    name: str
    env_id: str
    """Gymnasium id; any environment with continuous actions can be trained."""
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    observation: Literal["state", "pixels"] = "state"
    person: PersonConfig = PersonConfig()
    agent: EncoderConfig = AnchoredConfig()
    """Numbers of any agent, see `robot_hil.policies.config` and `robot_hil.policies.algorithms`."""
    backend: Literal["auto", "torch", "jax"] = "auto"
    """Library that computes; auto takes the one that was measured to be faster, of those installed. A run that goes on
    may change it: what has been learnt is stored alike."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where it computes; auto takes a GPU if the library can use one."""
    method: Method = Anchored()
    learner: LearnerConfig = LearnerConfig()
    goal: Goal = Goal()
    demos: int = 20
    """Demonstrations recorded before training."""
    eval_episodes: int = 50
    """Fresh autonomous episodes at the end."""
    realtime: bool = False
    """Keep the control period on the machine's clock, as on a real robot."""
    reward_model: str = ""
    """Folder of a reward model (`robot-hil reward train`) that tells success from images; the environment's own success
    then ends nothing and gives nothing. Empty: the environment tells."""
    committee: str = ""
    """Run folder whose committee (`robot-hil committee RUN`) watches over the robot while it learns: where it is unsure
    it slows down, and asks for help. Empty: nobody does."""
    ask: AskConfig = AskConfig()
    """By what else it asks, and how often."""
    practice: Literal["fresh", "graded", "reset_free"] = "fresh"
    """How episodes of training begin: afresh; graded by what is hard, from stored states and guided by a person where
    the robot fails; or where the last one ended, the task and its way back in turn."""

    def __post_init__(self) -> None:
        if self.demos < 0 or self.eval_episodes < 1:
            raise ConfigError(f"demos is {self.demos}, must be >= 0; eval_episodes {self.eval_episodes}, must be >= 1.")

    def taught_by(self, method: Published) -> "Experiment":
        """The same experiment by a published method: its view, its algorithm, its numbers.

        What the experiment says about the cameras stays; so do all its agent's numbers where it has that algorithm
        already, or one that this one builds on.
        """
        kind = config_type(method.algorithm)
        kept = [field.name for field in fields(self.agent)]
        if not issubclass(kind, type(self.agent)):
            kept = ["crops", "trunk", "precision"]
        agent = kind(**{name: getattr(self.agent, name) for name in kept})
        return replace(
            self,
            agent=replace(agent, **method.agent),
            method=method.view,
            learner=replace(self.learner, **method.learner),
        )

    def arbiter(self, action_dim: int) -> ArbiterConfig:
        """Arbiter of a person with a dead-man switch: letting go hands over at once."""
        return ArbiterConfig(action_dim=action_dim, release_tail_s=0.0, tail_driver=TailDriver.POLICY)
