"""The vision transformer of DINOv2 (Oquab et al. 2023, arXiv 2304.07193) as a frozen trunk: images in, tokens out."""

from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.policies.ops import A, Ops, Params

_EPSILON = 1e-6
HEAD_WIDTH = 64
"""Channels of an attention head, alike in all published sizes: S has 6 heads, B 12, L 16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VitSpec:
    """Sizes. Gains and shifts of the layer norms inside and the layer scales are part of the kernels that follow them.

    What is made of an image: the class token, then its patches' tokens averaged over `grid` x `grid` cells. The class
    token with the patches' mean is what DINOv2 is judged by with a linear classifier; robots do better with tokens
    that know their place (Shang et al. 2024, Theia, arXiv 2407.20179), and a cell knows it at a tenth of the memory.
    """

    depth: int
    width: int
    patch: int
    """Side of a patch [pixels]."""
    registers: int
    """Further tokens without a meaning of their own (Darcet et al. 2023, arXiv 2309.16588)."""
    side: int
    """Of the image [patches]."""
    grid: int

    @property
    def channels(self) -> int:
        """Of a token."""
        return self.width

    def places(self, side: int) -> int:
        """Return the number of tokens made of an image, whatever its size."""
        return 1 + self.grid**2

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter: dense kernels (in, out), that of the patches as a convolution's."""
        d = self.width
        shapes: dict[str, tuple[int, ...]] = {
            "patch/kernel": (d, 3, self.patch, self.patch),
            "patch/bias": (d,),
            "positions": (self.side**2, d),
            "prefix": (1 + self.registers, d),
            "norm/scale": (d,),
            "norm/shift": (d,),
        }
        for i in range(self.depth):
            for name, inputs, outputs in (("qkv", d, 3 * d), ("out", d, d), ("up", d, 4 * d), ("down", 4 * d, d)):
                shapes[f"block{i}/{name}/kernel"] = (inputs, outputs)
                shapes[f"block{i}/{name}/bias"] = (outputs,)
        return shapes


def vit(nn: Ops, params: Params, name: str, spec: VitSpec, images: A) -> A:
    """Turn images (B, H, W, 3), scaled as the trunk wants them, into tokens (B, 1 + grid^2, width), class first."""
    patches = nn.conv2d(images, params[f"{name}/patch/kernel"], params[f"{name}/patch/bias"], stride=spec.patch)
    count, d = patches.shape[0], spec.width
    tokens = patches.reshape(count, -1, d) + params[f"{name}/positions"]
    x = nn.concat([nn.broadcast_to(params[f"{name}/prefix"], (count, 1 + spec.registers, d)), tokens], 1)
    for i in range(spec.depth):
        block = f"{name}/block{i}"
        x = x + _attend(nn, params, block, nn.layer_norm(x, _EPSILON))
        hidden = nn.gelu(_dense(nn, params, f"{block}/up", nn.layer_norm(x, _EPSILON)))
        x = x + _dense(nn, params, f"{block}/down", hidden)
    x = nn.layer_norm(x, _EPSILON) * params[f"{name}/norm/scale"] + params[f"{name}/norm/shift"]
    return nn.array(_pooling(spec)) @ x


def _attend(nn: Ops, params: Params, name: str, x: A) -> A:
    count, tokens, d = x.shape
    heads = d // HEAD_WIDTH
    qkv = _dense(nn, params, f"{name}/qkv", x).reshape(count, tokens, 3, heads, HEAD_WIDTH)
    q, k, v = (nn.transpose(qkv[:, :, i], (0, 2, 1, 3)) for i in range(3))
    mixed = nn.transpose(nn.attention(q, k, v), (0, 2, 1, 3)).reshape(count, tokens, d)
    return _dense(nn, params, f"{name}/out", mixed)


def _dense(nn: Ops, params: Params, name: str, x: A) -> A:
    count, tokens, inputs = x.shape
    made = nn.linear(x.reshape(count * tokens, inputs), params[f"{name}/kernel"], params[f"{name}/bias"])
    return made.reshape(count, tokens, -1)


def _pooling(spec: VitSpec) -> Array:
    """Weights (1 + grid^2, tokens): the class token as it is, the patches of a cell averaged, registers left out."""
    lines = np.zeros((spec.grid, spec.side))
    for i in range(spec.grid):
        begin, end = i * spec.side // spec.grid, -(-(i + 1) * spec.side // spec.grid)
        lines[i, begin:end] = 1 / (end - begin)
    weights = np.zeros((1 + spec.grid**2, 1 + spec.registers + spec.side**2), np.float32)
    weights[0, 0] = 1
    weights[1:, 1 + spec.registers :] = np.kron(lines, lines)
    return weights


def resample_positions(positions: Array, side: int, antialias: bool) -> Array:
    """Interpolate position embeddings (old^2, D) to (side^2, D) as DINOv2 does, its models with registers antialiased.

    Cubic convolution (Keys 1981): plainly with a = -0.75 and edges replicated; antialiased with a = -0.5, a window that
    grows as the grid shrinks, and what is outside left out.
    """
    old = round(len(positions) ** 0.5)
    if old == side:
        return positions
    weights = _cubic(old, side, -0.5, max(1.0, old / side)) if antialias else _cubic(old, side, -0.75, 1.0)
    if not antialias:
        weights = _replicated(weights)
    inside = weights[:, _MARGIN:-_MARGIN]
    inside = inside / inside.sum(1, keepdims=True)
    grid = positions.reshape(old, old, -1)
    made: Array = np.einsum("ai,bj,ijd->abd", inside, inside, grid).reshape(side * side, -1)
    return made.astype(np.float32)


_MARGIN = 4
"""Places beyond each edge that a window may reach."""


def _cubic(old: int, new: int, a: float, scale: float) -> Array:
    """Weights (new, old + 2 margins) of the old places, and of those beyond the edges, at the new places' centres."""
    centres = (np.arange(new)[:, None] + 0.5) * old / new - 0.5
    t = abs(centres - np.arange(-_MARGIN, old + _MARGIN)) / scale
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * (t**3 - 5 * t**2 + 8 * t - 4)
    weights: Array = np.where(t <= 1, near, np.where(t < 2, far, 0.0))
    return weights


def _replicated(weights: Array) -> Array:
    weights = weights.copy()
    weights[:, _MARGIN] += weights[:, :_MARGIN].sum(1)
    weights[:, -_MARGIN - 1] += weights[:, -_MARGIN:].sum(1)
    return weights
