"""Networks as functions of flat parameter dictionaries, so that every backend shares names and shapes.

Dense kernels are (in, out), ensemble kernels (E, in, out), convolution kernels (camera, out, in, kh, kw).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as functional
from torch import Tensor

Params = dict[str, Tensor]
Activation = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class MlpSpec:
    """Hidden layers of dense + layer norm + activation, then one linear output."""

    inputs: int
    outputs: int
    hidden: Sequence[int] = (256, 256)
    activation: str = "relu"
    affine_norm: bool = False
    """Learnt gain and shift in the layer norms; costs two more passes over every activation."""

    @property
    def act(self) -> Activation:
        """The activation function."""
        return {"relu": torch.relu, "tanh": torch.tanh, "silu": functional.silu}[self.activation]


def xavier_uniform(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Glorot's uniform for the last two axes (in, out)."""
    bound = math.sqrt(6.0 / (shape[-2] + shape[-1]))
    return (torch.rand(tuple(shape), generator=generator) * 2 - 1) * bound


def init_mlp(
    name: str, spec: MlpSpec, generator: torch.Generator, *, members: int | None = None, out_scale: float = 1.0
) -> Params:
    """Make parameters `name/dense{i}/kernel|bias` and `name/norm{i}/scale|shift`; `members` makes an ensemble."""
    lead = () if members is None else (members,)
    row = () if members is None else (1,)
    params: Params = {}
    sizes = (spec.inputs, *spec.hidden)
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        params[f"{name}/dense{i}/kernel"] = xavier_uniform((*lead, fan_in, fan_out), generator)
        params[f"{name}/dense{i}/bias"] = torch.zeros((*lead, *row, fan_out))
        if spec.affine_norm:
            params[f"{name}/norm{i}/scale"] = torch.ones((*lead, *row, fan_out))
            params[f"{name}/norm{i}/shift"] = torch.zeros((*lead, *row, fan_out))
    params[f"{name}/out/kernel"] = out_scale * xavier_uniform((*lead, sizes[-1], spec.outputs), generator)
    params[f"{name}/out/bias"] = torch.zeros((*lead, *row, spec.outputs))
    return params


def mlp(params: Params, name: str, spec: MlpSpec, x: Tensor) -> Tensor:
    """Apply to x (B, in) -> (B, out), or for an ensemble (E, B, in) -> (E, B, out)."""
    multiply = torch.addmm if x.dim() == 2 else torch.baddbmm
    for i, width in enumerate(spec.hidden):
        x = multiply(params[f"{name}/dense{i}/bias"], x, params[f"{name}/dense{i}/kernel"])
        x = functional.layer_norm(x, (width,))
        if spec.affine_norm:
            x = x * params[f"{name}/norm{i}/scale"] + params[f"{name}/norm{i}/shift"]
        x = spec.act(x)
    return multiply(params[f"{name}/out/bias"], x, params[f"{name}/out/kernel"])


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


def init_conv(name: str, spec: ConvSpec, generator: torch.Generator) -> Params:
    """Make `name/conv{i}/kernel|bias`."""
    params: Params = {}
    fan = 3
    for i, filters in enumerate(spec.filters):
        bound = math.sqrt(6.0 / (9 * fan))
        uniform = torch.rand((spec.cameras, filters, fan, 3, 3), generator=generator) * 2 - 1
        params[f"{name}/conv{i}/kernel"] = uniform * bound
        params[f"{name}/conv{i}/bias"] = torch.zeros((spec.cameras, filters))
        fan = filters
    return params


def conv(params: Params, name: str, spec: ConvSpec, images: Tensor) -> Tensor:
    """Encode images (B, 3 * cameras, H, W) float in [-0.5, 0.5] -> (B, features)."""
    encoded = [
        soft_argmax(_feature_maps(params, name, spec, camera, view), spec.sharpness)
        for camera, view in enumerate(torch.split(images, 3, dim=1))  # a grouped convolution takes 1.5 times as long
    ]
    return torch.cat(encoded, dim=-1)


def _feature_maps(params: Params, name: str, spec: ConvSpec, camera: int, x: Tensor) -> Tensor:
    for i, stride in enumerate(spec.strides):
        kernel, bias = params[f"{name}/conv{i}/kernel"][camera], params[f"{name}/conv{i}/bias"][camera]
        x = functional.conv2d(x if i == 0 else torch.relu(x), kernel, bias, stride=stride, padding=1)
    return x


def soft_argmax(maps: Tensor, sharpness: float) -> Tensor:
    """Turn maps (B, C, H, W) into (B, 3C): mean column and row in [-1, 1] under softmax, and a squashed peak.

    Each map is first brought to zero mean and deviation `sharpness`, so that attention is sharp whatever its scale.
    """
    batch, channels, height, width = maps.shape
    flat = maps.permute(0, 2, 3, 1).reshape(batch, height * width, channels)  # a view for channels-last maps
    deviation, mean = torch.std_mean(flat, 1, keepdim=True)
    attention = ((flat - mean) * (sharpness / (deviation + 1e-3))).softmax(1)
    rows = torch.linspace(-1, 1, height)[:, None].expand(height, width).reshape(-1)
    columns = torch.linspace(-1, 1, width)[None].expand(height, width).reshape(-1)
    places = torch.stack([columns, rows]) @ attention  # (B, 2, C)
    return torch.cat([places.flatten(1), torch.tanh(0.2 * flat.amax(1))], dim=-1)


def gaussian(raw: Tensor, noise: Tensor, log_std_low: float, log_std_high: float) -> tuple[Tensor, Tensor, Tensor]:
    """Tanh-squashed Gaussian from raw (B, 2A) and standard normal noise (B, A).

    Returns:
        action (B, A), its log-density (B,), and the squashed mean (B, A). The density of tanh is computed as
        log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2u)), stable for large u.
    """
    mean, log_std = raw.chunk(2, dim=-1)
    log_std = log_std.clamp(log_std_low, log_std_high)
    pre = mean + log_std.exp() * noise
    log_prob = -0.5 * noise**2 - log_std - 0.5 * math.log(2 * math.pi)
    log_prob = log_prob - 2 * (math.log(2.0) - pre - functional.softplus(-2 * pre))
    return torch.tanh(pre), log_prob.sum(-1), torch.tanh(mean)
