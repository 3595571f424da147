"""The robot's side of a run: environment, person, policy and loops; turns episodes into rows."""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from robot_hil.actor.desk import DeskConfig
from robot_hil.actor.episode import EpisodeResult
from robot_hil.actor.guard import Guard
from robot_hil.actor.loop import ControlLoop, LoopConfig
from robot_hil.actor.policy import AgentPolicy
from robot_hil.actor.seeding import Stream
from robot_hil.cli import compose
from robot_hil.cli.operator import make_operator
from robot_hil.cli.operator_options import NOBODY, OperatorOptions
from robot_hil.cli.persons import Persons
from robot_hil.cli.reward.online import make_reward
from robot_hil.cli.runfolder import RunFolder
from robot_hil.cli.status import live_of, row_of, status_of
from robot_hil.cli.supervise import supervision_of
from robot_hil.clock import Clock, MonotonicClock, VirtualClock
from robot_hil.console.messages import Status
from robot_hil.data.disturbance import Disturbed, written
from robot_hil.data.labels import EpisodeKey, LabelRow, Verdict
from robot_hil.data.step import Step
from robot_hil.data.teleop import TeleopEvent
from robot_hil.errors import OperatorAbsentError, SafetyError
from robot_hil.protocols import Agent, Policy
from robot_hil.report.labels import write_label
from robot_hil.report.metrics import RECORDED, EpisodeRow, LiveFile, Phase

if TYPE_CHECKING:
    from robot_hil.cli.practice import Starter, Starts
    from robot_hil.experiments.base import Experiment

_log = logging.getLogger(__name__)
PHASES: dict[Stream, Phase] = {
    Stream.DEMO: "demo", Stream.TRAIN: "train", Stream.CHECK: "check", Stream.EVAL: "eval"
}  # fmt: skip
_MAX_FAULTS = 10
HOLD_STEPS = 10
"""Steps of success after which an episode ends in which a person marks what can be seen."""


class Robot:
    """One environment with its person and policy. Nothing moves before `run`.

    `sink` gets every step of DEMO and TRAIN episodes, `between` is called after each step, `throttle` (simulation only)
    may hold the robot between two steps. With `marks` a person's verdicts end nothing and go there, nor does the
    environment's own success end anything before it has lasted `HOLD_STEPS`.
    """

    def __init__(
        self,
        experiment: "Experiment",
        run: RunFolder,
        agent: Agent,
        seed: int,
        *,
        sink: Callable[[Step], object] = lambda step: None,
        between: Callable[[], object] = lambda: None,
        throttle: Callable[[], bool] | None = None,
        actor_id: str = "actor",
        render_mode: str | None = None,
        operator: OperatorOptions = NOBODY,
        marks: "Callable[[TeleopEvent], object] | None" = None,
    ) -> None:
        from robot_hil.envs.base import spec_of

        self.experiment, self.run_folder = experiment, run
        if operator.wanted and compose.has_pictures(experiment):
            render_mode = "rgb_array"
        self.env = compose.make_env(experiment, render_mode)
        if marks is not None or experiment.reward_model:
            from robot_hil.cli.reward.env import going_on

            self.env = going_on(self.env, HOLD_STEPS if marks is not None else 0)
        self.practice: Starter | None = None
        """Says how episodes of training begin, None where each begins afresh."""
        starts = None
        if experiment.practice != "fresh" and marks is None:
            from robot_hil.cli.practice import starts_of

            self.env = starts = starts_of(experiment.practice, self.env)
        self.spec = spec_of(self.env)
        agent.bind(self.spec)
        self.policy = AgentPolicy(agent)
        self.message = ""
        """One line for the operator, shown in the live display."""
        self.policy_age: Callable[[], float | None] = lambda: None
        self.env_steps = 0
        """Online steps so far; set it when a run goes on."""
        self.on_contradicted: Callable[[int], object] = lambda episode: None
        """Told the number of an episode that is over when a person says that its success was none."""
        self.sink, self.between = sink, between
        self._throttle = throttle
        self._seed, self._actor_id = seed, actor_id
        self._clock: Clock = MonotonicClock() if experiment.realtime else VirtualClock()
        self.gate = getattr(self.env.unwrapped, "gate", None)
        self.loop: ControlLoop | None = None
        self._stop = False
        self._operated = operator
        self.arbiter = compose.make_arbiter(experiment, self.spec, operator)
        helped = bool(operator.teleop) or operator.rac
        self._rewind = compose.make_rewind(self.env) if helped and self.drivable else None
        self._adversary = compose.make_adversary(self.env, operator.adversary, self._struck)
        self._live = LiveFile(run.live, MonotonicClock())
        adds = operator.residual_gain if operator.mode == "residual" else 0.0
        self.persons = Persons(experiment, self.env, self._clock, recovers=operator.rac, adds=adds)
        self.operator = make_operator(self, operator, self._clock) if operator.wanted else None
        """Devices and console of a person, None where there is none."""
        self._marks = marks
        self.reward = make_reward(self) if experiment.reward_model else None
        """Tells success from images, None where the environment does."""
        self.supervision = supervision_of(self, agent, self._clock)
        """Lets the robot ask for help, None where it never does."""
        self._let_people_come(starts)
        self._guard = Guard(self.gate, self.arbiter) if experiment.realtime and self.operator is None else None
        self.epoch: Callable[[], int] = lambda: 0
        """Epoch under which the steps of the episode under way are stored."""
        self.last_episode: tuple[str, int, int] | None = None
        """Actor, epoch and number of the newest recorded episode that is over."""
        self.phase: Phase = "demo"
        self.episode = 0
        self.steps = self.human = self.onsets = 0
        self._faults = 0
        self.demos = 0
        """Successful demonstrations so far; who goes on with a run says how many there were."""
        self.env_success = False
        """Whether the environment itself called the end of the newest episode a success."""

    # -- episodes --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Wake the person, open devices and console; legal twice."""
        self.persons.start()
        if self.operator is not None:
            self.operator.start()
            self.operator.announce()
        if self._guard is not None:
            self._guard.start()

    @property
    def drivable(self) -> bool:
        """Whether its actions are motions of a tool, which a person's device can command."""
        return hasattr(self.env.unwrapped, "action_scale")

    @property
    def stop_requested(self) -> bool:
        """Whether `request_stop` was called."""
        return self._stop

    def request_stop(self) -> None:
        """End the episode under way; from signal handlers, too."""
        self._stop = True
        if self.loop is not None:
            self.loop.request_stop()

    def run(self, stream: Stream, episode_id: int) -> EpisodeRow | None:
        """Run one episode and return its row; None when it did not begin.

        In simulation a latched safety gate ends the episode as a failure and is cleared; with an operator the episode
        ends, and nothing moves before the operator cleared and resumed; else, on a real robot, it raises.
        """
        self.phase, self.episode = PHASES[stream], episode_id
        self.steps = self.human = self.onsets = 0
        self.env_success = False
        if self.reward is not None:
            key = (self._actor_id, self.epoch(), episode_id)
            self.reward.begin_episode(key, recorded=self.phase in RECORDED)
        if self.practice is not None and self.phase in RECORDED:
            self.practice.begin(stream, episode_id)
        loop = self.loop = self._make_loop(stream)
        if self._stop:
            loop.request_stop()
        try:
            result: EpisodeResult | None = loop.run_episode(stream, episode_id)
            self._faults = 0
        except OperatorAbsentError:
            raise
        except SafetyError as error:
            if self.operator is not None:
                self.arbiter.emergency_stop(str(error))
                self.operator.log("error", str(error))
                return self._finished(None)
            if self.experiment.realtime or self.gate is None or self._faults >= _MAX_FAULTS:
                raise
            self._faults += 1
            _log.warning("episode %d ended by the safety gate: %s", episode_id, error)
            self._recover()
            result = None
        return self._finished(result)

    def _finished(self, result: EpisodeResult | None) -> EpisodeRow | None:
        if self.steps == 0:
            return None
        if self.phase in RECORDED:
            self.last_episode = (self._actor_id, self.epoch(), self.episode)
        if self.practice is not None and self.phase == "train":
            self.practice.ended(result)
        row = row_of(self, result)
        self.demos += self.phase == "demo" and row.success
        return row

    @property
    def checking(self) -> bool:
        """Whether a check is under way: the policy then stays as it is."""
        return self.phase == "check"

    def try_next(self, check: bool, episode_id: int) -> EpisodeRow | None:
        """Run an episode of training, or a check of what it has taught; see `run`."""
        if check:
            self.tell("a check: the robot alone", "check")
            return self.run(Stream.CHECK, episode_id)
        self.tell("the robot tries, the person helps", "train")
        return self.run(Stream.TRAIN, episode_id)

    def status(self) -> Status:
        """Return what the console shows; any thread may ask."""
        return status_of(self)

    def tell(self, message: str, phase: Phase | None = None) -> None:
        """Show `message` to the operator; `phase` says what is going on while no episode runs."""
        self.phase = phase or self.phase
        if message != self.message:
            self.message = message
            self._write_live("idle", force=True)

    def show_alive(self) -> None:
        """Let the display's time go on while the robot waits; cheap."""
        self._write_live("idle")

    def close(self) -> None:
        """Release the environment; legal twice."""
        if self.operator is not None:
            self.operator.stop()
        if self.reward is not None:
            self.reward.close()
        if self.supervision is not None:
            self.supervision.close()
        if self.practice is not None:
            self.practice.close()
        if self._guard is not None:
            self._guard.stop()
        self.persons.stop()
        self.env.close()

    def _make_loop(self, stream: Stream) -> ControlLoop:
        config = LoopConfig(
            control_hz=self.spec.control_hz,
            run_seed=self._seed,
            realtime=self.experiment.realtime,
            actor_id=self._actor_id,
            task=self.spec.task,
            desk=DeskConfig(
                operated=self.operator is not None,
                demos_wait=bool(self._operated.teleop),
                hold_timeout_s=600.0 if self.operator is None else float("inf"),
                marks=self._marks is not None,
                recovery=self._operated.rac,
            ),
        )
        return ControlLoop(
            self.env,
            self._acting(stream),
            self.arbiter,
            self._take,
            config,
            teleop=self.persons.device(stream, self.operator),
            clock=self._clock,
            gate=self.gate,
            throttle=self._throttle if stream is Stream.TRAIN else None,
            spec=self.spec,
            idle=self._idle,
            on_late_verdict=self._label_last,
            on_false_positive=None if self.reward is None else self.reward.contradicted,
            on_mark=self._marks or (lambda event: None),
            judge=None if self.reward is None else self.reward.judge,
            rewind=self._rewind,
            adversary=self._adversary if self.phase in RECORDED else None,
        )

    def _let_people_come(self, starts: "Starts | None") -> None:
        """Say who begins episodes, and let the simulated person come where that one or the robot itself calls."""
        if starts is not None:
            from robot_hil.cli.practice import make_starter

            self.practice = make_starter(self, starts, self.experiment.practice)
            self.persons.come_when(lambda: self.practice is not None and self.practice.guided)
        if self.supervision is not None:
            self.persons.come_when(lambda: self.supervision is not None and self.supervision.policy.calling)

    def _acting(self, stream: Stream) -> Policy | None:
        """Return what proposes actions: nobody in a demonstration; a policy that is tested asks for no help."""
        if stream is Stream.DEMO:
            return None
        return self.supervision.policy if self.supervision is not None and stream is Stream.TRAIN else self.policy

    def _struck(self, done: Disturbed) -> None:
        """Say what the adversary did; the step keeps it."""
        held = " (held in place)" if done.before == done.after else ""
        self.log("info", f"disturbed: {written([done.disturbance])}{held}")

    @property
    def disturbances(self) -> tuple[str, ...]:
        """What a second person may do to the world by a button."""
        return () if self._adversary is None else self._adversary.kinds

    def _label_last(self, event: TeleopEvent) -> None:
        """Keep a verdict that came when the episode was over."""
        if self.last_episode is not None:
            self.label(self.last_episode, Verdict(event.kind.value), event.source)

    def label(self, key: EpisodeKey, verdict: Verdict, operator: str, reason: str = "") -> None:
        """Keep a person's verdict on an episode, also on one whose end has yet to come."""
        actor_id, epoch, episode_id = key
        row = LabelRow(
            actor_id=actor_id, epoch=epoch, episode_id=episode_id, verdict=verdict, reason=reason, operator=operator,
            t=time.time(),
        )  # fmt: skip
        write_label(self.run_folder.path, row)
        self.log("info", f"episode {episode_id} labelled {verdict.value} by {operator}")

    def log(self, level: str, text: str) -> None:
        """Write a line into the console's event log; nowhere else without one."""
        if self.operator is not None:
            self.operator.log(level, text)

    def _idle(self) -> None:
        """While the loop waits for a person: fresh images, and a sign of life."""
        self._write_live("idle")
        if self.operator is not None:
            self.operator.look(self.env, {})
        self.between()

    def _take(self, step: Step) -> None:
        self.steps += 1
        self.human += step.is_human
        self.onsets += step.onset
        self.env_success = step.success
        if self.phase == "train":
            self.env_steps += 1
        if self.practice is not None and self.phase == "train":
            step = self.practice.took(step)
        if self.phase in RECORDED:
            self.sink(step)
        decision = self.loop.last_decision if self.loop else None
        self._write_live(decision.state.value if decision else "idle")
        if self.operator is not None:
            self.operator.look(self.env, {name: step.obs[name] for name in self.spec.images})
        self.between()

    def _write_live(self, control: str, force: bool = False) -> None:
        self._live.write(live_of(self, control), force)

    def _recover(self) -> None:
        """Clear the gate of a simulated arm; a reset takes away what it pressed against."""
        gate: Any = self.gate
        for _ in range(2):
            try:
                gate.recover("simulation: the episode is over")
                return
            except SafetyError:
                try:
                    self.env.reset()
                except SafetyError as error:
                    _log.warning("reset refused: %s", error)
        gate.recover("simulation: the scene was reset")
