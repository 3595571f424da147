"""The control loop: observe, ask policy and person, decide, act, record. It waits for nobody but its own deadline."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, SupportsFloat

import numpy as np

from robot_hil.actor.adversary import Adversary
from robot_hil.actor.arbiter import Decision
from robot_hil.actor.arms import AnyArbiter
from robot_hil.actor.desk import Desk, DeskConfig
from robot_hil.actor.episode import EpisodeResult, Tally, human_action, recorded_proposal
from robot_hil.actor.pacing import Pacer, punctual
from robot_hil.actor.rewarding import Judge, rewarded
from robot_hil.actor.rewind import Rewind
from robot_hil.actor.safety import SafetyGate
from robot_hil.actor.seeding import Role, Stream, episode_seed
from robot_hil.clock import Clock, MonotonicClock, VirtualClock
from robot_hil.data.specs import Array, EnvSpec, Observation
from robot_hil.data.step import Segment, Step
from robot_hil.data.teleop import EventKind, TeleopEvent
from robot_hil.errors import ConfigError
from robot_hil.protocols import EpisodeAware, Policy, ProposalAware, TeleopDevice

_log = logging.getLogger(__name__)


class Env(Protocol):
    """The part of a Gymnasium environment that the loop uses; observations are dictionaries of fresh arrays."""

    def reset(self, *, seed: int | None = None) -> tuple[Observation, dict[str, Any]]: ...

    def step(self, action: Array, /) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """What stays the same for all episodes of an actor."""

    control_hz: float
    """Steps per second; in simulation the speed of the virtual clock."""
    run_seed: int = 0
    realtime: bool = False
    """Keep the period on the machine's clock; else run as fast as possible in virtual time."""
    actor_id: str = "actor"
    epoch: int = 0
    task: str = ""
    """Instruction in words, stored with each step."""
    desk: DeskConfig = DeskConfig()
    """How the person is treated."""


class ControlLoop:
    """Runs episodes and gives every `Step` to `sink`, in order, exactly once.

    A step is emitted one period late: only then is it known whether it was the last of an intervention (`offset`),
    or of the episode, when the next period fails. Whatever ends an episode - the task, time, a person,
    `request_stop`, an exception - its last step is emitted as such, with `final_obs`.

    `sink` must never block and is called in the loop's thread. `throttle` lets a *simulated* actor wait for the
    learner: it is asked between steps, may itself do work, and says True while the actor should wait. `gate` is the
    safety gate inside `env`, when there is one: the loop tells it of an e-stop, asks its watchdog, and stops
    the arm at the end of each episode. In virtual time the devices must stamp their samples on `clock`. `idle`,
    `on_late_verdict`, `on_false_positive` and `on_mark` are those of `Desk`.

    `judge` says from images where the task is done, instead of `env`, whose own success stays a fact of each step. A
    judge beside the loop has a period's time: what it says of an observation is known when the command that was made
    of that observation has long been sent. If it confirms a success, the episode has ended with that observation, and
    the period made since is no data. `adversary` disturbs the world between observation and command, by its own luck;
    the step says how.
    """

    def __init__(
        self,
        env: Env,
        policy: Policy | None,
        arbiter: AnyArbiter,
        sink: Callable[[Step], None],
        config: LoopConfig,
        *,
        teleop: TeleopDevice | None = None,
        clock: Clock | None = None,
        gate: SafetyGate | None = None,
        throttle: Callable[[], bool] | None = None,
        spec: EnvSpec | None = None,
        idle: Callable[[], object] = lambda: None,
        on_late_verdict: Callable[[TeleopEvent], object] | None = None,
        on_false_positive: Callable[[TeleopEvent], bool] | None = None,
        on_mark: Callable[[TeleopEvent], object] = lambda event: None,
        judge: Judge | None = None,
        rewind: Rewind | None = None,
        adversary: Adversary | None = None,
    ) -> None:
        if not 0 < config.control_hz < np.inf:
            raise ConfigError(f"control_hz is {config.control_hz}; give a number of steps per second above 0.")
        if config.realtime and throttle is not None:
            raise ConfigError("a real-time actor never waits for the learner: give no throttle, or realtime=False.")
        self.config = config
        self.clock: Clock = clock or (MonotonicClock() if config.realtime else VirtualClock())
        self.pacer = Pacer(self.clock, 1.0 / config.control_hz)
        self._env, self._policy, self._sink = env, policy, sink
        self._teleop, self._gate, self._throttle, self._spec = teleop, gate, throttle, spec
        self._judge, self._adversary = judge, adversary
        self._previewer = teleop if isinstance(teleop, ProposalAware) else None
        self._stop = False
        self.running = False
        """Whether an episode is under way."""
        self.desk = Desk(
            arbiter, teleop, gate, self.clock, replace(config.desk, period_s=1.0 / config.control_hz),
            rewind=rewind, stopped=lambda: self._stop, idle=idle, on_late_verdict=on_late_verdict,
            on_false_positive=on_false_positive, on_mark=on_mark,
        )  # fmt: skip

    @property
    def last_decision(self) -> Decision | None:
        """The newest decision, for displays."""
        return self.desk.last_decision

    def request_stop(self) -> None:
        """End the episode as truncated after the current step; callable from signal handlers and other threads."""
        self._stop = True

    @property
    def stop_requested(self) -> bool:
        """True once `request_stop` was called; the episode that was running is complete in the sink."""
        return self._stop

    def run_episode(self, stream: Stream, episode_id: int) -> EpisodeResult:
        """Run one episode from reset to its last step.

        TRAIN: the policy explores, the person may take over. DEMO: the person alone drives. EVAL, CHECK: the policy
        acts deterministically; a device serves for e-stop, pause and verdicts only (give no simulated person). Raises
        what `env` or `policy` raised, and `SafetyError` on an e-stop, after closing the episode: nothing is cleared
        or retried here. When a stop was requested before the episode began nothing moves and the result has 0 steps.
        """
        if stream is not Stream.DEMO and self._policy is None:
            raise ConfigError(f"{stream.name} episodes need a policy; only DEMO episodes run without.")
        if stream is Stream.DEMO and self._teleop is None:
            raise ConfigError("DEMO episodes need a teleoperation device.")
        self.desk.wait_while_held()
        tally, misses = Tally(), self.pacer.misses
        self.pacer.start()
        start = self.clock.now()
        if not self._stop:
            obs = self._begin(stream, episode_id)
            with punctual(self.config.realtime):
                if stream is Stream.DEMO:
                    self.desk.wait_for_start()
                self.pacer.start()
                start = self.clock.now()
                self._run_steps(stream, episode_id, obs, tally)
        return EpisodeResult(
            episode_id=episode_id,
            stream=stream,
            steps=tally.steps,
            success=tally.success,
            episode_return=tally.episode_return,
            human_steps=tally.human_steps,
            interventions=tally.interventions,
            policy_version_first=tally.version_first,
            policy_version_last=tally.version_last,
            duration_s=self.clock.now() - start,
            deadline_misses=self.pacer.misses - misses,
            lateness_p99_s=self.pacer.lateness_percentile(99),
            truncated=tally.truncated,
        )

    # -- one episode -----------------------------------------------------------------------------------------------

    def _begin(self, stream: Stream, episode_id: int) -> Observation:
        """Seed everybody and reset; return the first observation."""
        for role, who in ((Role.POLICY, self._policy), (Role.PERSON, self._teleop)):
            if isinstance(who, EpisodeAware):
                who.begin_episode(episode_seed(self.config.run_seed, stream, episode_id, role))
        obs, _ = self._env.reset(seed=episode_seed(self.config.run_seed, stream, episode_id))
        if self._spec is not None:
            self._spec.validate_observation(obs)
        if self._adversary is not None:
            seed = episode_seed(self.config.run_seed, stream, episode_id, Role.ADVERSARY)
            self._adversary.begin_episode(seed, episode_id)
        self.desk.begin_episode(stream)
        if self._judge is not None:
            self._judge.begin_episode(obs)
        return obs

    def _run_steps(self, stream: Stream, episode_id: int, obs: Observation, tally: Tally) -> None:
        """Step until the episode ends; emit all of it whatever happens."""
        self.running = True
        try:
            while True:
                step, obs = self._run_step(stream, episode_id, obs, tally)
                self.pacer.wait()
                if step.is_last:
                    return
                if self._throttle is not None:
                    while self._throttle() and not self._stop:
                        time.sleep(0.0005)
        except BaseException as error:
            _log.error("episode %d cut after step %d: %r", episode_id, tally.steps - 1, error)
            if tally.pending is not None and not tally.pending.is_last:
                tally.pending = replace(tally.pending, truncated=True, final_obs=obs)
            raise
        finally:
            self.running = False
            self._emit_pending(tally, closes=True)
            if self._judge is not None:
                self._judge.end_episode()
            if self._gate is not None:  # between episodes nobody commands: the arm must not go on to its last target
                self._gate.stop()

    def _run_step(self, stream: Stream, episode_id: int, obs: Observation, tally: Tally) -> tuple[Step, Observation]:
        """Run one period up to its deadline; the step becomes pending. Returns it and the observation after it."""
        t_obs = self.clock.now()
        proposal, version = None, -1
        if stream is not Stream.DEMO and self._policy is not None:
            proposal = self._policy.act(obs, deterministic=stream.autonomous)
            version = self._policy.version
            if self._previewer is not None:
                self._previewer.observe_proposal(proposal)
        asked = self.desk.ask(stream, proposal)
        if asked.waited:
            self.pacer.restart()
        if asked.over and tally.pending is not None:
            return self._cut(tally, obs), obs
        sample, decision, verdict = asked.sample, asked.decision, asked.verdict
        t_cmd = self.clock.now()
        struck = "" if self._adversary is None else self._adversary.strike(tally.steps, asked.events)
        next_obs, reward, terminated, truncated, info = self._env.step(decision.action)
        self.desk.done(asked)
        if self._judge is not None and self._judge.beside and self._settled(self._judge, tally, obs, verdict):
            assert tally.pending is not None
            return tally.pending, obs
        self._emit_pending(tally, closes=decision.closes_previous)
        rewards = {"env": float(reward)}
        success = bool(info.get("success", terminated and rewards["env"] > 0))
        if verdict is not None:
            rewards["human"] = 1.0 if verdict is EventKind.SUCCESS else 0.0
            terminated = True
        truncated = (
            bool(truncated) or self._stop or asked.reset or asked.over
        ) and not terminated  # the task is over: nothing to bootstrap from
        human = human_action(sample, len(decision.action))
        step = Step(
            obs=obs,
            action_policy=recorded_proposal(proposal, len(decision.action)),
            action_human=human,
            action_executed=decision.action,
            authority=decision.authority,
            reward=rewards,
            terminated=bool(terminated),
            truncated=truncated,
            success=success,
            episode_id=episode_id,
            step_index=tally.steps,
            segment=Segment.DEMO if stream is Stream.DEMO else asked.segment,
            intervention_id=-1 if stream is Stream.DEMO else decision.intervention_id,
            onset=decision.onset and stream is not Stream.DEMO,
            release_tail=decision.release_tail,
            final_obs=next_obs if terminated or truncated else None,
            actor_id=self.config.actor_id,
            epoch=self.config.epoch,
            policy_version=version,
            operator=sample.operator,
            device=sample.device,
            task=self.config.task,
            perturbation=struck,
            words=sample.words,
            t_obs=t_obs,
            t_cmd=t_cmd,
            t_human=float("nan") if np.isnan(human).all() else sample.t,
        )
        tally.count(step, verdict)
        if self._judge is not None:
            self._judge.look(next_obs)
            if step.is_last or not self._judge.beside:
                self._settled(self._judge, tally, next_obs, verdict)
            step = tally.pending or step
        return step, next_obs

    def _settled(self, judge: Judge, tally: Tally, after: Observation, verdict: EventKind | None) -> bool:
        """Give the pending step, which led to `after`, the judge's reward; return whether the episode ended with it.

        `verdict` is what the person said since; it stands above the judge, also on a success that ends the episode.
        """
        step = tally.pending
        if step is None:
            return False
        judged = judge.newest(wait=step.is_last or not judge.beside)
        step, success = rewarded(step, judged, after, dense=judge.dense)
        if step.is_last and verdict is not None:
            success = verdict is EventKind.SUCCESS
            step = replace(step, reward={**step.reward, "human": float(success)})
        tally.amend(step, success)
        return step.is_last

    def _cut(self, tally: Tally, after: Observation) -> Step:
        """End the episode with the pending step, which led to `after`: nothing was commanded since."""
        if self._judge is not None:
            self._settled(self._judge, tally, after, None)
        step = tally.pending
        assert step is not None
        if not step.is_last:
            step = replace(step, truncated=True, final_obs=after)
            tally.amend(step, tally.success)
        return step

    def _emit_pending(self, tally: Tally, closes: bool) -> None:
        """Give the step before to the sink; `closes` says that it was the last of its intervention, if it had one."""
        step, tally.pending = tally.pending, None
        if step is not None:
            self._sink(replace(step, offset=True) if closes and step.intervention_id >= 0 else step)
