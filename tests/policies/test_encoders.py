"""Agents that look through a frozen trunk: what is trained, stored, broadcast and cached; on both libraries."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trunk_rig
from agent_rig import SMALL, SMALL_BC, SMALL_HIL_SERL, changed
from contracts import AgentContract, agent_batch, agent_spec, assert_equal_arrays

from robot_hil.data.specs import Array
from robot_hil.policies.agent import LearningAgent
from robot_hil.policies.config import TrunkConfig
from robot_hil.policies.registry import AgentConfig, make_agent

SPEC = agent_spec(pixels=True, gripper=True)


@pytest.fixture(scope="session")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> TrunkConfig:
    """A small vision transformer in a file."""
    model = trunk_rig.random_weights(trunk_rig.Dinov2(depth=1, grid=2))
    file = trunk_rig.save(tmp_path_factory.mktemp("trunk") / "vit.safetensors", model.state_dict())
    return TrunkConfig(kind="vit", file=file, image_size=42, grid=2, outputs=6, vector_outputs=3)


def bound(config: AgentConfig, trunk: TrunkConfig, backend: str = "torch") -> LearningAgent:
    agent = make_agent(replace(config, trunk=trunk), backend)
    agent.bind(SPEC)
    return agent


def frames(agent: LearningAgent, count: int) -> dict[str, Array]:
    """Prepared observations, as `encode` takes them."""
    rng = np.random.default_rng(5)
    some = [agent.prepare({name: a.sample(rng) for name, a in SPEC.observation.items()}) for _ in range(count)]
    return {name: np.stack([one[name] for one in some]) for name in some[0]}


class TrunkContract(AgentContract):
    spec = SPEC
    config: AgentConfig = SMALL

    @pytest.fixture(autouse=True)
    def _trunk(self, trunk: TrunkConfig) -> None:
        self.trunk = trunk

    def make_agent(self) -> LearningAgent:
        return make_agent(replace(self.config, trunk=self.trunk), "torch")


class TestAnchoredTrunk(TrunkContract):
    pass


class TestHilSerlTrunk(TrunkContract):
    config = SMALL_HIL_SERL


class TestBcTrunk(TrunkContract):
    config = replace(SMALL_BC, exploration=0.1)


@pytest.mark.parametrize("config", [SMALL, SMALL_HIL_SERL, SMALL_BC])
def test_nothing_of_the_trunk_is_trained_averaged_saved_or_sent(trunk: TrunkConfig, config: AgentConfig) -> None:
    agent = bound(config, trunk)
    state = agent.init(SPEC, 0)
    for batch in (agent_batch(agent, SPEC, 8, seed) for seed in range(2)):
        state, _ = agent.pretrain(state, batch)
        state, _ = agent.update(state, batch)
    held = agent.algorithm.constants()
    assert all(name.startswith("constant/trunk/") for name in held)
    for made in (agent.export(state), agent.actor_params(state)):
        assert not any("trunk" in name or "constant" in name for name in made)
        assert any("encoder/masks" in name for name in made)
    assert_equal_arrays(held, agent.algorithm.constants())


@pytest.mark.parametrize("config", [SMALL, SMALL_HIL_SERL, SMALL_BC])
def test_maps_are_cached_from_the_first_frame_on_and_no_images_kept(trunk: TrunkConfig, config: AgentConfig) -> None:
    agent = bound(replace(config, views=3), trunk)
    assert agent.encodes_at_once
    stored = agent.stored(SPEC)
    assert set(stored) == {"state", "encoding"}
    encoding = stored["encoding"]
    assert (encoding.shape, encoding.dtype, encoding.variants) == ((2 * 64, 5), "float16", 3)
    wanted = {**agent.reads, **agent.imitates}
    assert all(names == ("state", "encoding") for names in wanted.values())
    views = agent.encode(agent.init(SPEC, 0), frames(agent, 2))
    encoding.validate(views[0])
    assert not np.array_equal(views[0, 0], views[0, 1])


def test_a_frames_encoding_does_not_depend_on_its_company(trunk: TrunkConfig, backend: str) -> None:
    for together in (1, 3):
        agent = bound(SMALL, replace(trunk, frames_per_call=together), backend)
        state, some = agent.init(SPEC, 0), frames(agent, 4)
        all_at_once = agent.encode(state, some)
        for i in range(4):
            alone = agent.encode(state, {name: value[i : i + 1] for name, value in some.items()})
            assert np.array_equal(alone[0], all_at_once[i])


def test_encodings_are_the_same_in_both_libraries(trunk: TrunkConfig) -> None:
    made = []
    for backend in ("torch", "jax"):
        agent = bound(SMALL, trunk, backend)
        made.append(agent.encode(agent.init(SPEC, 0), frames(agent, 2)).astype(np.float32))
    assert made[0] == pytest.approx(made[1], abs=4e-3)  # one step of half precision


@pytest.mark.parametrize("config", [replace(SMALL, exploration=0.0), SMALL_HIL_SERL])
def test_what_is_cached_teaches_as_what_is_encoded_anew(trunk: TrunkConfig, config: AgentConfig) -> None:
    """Without shifts the only difference is half precision."""
    cached = bound(replace(config, shift=0, views=1), trunk)
    fresh = bound(replace(config, shift=0, views=0), trunk)
    assert fresh.encoding == ""
    assert "stacked_images" in fresh.reads["obs"]
    a, b = cached.init(SPEC, 0), fresh.init(SPEC, 0)
    batch = agent_batch(fresh, SPEC, 8)
    encoded = dict(batch)
    for prefix in ("obs", "next_obs"):
        images = encoded.pop(f"{prefix}/stacked_images")
        encoded[f"{prefix}/encoding"] = cached.encode(a, {"stacked_images": images})[:, 0]
    for _ in range(2):
        a, first = cached.update(a, encoded)
        b, second = fresh.update(b, batch)
        assert first == pytest.approx(second, rel=2e-2, abs=2e-3)


def test_fresh_images_are_shifted_anew_in_every_update(trunk: TrunkConfig) -> None:
    agent = bound(replace(SMALL, views=0), trunk)
    drawn = agent.algorithm.draw(np.random.default_rng(0), 8, False)
    assert {"noise/obs/shift", "noise/next_obs/shift"} <= set(drawn)
    assert "noise/obs/shift" in agent.algorithm.draw(np.random.default_rng(0), 8, True)
    cached = bound(SMALL, trunk)
    assert not any(name.endswith("shift") for name in cached.algorithm.draw(np.random.default_rng(0), 8, False))


def test_a_small_frozen_encoder_may_be_run_anew_too() -> None:
    agent = make_agent(replace(SMALL, views=0), "torch")
    state = agent.init(SPEC, 0)
    assert agent.encoding == ""
    assert agent.reads["obs"] == ("state", "stacked_images")
    before = agent.export(state)
    state, _ = agent.update(state, agent_batch(agent, SPEC, 8))
    assert "params/encoder" not in changed(before, agent.export(state))


@pytest.mark.parametrize("trains", [True, False])
def test_critics_train_the_head_if_they_are_to(trunk: TrunkConfig, trains: bool) -> None:
    agent = bound(SMALL, replace(trunk, train_head=trains))
    state = agent.init(SPEC, 0)
    before = agent.export(state)
    state, _ = agent.update(state, agent_batch(agent, SPEC, 8))
    assert ("params/encoder" in changed(before, agent.export(state))) == trains
    before = agent.export(state)
    state, _ = agent.pretrain(state, agent_batch(agent, SPEC, 8))
    assert "params/encoder" in changed(before, agent.export(state))


def test_the_policy_sees_what_it_learnt_from(trunk: TrunkConfig) -> None:
    agent = bound(SMALL, trunk)
    state = agent.init(SPEC, 0)
    rng = np.random.default_rng(0)
    obs = {name: array.sample(rng) for name, array in SPEC.observation.items()}
    prepared = {name: value[None] for name, value in agent.prepare(obs).items()}
    actor = agent.load_actor(agent.actor_params(state))
    acted = agent.act(actor, obs, True, rng)
    encoded = {"obs/state": prepared["state"], "obs/encoding": agent.encode(state, prepared)[:, 0]}
    noise = {"noise/act": np.zeros((1, 4), np.float32)}
    assert acted == pytest.approx(agent.engine.run(agent.algorithm.act, actor, encoded | noise)[0], abs=1e-3)


def test_the_file_is_known_by_its_hash(trunk: TrunkConfig, tmp_path: Path) -> None:
    agent = bound(SMALL, trunk)
    assert set(agent.files) == {"trunk"}
    assert len(agent.files["trunk"]) == 64
    plain = make_agent(SMALL)
    plain.bind(SPEC)
    assert plain.files == {}
    blind = make_agent(replace(SMALL, trunk=replace(trunk, file=str(tmp_path / "not needed"))))
    blind.bind(agent_spec())  # without images no trunk is read
    assert blind.files == {}


@pytest.mark.parametrize("only", [True, False])
def test_the_goal_is_estimated_on_a_trunk_too(trunk: TrunkConfig, only: bool) -> None:
    agent = bound(replace(SMALL, goal_features=("number 1",), goal_only=only), trunk)
    state = agent.init(SPEC, 0)
    before = agent.export(state)
    state, metrics = agent.update(state, agent_batch(agent, SPEC, 8))
    assert "goal_error" in metrics
    moved = changed(before, agent.export(state))
    assert {"params/goal", "params/critic", "params/actor"} <= moved
    assert ("params/encoder" in moved) == (not only)  # then critics see of the images what they may not bend
