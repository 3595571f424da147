"""Residual networks (He et al. 2016, arXiv 1512.03385) as frozen trunks: images in, a map of features out."""

from dataclasses import dataclass

from robot_hil.policies.ops import A, Ops, Params

_WIDTHS = (64, 128, 256, 512)
_GROUPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNetSpec:
    """A stem of 7x7 convolution and pooling, then four stages of basic blocks, each but the first halving the image.

    `grouped` is the ResNet-10 of HIL-SERL (Luo et al. 2024): group normalisation in four groups, and zeros only behind
    what a stride of 2 would otherwise miss, as TensorFlow and flax pad. Without it, the usual one: batch normalisation,
    which is frozen and therefore part of the kernels, and equal padding on all sides.
    """

    blocks: int
    """In each stage."""
    grouped: bool

    @property
    def channels(self) -> int:
        """Of the map."""
        return _WIDTHS[-1]

    def places(self, side: int) -> int:
        """Return how many places the map of an image of `side` pixels has."""
        for _ in range(5):
            side = -(-side // 2)
        return side * side

    def layers(self) -> list[tuple[int, int, int]]:
        """Return input channels, output channels and stride of every block."""
        before = (_WIDTHS[0], *_WIDTHS)
        return [
            (before[stage] if i == 0 else width, width, 2 if i == 0 and stage else 1)
            for stage, width in enumerate(_WIDTHS)
            for i in range(self.blocks)
        ]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter: kernels (out, in, kh, kw), `scale` (if grouped) and `shift` (out,)."""
        convs = {"stem": (_WIDTHS[0], 3, 7, 7)}
        for i, (inputs, outputs, _) in enumerate(self.layers()):
            convs[f"block{i}/first"] = (outputs, inputs, 3, 3)
            convs[f"block{i}/second"] = (outputs, outputs, 3, 3)
            if inputs != outputs:
                convs[f"block{i}/around"] = (outputs, inputs, 1, 1)
        after = ("scale", "shift") if self.grouped else ("shift",)
        kernels: dict[str, tuple[int, ...]] = {f"{name}/kernel": shape for name, shape in convs.items()}
        return kernels | {f"{name}/{part}": shape[:1] for name, shape in convs.items() for part in after}


def resnet(nn: Ops, params: Params, name: str, spec: ResNetSpec, images: A) -> A:
    """Turn images (B, H, W, 3), scaled as the trunk wants them, into maps (B, places, channels), none negative."""
    x = nn.relu(_conv(nn, params, f"{name}/stem", spec, images, stride=2, padding=3))
    x = nn.max_pool(x, 3, 2, _around(spec, x.shape[1]))
    for i, (inputs, outputs, stride) in enumerate(spec.layers()):
        block = f"{name}/block{i}"
        padding = _around(spec, x.shape[1]) if stride == 2 else 1
        y = nn.relu(_conv(nn, params, f"{block}/first", spec, x, stride=stride, padding=padding))
        y = _conv(nn, params, f"{block}/second", spec, y, stride=1, padding=1)
        past = x if inputs == outputs else _conv(nn, params, f"{block}/around", spec, x, stride=stride, padding=0)
        x = nn.relu(y + past)
    return x.reshape(x.shape[0], -1, spec.channels)


def _around(spec: ResNetSpec, side: int) -> int | tuple[int, int]:
    """Padding of a window of 3 that moves by 2; see `ResNetSpec`."""
    if not spec.grouped:
        return 1
    return (0, 1) if side % 2 == 0 else (1, 1)


def _conv(nn: Ops, params: Params, name: str, spec: ResNetSpec, x: A, stride: int, padding: int | tuple[int, int]) -> A:
    kernel, shift = params[f"{name}/kernel"], params[f"{name}/shift"]
    if not spec.grouped:
        return nn.conv2d(x, kernel, shift, stride=stride, padding=padding)
    made = nn.conv2d(x, kernel, None, stride=stride, padding=padding)
    return nn.group_norm(made, _GROUPS, params[f"{name}/scale"], shift)
