"""The buffer against a list of Python objects, under any order of events."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from robot_hil.data.labels import Verdict
from robot_hil.methods.anchored import Anchored
from robot_hil.methods.base import Method

GAMMA = 0.9


@dataclass(eq=False)
class Entry:
    """An observation in the model; `step` is None for the one that ends an episode."""

    step: object
    demo: bool
    after: "Entry | None" = None


@dataclass
class Model:
    """What the buffer promises, written without any cleverness."""

    capacity: int
    entries: list = field(default_factory=list)
    newest: dict = field(default_factory=dict)
    refused: int = 0
    verdicts: dict = field(default_factory=dict)

    def add(self, step) -> bool:
        position = (step.epoch, step.episode_id, step.step_index)
        old = self.newest.get(step.actor_id)
        if old is not None:
            before = old.step
            last = (before.epoch, before.episode_id, before.step_index)
            if position <= last or (position[:2] == last[:2] and before.is_last):
                self.refused += 1
                return False
        entry = Entry(step, step.segment == 1)
        new = [entry]
        if step.final_obs is not None:
            entry.after = Entry(None, entry.demo)
            new.append(entry.after)
        for count in range(len(new)):
            demos = [e for e in self.entries if e.demo]
            if entry.demo and len(demos) + count >= self.capacity // 2:
                self.entries.remove(demos[0])
            elif len(self.entries) + count >= self.capacity:
                self.entries.remove(next(e for e in self.entries if not e.demo))
        if old in self.entries and position == (*last[:2], last[2] + 1):
            old.after = entry
        self.entries += new
        self.newest[step.actor_id] = entry
        return True

    def ready(self, entry) -> bool:
        return entry.step is not None and entry.after in self.entries

    def verdict(self, step) -> Verdict:
        return self.verdicts.get((step.actor_id, step.epoch, step.episode_id), Verdict.NONE)

    def sampleable(self) -> list:
        return [e for e in self.entries if self.ready(e) and self.verdict(e.step) is not Verdict.DISCARD]

    def ending(self, step) -> tuple:
        """Reward and whether nothing follows, in the light of the verdict."""
        verdict = self.verdict(step)
        if step.is_last and verdict in (Verdict.SUCCESS, Verdict.FAIL):
            return float(verdict is Verdict.SUCCESS), True
        return step.reward["env"], step.terminated

    def n_step(self, entry, method) -> tuple:
        """Sum rewards one by one; return sum, bootstrap factor and how many steps later the next observation is."""
        total, scale, hops = 0.0, 1.0, 0
        while True:
            step = entry.step
            reward, terminated = self.ending(step)
            total += scale * reward
            scale *= GAMMA
            hops += 1
            following = entry.after
            if hops == method.n_step or step.is_last or not self.ready(following):
                break
            if method.cut_at_handover and step.is_human != following.step.is_human:
                break
            entry = following
        return total, 0.0 if terminated else scale, hops


class BufferMachine(RuleBasedStateMachine):
    """`make_buffer` and `make_step` are set by the test."""

    @initialize(capacity=st.integers(4, 40))
    def begin(self, capacity):
        self.buffer = type(self).make_buffer(capacity)
        self.slow = type(self).make_buffer(capacity)  # gets the same steps one by one
        self.model = Model(capacity)
        self.at = {}

    def next_step(self, actor, **facts):
        epoch, episode, index = self.at[actor]
        self.at[actor] = (epoch, episode, index + 1)
        return type(self).make_step(episode, index, actor=actor, epoch=epoch, reward=float(index + 1), **facts)

    @rule(
        actor=st.integers(0, 2),
        count=st.integers(1, 6),
        human=st.booleans(),
        demo=st.sampled_from([True, False, None]),
        end=st.sampled_from(["", "", "terminated", "truncated"]),
        final=st.booleans(),
        twice=st.booleans(),
    )
    def steps(self, actor, count, human, demo, end, final, twice):
        epoch, episode, _ = self.at.setdefault(actor, (0, 0, 0))
        demo = episode % 3 == 0 if demo is None else demo  # an episode may change its kind
        steps = [
            self.next_step(actor, human=human, demo=demo, end="" if left else end, final=final)
            for left in reversed(range(count))
        ]
        steps += steps[-1:] * twice
        expected = [self.model.add(step) for step in steps]
        assert self.buffer.add_all(steps) == expected
        assert [self.slow.add(step) for step in steps] == expected
        if end:
            self.at[actor] = (epoch, episode + 1, 0)

    @rule(actor=st.integers(0, 2), epochs=st.integers(-1, 1), episodes=st.integers(-1, 1), steps=st.integers(-3, 2))
    def jump(self, actor, epochs, episodes, steps):
        """The stream skips, repeats, restarts or falls back."""
        at = self.at.setdefault(actor, (0, 0, 0))
        self.at[actor] = tuple(max(0, a + b) for a, b in zip(at, (epochs, episodes, steps), strict=True))

    @rule(
        actor=st.integers(0, 2),
        epoch=st.integers(0, 2),
        episode=st.integers(0, 4),
        verdict=st.sampled_from(list(Verdict)),
        late=st.booleans(),
    )
    def judge(self, actor, epoch, episode, verdict, late):
        """A person judges an episode: one that is there, one that has left, or one that may still come."""
        if late and actor in self.at:
            epoch, episode, _ = self.at[actor]
        key = (f"actor{actor}", epoch, episode)
        self.model.verdicts[key] = verdict
        self.buffer.judge({key: verdict})
        self.slow.judge({key: verdict})

    @invariant()
    def same_rows(self):
        if not hasattr(self, "buffer"):
            return
        expected = self.model.sampleable()
        demo = [e for e in expected if e.demo]
        human = [e for e in expected if not e.demo and e.step.is_human]
        assert self.buffer.sizes == {"demo": len(demo), "intervention": len(human), "online": len(expected) - len(demo)}
        assert self.buffer.counters["refused"] == self.model.refused
        assert self.buffer.counters == self.slow.counters
        for pool in self.buffer.sizes:  # in the same order: equal generators give equal batches
            assert self.buffer.rows(pool).tolist() == self.slow.rows(pool).tolist()

    @rule(seed=st.integers(0, 5), n_step=st.integers(1, 5), cut=st.booleans())
    def sample(self, seed, n_step, cut):
        known = {self.identity(e.step): e for e in self.model.sampleable()}
        if not known:
            return
        method = (
            Anchored(n_step=n_step, cut_at_handover=cut) if seed % 2 else Method(n_step=n_step, cut_at_handover=cut)
        )
        batch = self.buffer.sample_view(method, np.random.default_rng(seed), 40, GAMMA, 0)
        for i, identity in enumerate(batch["obs/id"].astype(int).tolist()):
            total, discount, hops = self.model.n_step(known[tuple(identity)], method)
            np.testing.assert_allclose(batch["reward"][i], total, rtol=1e-5)
            np.testing.assert_allclose(batch["discount"][i], discount, rtol=1e-5)
            step = known[tuple(identity)].step
            bad_example = step.segment == 1 and self.model.verdict(step) is Verdict.FAIL
            assert batch["imitate"][i] == (step.is_human and not bad_example)
            identity[3] += hops
            assert batch["next_obs/id"][i].tolist() == identity
            assert batch["next_obs/image"][i, 0, 0, 0] == (identity[2] * 31 + identity[3]) % 256

    @staticmethod
    def identity(step) -> tuple:
        return tuple(step.obs["id"].astype(int).tolist())


def test_buffer_is_the_model(make_buffer, make_step):
    machine = type(
        "Machine", (BufferMachine,), {"make_buffer": staticmethod(make_buffer), "make_step": staticmethod(make_step)}
    )
    run_state_machine_as_test(machine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))
