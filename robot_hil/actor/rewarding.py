"""A reward model at work in an episode: it judges every new observation, beside the loop and never before a command."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from robot_hil.data.reward import Judgement, RewardModel
from robot_hil.data.specs import Observation
from robot_hil.data.step import Step

HITS_KEPT = 64
"""Frames of an episode that are remembered as taken for success, the newest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One observation and what the model thinks of it."""

    index: int
    """Which observation of the episode, from 0: what was seen after step `index - 1`."""
    obs: Observation
    """What the model looked at."""
    judgement: Judgement


class Judge:
    """Holds the model of an actor, between its episodes a newer one may take its place. One thread uses it.

    Args:
        model: Judges.
        threshold: Probability from which a single frame is taken for success.
        dense: Whether the model's reward is progress made instead of success.
        beside: Judge in a thread beside the control loop: `look` returns at once, `newest` does not wait for it, and a
            frame that comes while the one before is still being looked at is not judged, only counted as `late`.
        sight: What the model looks at in place of the policy's observation, at the same moment: images beside a policy
            that needs none.
    """

    def __init__(
        self,
        model: RewardModel,
        threshold: float,
        *,
        beside: bool,
        dense: bool = False,
        sight: Callable[[], Observation] | None = None,
    ) -> None:
        self.model, self.threshold, self.beside, self.dense = model, threshold, beside, dense
        self._sight = sight
        self.late = 0
        """Frames that were not judged in time, since the start."""
        self.last: Judged | None = None
        """The newest judgement, for displays."""
        self.hits: deque[Judged] = deque(maxlen=HITS_KEPT)
        """Frames of the episode under way that were taken for success."""
        self.ended: tuple[Judged, ...] = ()
        """The hits of the episode before."""
        self._index = -1
        self._seen: Observation = {}
        """What was looked at last."""
        self._busy: Future[Judged] | None = None
        self._thread: ThreadPoolExecutor | None = None

    def replace(self, model: RewardModel, threshold: float) -> None:
        """Judge with `model` from the next episode on; call between episodes."""
        self.model, self.threshold = model, threshold

    def begin_episode(self, obs: Observation) -> None:
        """An episode begins with `obs`."""
        self.end_episode()
        self._index = -1
        self.last = None
        self.model.begin_episode()
        self.look(obs)

    def end_episode(self) -> None:
        """The episode is over; its hits are kept until the next one ends. Legal twice."""
        if self._busy is not None:
            self._busy.exception()  # whatever it was, nobody asks any more
            self._busy = None
        if self._index >= 0:
            self.ended = tuple(self.hits)
        self._index = -1
        self.hits.clear()

    def look(self, obs: Observation) -> None:
        """Judge the next observation; raises `SpecError` for one that the model was not made for, perhaps later."""
        self._index += 1
        self._seen = obs if self._sight is None else self._sight()
        if self._busy is not None and not self._busy.done():
            self.late += 1
        elif self.beside:
            self._collect()  # what nobody asked for is still a hit
            self._thread = self._thread or ThreadPoolExecutor(max_workers=1, thread_name_prefix="reward")
            self._busy = self._thread.submit(self._judge, self._index, self._seen)
        else:
            self._note(self._judge(self._index, self._seen))

    def newest(self, *, wait: bool = False) -> Judged | None:
        """Return the newest judgement; None before the first. `wait` for that of what was looked at last."""
        if self._busy is not None and (wait or self._busy.done()):
            self._collect()
        if wait and (self.last is None or self.last.index < self._index):  # it came while another was looked at
            self.late -= 1
            self._note(self._judge(self._index, self._seen))
        return self.last

    def forget_hits(self) -> None:
        """A person has answered for what was taken for success: nobody need be asked again."""
        if self.hits:
            self.hits.clear()
        else:
            self.ended = ()

    def close(self) -> None:
        """End the thread; legal twice."""
        self.end_episode()
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    def _judge(self, index: int, obs: Observation) -> Judged:
        return Judged(index=index, obs=obs, judgement=self.model.judge(obs))

    def _collect(self) -> None:
        if self._busy is not None:
            busy, self._busy = self._busy, None
            self._note(busy.result())

    def _note(self, judged: Judged) -> None:
        self.last = judged
        if judged.judgement.confirmed or judged.judgement.probability >= self.threshold:
            self.hits.append(judged)


def rewarded(step: Step, judged: Judged | None, after: Observation, *, dense: bool) -> tuple[Step, bool]:
    """Return `step` with what the model says of `after`, the observation it led to, and whether that ends the episode.

    A success classifier speaks as `classifier`. A dense model speaks as `progress` of every step, and as `classifier`
    of the one that reaches the goal. A frame that was not judged in time counts as no success, so that nobody else's
    word on it stands in; a success that was confirmed a frame ago ends the episode all the same.
    """
    source = "progress" if dense else "classifier"
    if judged is None or not (judged.index == step.step_index + 1 or judged.judgement.confirmed):
        return replace(step, reward={**step.reward, source: 0.0}), False
    said = judged.judgement
    rewards = {**step.reward, source: said.reward}
    seen = {**step.diagnostics, "success_probability": said.probability}
    if not said.confirmed:
        return replace(step, reward=rewards, diagnostics=seen), False
    if dense:
        rewards["classifier"] = 1.0
    ended = replace(step, reward=rewards, diagnostics=seen, terminated=True, truncated=False, final_obs=after)
    return ended, True
