"""Networks, the squashed Gaussian, and what all torch agents share."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from robot_hil.policies.torch.common import GroupAdam, polyak, random_shift, shifted, spread_shifts, to_float
from robot_hil.policies.torch.networks import ConvSpec, MlpSpec, conv, gaussian, init_conv, init_mlp, mlp, soft_argmax


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("affine", [False, True])
def test_each_member_of_an_ensemble_is_a_network_of_its_own(affine: bool) -> None:
    spec = MlpSpec(inputs=5, outputs=2, hidden=(8, 6), activation="silu", affine_norm=affine)
    params = init_mlp("net", spec, generator(), members=3)
    x = torch.randn((7, 5), generator=generator(1))
    together = mlp(params, "net", spec, x.expand(3, -1, -1))
    assert together.shape == (3, 7, 2)
    for member in range(3):
        one = {name: value[member] for name, value in params.items()}
        assert torch.allclose(mlp(one, "net", spec, x), together[member], atol=1e-6)
    assert not torch.allclose(together[0], together[1])
    assert all(value.shape[0] == 3 for value in params.values())  # the output layer too
    params["net/out/kernel"][1] += 1.0
    changed = mlp(params, "net", spec, x.expand(3, -1, -1))
    assert torch.equal(changed[0], together[0])
    assert torch.equal(changed[2], together[2])
    assert not torch.allclose(changed[1], together[1])


def test_soft_argmax_is_the_place_where_a_channel_is_active() -> None:
    maps = torch.zeros((2, 3, 5, 9))
    maps[0, 0, 0, 8] = 50.0  # top right
    maps[1, 2, 4, 2] = 50.0  # bottom, a quarter from the left
    out = soft_argmax(maps, 10.0)
    assert out.shape == (2, 9)
    columns, rows, peaks = out.chunk(3, dim=-1)
    assert columns[0].tolist() == pytest.approx([1.0, 0.0, 0.0], abs=1e-5)
    assert rows[0].tolist() == pytest.approx([-1.0, 0.0, 0.0], abs=1e-5)
    assert columns[1].tolist() == pytest.approx([0.0, 0.0, -0.5], abs=1e-5)
    assert rows[1].tolist() == pytest.approx([0.0, 0.0, 1.0], abs=1e-5)
    assert peaks[0].tolist() == pytest.approx([1.0, 0.0, 0.0], abs=1e-3)


@pytest.mark.parametrize("channels_last", [False, True])
def test_encoder_does_not_depend_on_the_order_in_memory(channels_last: bool) -> None:
    spec = ConvSpec(cameras=2, filters=(4, 8), strides=(2, 1))
    params = init_conv("encoder", spec, generator())
    images = torch.rand((3, 6, 16, 16), generator=generator(1)) - 0.5
    order = torch.channels_last if channels_last else torch.contiguous_format
    encoded = conv(params, "encoder", spec, images.to(memory_format=order))
    assert encoded.shape == (3, 48)  # column, row and peak of 8 channels of 2 cameras
    assert (encoded.abs() <= 1).all()
    assert torch.allclose(encoded, conv(params, "encoder", spec, images), atol=1e-5)


def test_what_a_camera_sees_changes_its_own_part_of_the_encoding_only() -> None:
    spec = ConvSpec(cameras=2, filters=(4, 8))
    params = init_conv("encoder", spec, generator())
    images = torch.rand((1, 6, 16, 16), generator=generator(1)) - 0.5
    other = torch.cat([images[:, :3], torch.rand((1, 3, 16, 16), generator=generator(2)) - 0.5], 1)
    before, after = conv(params, "encoder", spec, images), conv(params, "encoder", spec, other)
    assert torch.equal(before[:, :24], after[:, :24])
    assert not torch.allclose(before[:, 24:], after[:, 24:])


def test_attention_is_as_sharp_for_faint_maps_as_for_strong_ones() -> None:
    maps = torch.zeros((1, 1, 9, 9))
    maps[0, 0, 2, 7] = 1.0
    strong, faint = soft_argmax(100 * maps, 4.0), soft_argmax(maps, 4.0)
    assert torch.allclose(strong[:, :2], faint[:, :2], atol=0.03)


def test_density_of_the_squashed_gaussian() -> None:
    raw, noise = torch.randn((50, 6), generator=generator()).double(), torch.randn((50, 3), generator=generator(1))
    noise = noise.double()
    action, log_prob, mean = gaussian(raw, noise, -5.0, 0.5)
    loc, log_std = raw.chunk(2, dim=-1)
    reference = TransformedDistribution(Normal(loc, log_std.clamp(-5.0, 0.5).exp()), [TanhTransform(cache_size=1)])
    assert torch.allclose(action, torch.tanh(loc + log_std.clamp(-5.0, 0.5).exp() * noise))
    assert torch.allclose(mean, torch.tanh(loc))
    assert torch.allclose(log_prob, reference.log_prob(action).sum(-1), atol=1e-6)


def test_density_integrates_to_one() -> None:
    noise = torch.linspace(-8, 8, 20_001, dtype=torch.float64)[:, None]
    raw = torch.tensor([0.3, -0.7], dtype=torch.float64).expand(len(noise), -1)
    action, log_prob, _ = gaussian(raw, noise, -5.0, 2.0)
    assert float(torch.trapezoid(log_prob.exp(), action[:, 0])) == pytest.approx(1.0, abs=1e-4)


def test_density_is_finite_far_out() -> None:
    raw = torch.tensor([[60.0, 0.0], [-60.0, 0.0]])
    action, log_prob, _ = gaussian(raw, torch.zeros((2, 1)), -5.0, 0.5)
    assert torch.isfinite(log_prob).all()
    assert (action.abs() <= 1).all()


@pytest.mark.parametrize("pad", [1, 3])
def test_random_shift_is_a_window_of_the_image_with_its_edges_repeated(pad: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 5, 7, 4), dtype=np.uint8)
    shifted = random_shift(images, pad, generator(3))
    down, right = torch.randint(0, 2 * pad + 1, (2, 6), generator=generator(3)).numpy() - pad
    for b in range(6):
        for i in range(5):
            for j in range(7):
                source = images[b, np.clip(i + down[b], 0, 4), np.clip(j + right[b], 0, 6)]
                assert np.array_equal(shifted[b, i, j], source), (b, i, j)


def test_a_shift_moves_what_is_seen_and_repeats_the_edge() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(1, 3, 4, 1)
    assert shifted(image, 0, 0)[..., 0].tolist() == image[..., 0].tolist()
    assert shifted(image, 1, 0)[0, ..., 0].tolist() == [[0, 1, 2, 3], [0, 1, 2, 3], [4, 5, 6, 7]]
    assert shifted(image, 0, -2)[0, ..., 0].tolist() == [[2, 3, 3, 3], [6, 7, 7, 7], [10, 11, 11, 11]]


def test_views_are_spread_over_the_allowed_shifts() -> None:
    shifts = spread_shifts(8, 3)
    assert shifts[0] == (0, 0)
    assert len(set(shifts)) == 8
    assert shifts == spread_shifts(8, 3)
    assert max(abs(x) for pair in shifts for x in pair) <= 3
    for axis in (0, 1):  # both directions of both axes are seen
        assert min(pair[axis] for pair in shifts) < -1
        assert max(pair[axis] for pair in shifts) > 1
    assert spread_shifts(1, 3) == [(0, 0)]


def test_random_shift_draws_each_offset_equally() -> None:
    images = np.zeros((2000, 9, 9, 1), np.uint8)
    images[:, 4, 4] = 1
    found = np.argwhere(random_shift(images, 2, generator())[..., 0])[:, 1:] - 4
    counts = np.array([[np.sum((found == (i, j)).all(1)) for j in range(-2, 3)] for i in range(-2, 3)])
    assert counts.sum() == 2000
    assert counts.min() > 40  # 80 expected


def test_images_become_floats_about_zero() -> None:
    assert to_float(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-0.5, 0.5]


def test_target_moves_by_tau() -> None:
    targets, params = {"a": torch.tensor([0.0, 1.0])}, {"a": torch.tensor([1.0, 1.0]), "b": torch.tensor([5.0])}
    polyak(targets, params, 0.25)
    assert targets["a"].tolist() == [0.25, 1.0]
    assert set(targets) == {"a"}


def test_optimizer_moves_its_own_group_only_and_clips() -> None:
    params = {"a": torch.tensor([1.0]), "b": torch.tensor([1.0])}
    group = GroupAdam(params, ["a"], lr=0.1, clip_norm=1.0)
    GroupAdam(params, ["b"], lr=0.1)
    group.step(1000.0 * params["a"].sum() * params["b"].sum())
    assert params["a"].item() == pytest.approx(0.9)
    assert params["b"].item() == 1.0
    assert params["b"].grad is None
    saved = group.export()
    assert saved["a/mean"].item() == pytest.approx(0.1)  # (1 - beta1) times the clipped gradient
    assert saved["a/square"].item() == pytest.approx(0.001)
    assert saved["a/step"].item() == 1.0
