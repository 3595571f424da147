"""The small encoder: a few convolutions per camera, then where each of their channels is active."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.policies.ops import A, Ops, Params


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvSpec:
    """Small convolutional encoder: 3x3 convolutions, then spatial soft-argmax.

    The soft-argmax (Levine et al. 2016, arXiv 1504.00702) turns every channel into the place where it is active. Where
    things are is what a manipulator must know, and a place is learnt from few demonstrations.
    """

    cameras: int
    """Each camera has filters of its own: where one channel is active in two views at once, its mean place is in
    neither."""
    filters: Sequence[int] = (16, 32)
    """Of each camera."""
    strides: Sequence[int] = (2, 2)
    sharpness: float = 4.0
    """Gain before the soft-argmax of a map that is scaled to unit deviation. At 1, or unscaled, every attention is
    nearly uniform at first and stays so for hundreds of updates: cloning 20 demonstrations lifted few of the cubes
    instead of most."""

    @property
    def features(self) -> int:
        """Size of the encoding: column, row and peak of every channel of every camera."""
        return 3 * self.filters[-1] * self.cameras


def init_conv(name: str, spec: ConvSpec, rng: np.random.Generator) -> dict[str, Array]:
    """Make `name/conv{i}/kernel|bias`; kernels are (camera, out, in, kh, kw)."""
    params: dict[str, Array] = {}
    fan = 3
    for i, filters in enumerate(spec.filters):
        bound = math.sqrt(6.0 / (9 * fan))
        kernel = rng.uniform(-bound, bound, (spec.cameras, filters, fan, 3, 3))
        params[f"{name}/conv{i}/kernel"] = kernel.astype(np.float32)
        params[f"{name}/conv{i}/bias"] = np.zeros((spec.cameras, filters), np.float32)
        fan = filters
    return params


def conv(nn: Ops, params: Params, name: str, spec: ConvSpec, images: A) -> A:
    """Encode images (B, H, W, 3 * cameras) float in [-0.5, 0.5] -> (B, features)."""
    encoded = []
    for camera in range(spec.cameras):  # a grouped convolution takes 1.5 times as long
        x = images[..., 3 * camera : 3 * camera + 3]
        for i, stride in enumerate(spec.strides):
            kernel, bias = params[f"{name}/conv{i}/kernel"][camera], params[f"{name}/conv{i}/bias"][camera]
            x = nn.conv2d(x if i == 0 else nn.relu(x), kernel, bias, stride=stride, padding=1)
        encoded.append(soft_argmax(nn, x, spec.sharpness))
    return nn.concat(encoded, -1)


def soft_argmax(nn: Ops, maps: A, sharpness: float) -> A:
    """Turn maps (B, H, W, C) into (B, 3C): mean column and row in [-1, 1] under softmax, and a squashed peak.

    Each map is first brought to zero mean and deviation `sharpness`, so that attention is sharp whatever its scale.
    """
    batch, height, width, channels = maps.shape
    flat = maps.reshape(batch, height * width, channels)
    centred = flat - nn.mean(flat, 1, keepdims=True)
    # +1e-10: the deviation of an even map has no slope at zero
    deviation = nn.sqrt(nn.mean(centred * centred, 1, keepdims=True) + 1e-10)
    attention = nn.softmax(centred * (sharpness / (deviation + 1e-3)), 1)
    places = nn.array(grid(height, width)) @ attention  # (B, 2, C)
    peak = nn.tanh(0.2 * nn.max(flat, 1))
    return nn.concat([places.reshape(batch, 2 * channels), peak], -1)


def grid(height: int, width: int) -> Array:
    """Return column and row of every pixel in [-1, 1], (2, height * width), row by row."""
    rows, columns = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([columns.ravel(), rows.ravel()]).astype(np.float32)
