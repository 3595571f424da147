"""What every implementation of a contract must do: subclass in a test, give the implementation, inherit the tests."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from robot_hil.data.robot import ArmState, CartesianTarget
from robot_hil.data.specs import Array, ArraySpec, EnvSpec
from robot_hil.data.teleop import SampleStatus, TeleopSample
from robot_hil.errors import RobotHilError, StorageError
from robot_hil.protocols import Agent, Arm, TeleopDevice

# ---- Arm ---------------------------------------------------------------------------------------------------------


class ArmContract:
    """Subclass with `make_arm`; `settle` lets a simulated arm move for a second, and need do nothing on others."""

    def make_arm(self) -> Arm:
        """Return a new arm, not connected, standing somewhere it may move from."""
        raise NotImplementedError

    def settle(self, arm: Arm) -> None:
        """Let the arm track its last target for about a second."""

    tolerance_m = 0.01

    @pytest.fixture
    def contract_arm(self):
        arm = self.make_arm()
        yield arm
        arm.close()

    @staticmethod
    def here(state: ArmState) -> CartesianTarget:
        return CartesianTarget(
            pos_base=state.tcp_pos_base, quat_base=state.tcp_quat_base, gripper_width=state.gripper_width
        )

    def test_arm_implements_the_protocol(self, contract_arm):
        assert isinstance(contract_arm, Arm)

    def test_arm_state_is_complete_and_finite(self, contract_arm):
        contract_arm.connect()
        state = contract_arm.state()
        joints = state.joint_pos.shape
        assert len(joints) == 1
        assert joints[0] > 0
        assert state.joint_vel.shape == joints
        assert state.tcp_pos_base.shape == (3,)
        assert state.tcp_quat_base.shape == (4,)
        assert state.tcp_vel_base.shape == (6,)
        assert state.wrench_tcp.shape == (6,)
        for name in ("joint_pos", "joint_vel", "tcp_pos_base", "tcp_quat_base", "tcp_vel_base", "wrench_tcp"):
            value = getattr(state, name)
            assert value.dtype == np.float64, name
            assert np.isfinite(value).all(), name
        assert np.linalg.norm(state.tcp_quat_base) == pytest.approx(1.0, abs=1e-6)
        assert state.gripper_width >= 0
        assert state.fault == ""

    def test_arm_states_do_not_change_afterwards(self, contract_arm):
        contract_arm.connect()
        state = contract_arm.state()
        before = state.tcp_pos_base.copy()
        contract_arm.command(self.shifted(state, dz=0.005))
        self.settle(contract_arm)
        contract_arm.state()
        assert np.array_equal(state.tcp_pos_base, before)

    def shifted(self, state: ArmState, dz: float) -> CartesianTarget:
        return CartesianTarget(
            pos_base=state.tcp_pos_base + np.array([0.0, 0.0, dz]),
            quat_base=state.tcp_quat_base,
            gripper_width=state.gripper_width,
        )

    def test_arm_goes_where_it_is_commanded(self, contract_arm):
        contract_arm.connect()
        target = self.shifted(contract_arm.state(), dz=0.005)
        contract_arm.command(target)
        self.settle(contract_arm)
        assert np.linalg.norm(contract_arm.state().tcp_pos_base - target.pos_base) < self.tolerance_m

    def test_arm_stops_in_every_state_and_moves_again(self, contract_arm):
        contract_arm.stop()
        contract_arm.connect()
        contract_arm.stop()
        contract_arm.stop()
        contract_arm.command(self.here(contract_arm.state()))

    def test_arm_refuses_to_move_before_connect(self, contract_arm):
        here = CartesianTarget(
            pos_base=np.array([0.4, 0.0, 0.3]), quat_base=np.array([1.0, 0.0, 0.0, 0.0]), gripper_width=0.04
        )
        with pytest.raises(RobotHilError):
            contract_arm.command(here)

    def test_arm_recovers_only_with_a_reason(self, contract_arm):
        contract_arm.connect()
        with pytest.raises(RobotHilError, match="reason"):
            contract_arm.recover(" ")
        contract_arm.recover("the contract test asked for it")
        contract_arm.command(self.here(contract_arm.state()))

    def test_arm_connects_and_closes_twice(self, contract_arm):
        contract_arm.connect()
        contract_arm.connect()
        contract_arm.close()
        contract_arm.close()


# ---- Teleoperation device ----------------------------------------------------------------------------------------


class TeleopContract:
    """Subclass with `make_device`; its actions have `action_dim` values."""

    action_dim: int

    def make_device(self) -> TeleopDevice:
        """Return a new device, not started, on a clock that does not run away."""
        raise NotImplementedError

    def advance(self, device: TeleopDevice) -> None:
        """Let one control period pass."""

    @pytest.fixture
    def contract_device(self):
        device = self.make_device()
        yield device
        device.stop()

    def check_sample(self, sample: TeleopSample) -> None:
        assert isinstance(sample.status, SampleStatus)
        assert np.isfinite(sample.t)
        if sample.action is not None:
            assert sample.status is SampleStatus.OK
            assert sample.action.shape == (self.action_dim,)
            assert sample.action.dtype == np.float32
            assert (np.abs(sample.action) <= 1).all()  # and so finite
        if sample.mask is not None:
            assert sample.mask.shape == (self.action_dim,)
            assert sample.mask.dtype == np.bool_

    def test_device_implements_the_protocol(self, contract_device):
        assert isinstance(contract_device, TeleopDevice)
        assert contract_device.name

    def test_device_is_disconnected_before_start_and_after_stop(self, contract_device):
        assert contract_device.latest().status is SampleStatus.DISCONNECTED
        contract_device.start()
        contract_device.latest()
        contract_device.stop()
        sample = contract_device.latest()
        assert sample.status is SampleStatus.DISCONNECTED
        assert not sample.engaged
        assert sample.action is None

    def test_device_gives_valid_samples_in_order(self, contract_device):
        contract_device.start()
        last = -np.inf
        for _ in range(20):
            sample = contract_device.latest()
            self.check_sample(sample)
            assert sample.t >= last
            last = sample.t
            self.advance(contract_device)

    def test_device_gives_each_event_once(self, contract_device):
        contract_device.start()
        contract_device.drain_events()
        assert contract_device.drain_events() == []

    def test_device_starts_and_stops_twice(self, contract_device):
        contract_device.start()
        contract_device.start()
        contract_device.stop()
        contract_device.stop()
        contract_device.start()
        assert contract_device.latest().status is not SampleStatus.DISCONNECTED


# ---- Agent -------------------------------------------------------------------------------------------------------


def agent_spec(*, pixels: bool = False, gripper: bool = False, side: int = 16) -> EnvSpec:
    """Return a small environment: a state of five numbers, on demand two cameras and a gripper."""
    axes = ("x", "y", "z", *(("gripper",) if gripper else ()))
    labels = (*(f"number {i}" for i in range(4)), "gripper command [-1..1]")
    images = {name: ArraySpec(shape=(side, side, 3), dtype="uint8") for name in ("front", "wrist")}
    return EnvSpec(
        env_id="test/Agent-v0",
        observation={"state": ArraySpec(shape=(5,), names=labels)} | (images if pixels else {}),
        action=ArraySpec(shape=(len(axes),), low=-1.0, high=1.0, names=axes),
        control_hz=10.0,
        max_episode_steps=50,
    )


def agent_batch(agent: Agent, spec: EnvSpec, rows: int, seed: int = 0) -> dict[str, Array]:
    """Return a batch as the replay makes it, of random content; `agent` must be bound to `spec`."""
    rng = np.random.default_rng(seed)
    stored = agent.stored(spec)
    batch = {
        f"{prefix}/{name}": np.stack([array.drawn.sample(rng) for _ in range(rows)])
        for prefix in ("obs", "next_obs")
        for name, array in stored.items()
    }
    ended = (rng.random(rows) < 0.2).astype(np.float32)
    human = (rng.random(rows) < 0.5).astype(np.float32)
    action = np.stack([spec.action.sample(rng) for _ in range(rows)])
    ones = np.ones(rows, np.float32)
    return (
        batch
        | {
            "action": action,
            "action_human": action.copy(),
            "reward": ended,
            "discount": np.float32(0.97) * (1 - ended),
            "is_human": human,
            "imitate": human.copy(),
            "demonstrated": human * np.float32(np.arange(rows) % 2),
            "critic_weight": ones,
            "actor_weight": ones.copy(),
            "pool": np.zeros(rows, np.uint8),
            "row": np.arange(rows),
        }
        | ends_of(agent, spec, rows, rng)
        | entries_of_methods(spec, rows, human)
    )


def entries_of_methods(spec: EnvSpec, rows: int, human: Array) -> dict[str, Array]:
    """Return what methods add to a batch; algorithms that do not know of it leave it alone."""
    rng = np.random.default_rng(rows)
    return {
        "action_policy": np.stack([spec.action.sample(rng) for _ in range(rows)]),
        "proposed": np.ones(rows, np.float32),
        "overridden": human.copy(),
        "takeover_cost": rng.random(rows, dtype=np.float32),
        "mc_return": rng.random(rows, dtype=np.float32),
        "surveyed": np.ones(rows, np.float32),
        "return": -rng.random(rows, dtype=np.float32),
        "returned": np.ones(rows, np.float32),
        "within": np.ones(rows, np.float32),
    }


def ends_of(agent: Agent, spec: EnvSpec, rows: int, rng: np.random.Generator) -> dict[str, Array]:
    """Return the last observations of the rows' episodes, and whether they are known, if `agent` asks for them."""
    names = agent.imitates.get("end", ())
    if not names:
        return {}
    ends = {f"end/{name}": np.stack([spec.observation[name].sample(rng) for _ in range(rows)]) for name in names}
    return ends | {"end_known": (rng.random(rows) < 0.5).astype(np.float32)}


def assert_equal_arrays(left: Mapping[str, Array], right: Mapping[str, Array]) -> None:
    """Fail unless both hold the same names, shapes, dtypes and bits."""
    assert set(left) == set(right)
    for name, value in left.items():
        assert value.dtype == right[name].dtype, name
        assert np.array_equal(value, right[name]), name


class AgentContract:
    """Subclass with `make_agent` and `spec`."""

    spec: EnvSpec
    rows = 8
    """Rows per critic update."""

    def make_agent(self) -> Agent:
        """Return a new agent, not bound."""
        raise NotImplementedError

    def usual_agent(self) -> Agent:
        """Return an agent that some tests share: it holds no state, and what was compiled for it need not be again."""
        return self.make_agent()

    def started(self, seed: int = 0) -> tuple[Agent, Any]:
        """Return an agent with a fresh state."""
        agent = self.usual_agent()
        return agent, agent.init(self.spec, seed)

    def batch(self, agent: Agent, seed: int = 0) -> dict[str, Array]:
        """Return a batch for one `update`."""
        return agent_batch(agent, self.spec, self.rows * agent.updates_per_round, seed)

    def learnt(self, agent: Agent, state: Any, rounds: int, first: int = 0) -> Any:
        """Return `state` after `rounds` imitation and training updates."""
        for i in range(first, first + rounds):
            batch = self.batch(agent, i)
            state, _ = agent.pretrain(state, batch)
            state, _ = agent.update(state, batch)
        return state

    def observation(self, seed: int) -> dict[str, Array]:
        rng = np.random.default_rng(seed)
        return {name: array.sample(rng) for name, array in self.spec.observation.items()}

    def test_agent_prepares_what_it_says_it_stores(self):
        agent = self.make_agent()
        agent.bind(self.spec)
        stored, prepared = agent.stored(self.spec), agent.prepare(self.observation(0))
        assert set(stored) <= set(prepared)
        for name, array in stored.items():
            array.validate(np.asarray(prepared[name]), name)

    def test_agent_with_equal_seeds_starts_and_learns_equally(self):
        (one, a), (two, b), (three, c) = self.started(3), self.started(3), self.started(4)
        assert_equal_arrays(one.export(a), two.export(b))
        first, other = one.actor_params(a), three.actor_params(c)
        assert any(not np.array_equal(first[name], other[name]) for name in first)
        assert_equal_arrays(one.export(self.learnt(one, a, 3)), two.export(self.learnt(two, b, 3)))

    def test_agent_learns_without_nan_and_says_how(self):
        agent, state = self.started()
        before = agent.actor_params(state)
        for i in range(5):
            state, metrics = agent.update(state, self.batch(agent, i))
            assert metrics
            assert all(isinstance(value, float) and np.isfinite(value) for value in metrics.values()), metrics
        assert all(np.isfinite(value).all() for value in agent.export(state).values())
        after = agent.actor_params(state)
        assert any(not np.array_equal(before[name], after[name]) for name in before)

    def test_agent_does_not_change_its_batch(self):
        agent, state = self.started()
        batch = self.batch(agent)
        copy = {name: value.copy() for name, value in batch.items()}
        state, _ = agent.pretrain(state, batch)
        agent.update(state, batch)
        assert_equal_arrays(batch, copy)

    def test_agent_refuses_a_batch_that_cannot_be_shared_out(self):
        agent, state = self.started()
        if agent.updates_per_round > 1:
            with pytest.raises(RobotHilError, match="multiple"):
                agent.update(state, agent_batch(agent, self.spec, self.rows * agent.updates_per_round + 1))

    def test_agent_hands_out_copies(self):
        agent, state = self.started()
        params, everything = agent.actor_params(state), agent.export(state)
        kept = {name: value.copy() for name, value in params.items()}
        kept_all = {name: value.copy() for name, value in everything.items()}
        self.learnt(agent, state, 1)
        assert_equal_arrays(params, kept)
        assert_equal_arrays(everything, kept_all)

    def test_agent_acts_within_limits_and_repeatably(self):
        agent, state = self.started()
        state = self.learnt(agent, state, 2)
        params = agent.actor_params(state)
        elsewhere = self.make_agent()  # the actor's process has only the specification and the parameters
        elsewhere.bind(self.spec)
        actor, far_actor = agent.load_actor(params), elsewhere.load_actor(params)
        for seed in range(10):
            obs = self.observation(seed)
            for deterministic in (True, False):
                action = agent.act(actor, obs, deterministic, np.random.default_rng(seed))
                self.spec.action.validate(action, "action")
                again = elsewhere.act(far_actor, obs, deterministic, np.random.default_rng(seed))
                assert np.array_equal(action, again)
            other = agent.act(actor, obs, True, np.random.default_rng(seed + 100))
            assert np.array_equal(other, agent.act(actor, obs, True, np.random.default_rng(seed)))
        assert any(
            not np.array_equal(action, agent.act(actor, obs, False, np.random.default_rng(seed))) for seed in range(5)
        )

    def test_agent_continues_exactly_from_an_export(self):
        agent, state = self.started(1)
        state = self.learnt(agent, state, 3)
        saved = agent.export(state)
        other = self.make_agent()  # in a process that has only the files
        loaded = other.load(other.init(self.spec, 2), saved)
        assert_equal_arrays(other.export(loaded), saved)
        on = self.learnt(agent, state, 3, first=3)
        resumed = self.learnt(other, loaded, 3, first=3)
        assert_equal_arrays(agent.export(on), other.export(resumed))

    def test_agent_refuses_a_foreign_checkpoint_and_changes_nothing(self):
        agent, state = self.started()
        state = self.learnt(agent, state, 1)
        saved = agent.export(state)
        other, own = self.started(9)
        before = other.export(own)
        name = next(key for key in sorted(saved) if saved[key].ndim)
        foreign = [
            {key: value for key, value in saved.items() if key != name},
            saved | {"params/foreign": np.zeros(1, np.float32)},
            saved | {name: np.concatenate([saved[name], saved[name]])},
            saved | {name: saved[name].astype(np.float64)},
            saved | {"generator": np.zeros_like(saved["generator"])},
            {},
        ]
        for wrong in foreign:
            with pytest.raises(StorageError, match="does not fit"):
                other.load(own, wrong)
            assert_equal_arrays(other.export(own), before)
